"""Measure the training phase of TRL's GRPOTrainer on a recorded step (`bench_workload.py`): run by TRL's own Python.

    bash scripts/setup_trl.sh                                    # makes .venv-trl with the version that is compared
    .venv-trl/bin/python scripts/bench_trl.py MODEL step.jsonl --steps 3 [--device cuda --bf16] [--micro 8]

A `rollout_func` replays the recorded completions, so the clock runs from finished rollouts to the end of the optimizer
step: nothing of the sampling is in the figure. Prints one JSON object: seconds of each step after one to warm up,
completion tokens per second, and the peak of memory, resident (CPU) or allocated (CUDA).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # `rollout_func` warns that it may change

import torch
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Replay:
    """Hands out the recorded completions of a prompt one after another, as often as they are asked for."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.taken = [0] * len(rows)

    def __call__(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, list[Any]]:
        """One completion for each prompt; a prompt is the number of its row."""
        found: dict[str, list[Any]] = {"prompt_ids": [], "completion_ids": [], "logprobs": [], "recorded": []}
        for row_number in map(int, prompts):
            row, turn = self.rows[row_number], self.taken[row_number]
            self.taken[row_number] += 1
            completion = turn % len(row["completion_ids"])
            ids = row["completion_ids"][completion]
            found["prompt_ids"].append(row["prompt_ids"])
            found["completion_ids"].append(ids)
            found["logprobs"].append([0.0] * len(ids))
            found["recorded"].append(row["rewards"][completion])
        return found


def recorded_reward(completions: list[Any], recorded: list[float], **_: Any) -> list[float]:
    """The reward that was recorded with a completion."""
    return recorded


class Clock(TrainerCallback):
    """Times what lies between finished rollouts and the end of the step."""

    def __init__(self) -> None:
        self.began = 0.0
        self.seconds: list[float] = []

    def start(self) -> None:
        """Rollouts are there."""
        self.began = now()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """The optimizer has stepped."""
        self.seconds.append(now() - self.began)


def now() -> float:
    """The time when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train for some steps and report."""
    rows = [json.loads(line) for line in Path(args.workload).read_text().splitlines()]
    completions = [ids for row in rows for ids in row["completion_ids"]]
    micro = args.micro or len(completions)
    clock = Clock()

    class TimedTrainer(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            scored = super()._generate_and_score_completions(inputs)
            clock.start()
            return scored

    dtype = torch.bfloat16 if args.bf16 else torch.float32
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=args.steps + 1,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=len(completions) // micro,
        num_generations=len(rows[0]["completion_ids"]),
        max_completion_length=max(map(len, completions)),
        beta=0.0,
        learning_rate=1e-6,
        temperature=1.0,
        use_cpu=args.device == "cpu",
        bf16=False,  # the weights are in the dtype that is measured: no autocast
        gradient_checkpointing=args.gradient_checkpointing,
        use_liger_kernel=args.liger,
        save_strategy="no",
        report_to=[],
        logging_steps=1,
        disable_tqdm=True,
        shuffle_dataset=False,
        seed=0,
    )
    TimedTrainer(
        model=AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype),
        processing_class=AutoTokenizer.from_pretrained(args.model),
        reward_funcs=recorded_reward,
        rollout_func=Replay(rows),
        train_dataset=Dataset.from_list([{"prompt": str(number)} for number in range(len(rows))]),
        args=config,
        callbacks=[clock],
    ).train()
    seconds = clock.seconds[1:]
    median = sorted(seconds)[len(seconds) // 2]
    tokens = sum(map(len, completions))
    on_gpu = args.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "peer": f"trl {trl.__version__}",
        "device": args.device,
        "dtype": str(dtype),
        "seconds_per_step": seconds,
        "median_seconds": median,
        "completion_tokens": tokens,
        "completion_tokens_per_s": tokens / median,
        "peak_gib": round(peak / 2**30, 3),
    }


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of the model, with a tokenizer")
    parser.add_argument("workload", help="what bench_workload.py wrote")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--micro", type=int, default=0, help="completions of a forward pass; 0 is all of them at once")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--liger", action="store_true", help="TRL's loss in pieces (liger-kernel, CUDA)")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
