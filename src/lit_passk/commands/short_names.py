"""Imports what a YAML file may name by class alone (``class_path: MazeTask``); none of it imports vLLM."""

import lit_passk.advantages
import lit_passk.data.samplers
import lit_passk.engines.transformers_engine
import lit_passk.engines.vllm_engine
import lit_passk.engines.vllm_server_engine
import lit_passk.losses
import lit_passk.rewards.format
import lit_passk.rewards.function
import lit_passk.rewards.function_task
import lit_passk.rewards.length
import lit_passk.rewards.repetition
import lit_passk.rollout.dynamic_sampling
import lit_passk.rollout.on_policy
import lit_passk.rollout.one_step_off_policy
import lit_passk.tasks.arithmetic
import lit_passk.tasks.choice
import lit_passk.tasks.code
import lit_passk.tasks.math
import lit_passk.tasks.maze
import lit_passk.tasks.maze_rows
import lit_passk.tasks.mixture
import lit_passk.tasks.puzzles
import lit_passk.tasks.reasoning_gym  # noqa: F401
