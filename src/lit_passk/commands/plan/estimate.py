"""Memory, time and traffic of one RL step by arithmetic; every line carries its formula.

Symbols: P parameters, P_t of them trained, P_b of one block, P_r outside the blocks, L blocks, h hidden size, f inner
size, w key numbers of a token and block, R ranks, D shards, b bytes of a stored parameter, c bytes of one in
arithmetic, S tokens of a micro-batch, N completions of a step, t_p and t_c mean tokens of a prompt and a completion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lit_passk.commands.plan.sizes import Architecture, Machine, Setup

STAYS = "memory between steps, GB per rank"
TRAIN = "memory of training, GB per rank"
SAMPLE = "memory of sampling, GB per rank"
WORK = "work of a step"
MOVED = "bytes moved, GB per rank"
TIME = "time of a step, s"

BLOCK_H, BLOCK_F = 12, 4
"""Numbers that autograd keeps of a token in a Llama-like block: 12 h + 4 f, float32 counted twice."""


@dataclass(frozen=True)
class Line:
    """One number with its derivation."""

    section: str
    name: str
    value: float
    formula: str


class Estimate:
    """All lines of a plan; ``value[name]`` is a number by its name."""

    def __init__(self, architecture: Architecture, machine: Machine, setup: Setup) -> None:
        self.lines: list[Line] = []
        self.value: dict[str, float] = {}
        self.a, self.m, self.s = architecture, machine, setup
        self.trained = setup.trained(architecture)
        self.trained_bytes = 4 if setup.adapter_rank else setup.param_bytes
        self._memory_between_steps()
        self._memory_of_training()
        if setup.engine_share is not None:
            self._memory_of_sampling(setup.engine_share)
        self._sampling()
        self._training()
        self._sync()
        parts = ("sampling", "training", "weights into the engine")
        total = self._add(TIME, "a step", sum(self.value[part] for part in parts), "sampling + training + sync")
        self._add(TIME, "tokens per second, all GPUs", self.value["tokens sampled"] / total, "tokens sampled / time")
        order = [STAYS, TRAIN, SAMPLE, WORK, MOVED, TIME]
        self.lines.sort(key=lambda line: order.index(line.section))

    def _add(self, section: str, name: str, value: float, formula: str) -> float:
        self.lines.append(Line(section, name, value, formula))
        self.value[name] = value
        return value

    def _gb(self, section: str, name: str, value: float, formula: str) -> float:
        return self._add(section, name, value / 1e9, formula)

    # --- memory ------------------------------------------------------------------------------------------------------

    def _memory_between_steps(self) -> None:
        a, s = self.a, self.s
        total = self._gb(STAYS, "weights", s.param_bytes * a.params / s.shards, f"b P / D, b = {s.param_bytes}")
        moments = 2 * self.trained_bytes * self.trained / s.shards
        total += self._gb(STAYS, "Adam's moments", moments, "2 b P_t / D")
        if s.kl and s.adapter_rank is None:
            total += self._gb(STAYS, "reference", s.param_bytes * a.params / s.shards, "b P / D: sharded as well")
        total += self._add(STAYS, "reserved", self.m.reserved_gb, "CUDA, NCCL, fragmentation: an assumption")
        self._add(STAYS, "between steps", total, "the sum")

    def _memory_of_training(self) -> None:
        a, s = self.a, self.s
        total = self.value["between steps"]
        total += self._gb(TRAIN, "gradients", self.trained_bytes * self.trained / s.shards, "b P_t / D")
        if s.shards > 1:
            if s.sync_last:
                formula = "4 P_t: `gradient_sync: last` keeps whole float32 gradients until the last micro-batch"
                total += self._gb(TRAIN, "whole gradients", 4 * self.trained, formula)
            else:
                part = (a.block_params + a.rest) * self.trained / a.params
                total += self._gb(TRAIN, "gradients on their way", 4 * part, "4 (P_b + P_r) P_t / P")
            models = 1 + (s.kl and s.adapter_rank is None)
            gathered = models * s.compute_bytes * (2 * a.block_params + a.rest)
            formula = f"c (2 P_b + P_r) x {models}: a block in use, the next one, and the root"
            total += self._gb(TRAIN, "gathered parameters", gathered, formula)
        elif s.compute_bytes < s.param_bytes:
            total += self._gb(TRAIN, "autocast's copies", s.compute_bytes * a.params, "c P")
        block = BLOCK_H * a.hidden + BLOCK_F * a.inner
        if s.checkpointing:
            kept, formula = a.blocks * a.hidden + block, "c S (L h + 12 h + 4 f): inputs of blocks, one block in full"
        else:
            kept, formula = a.blocks * block, "c S L (12 h + 4 f)"
        kept *= s.compute_bytes * s.token_budget
        total += self._gb(TRAIN, "activations", kept, f"{formula}, S = {s.token_budget}")
        logits = (s.max_saved_logits_mib + 256) * 2**20
        total += self._gb(TRAIN, "logits", logits, "at most `max_saved_logits_mib` and one piece of 256 MiB")
        self._add(TRAIN, "training needs", total, f"the sum; the GPU has {self.m.memory_gb:g}")

    def _memory_of_sampling(self, share: float) -> None:
        size, parts = self.s.engine_bytes, self.s.engine_tp
        formula = f"{size} P / {parts}: bytes of `dtype` over `tensor_parallel_size` of the engine"
        weights = self._gb(SAMPLE, "engine's weights", size * self.a.params / parts, formula)
        room = share * self.m.memory_gb - weights
        self._add(SAMPLE, "room for keys and values", room, f"{share:g} of the GPU, less the weights")
        total = self.value["between steps"] + share * self.m.memory_gb
        self._add(SAMPLE, "sampling needs", total, f"between steps + engine; the GPU has {self.m.memory_gb:g}")

    # --- time --------------------------------------------------------------------------------------------------------

    def _sampling(self) -> None:
        """An engine reads its weights once for each token the completions grow by, and what they attend to."""
        a, m, s = self.a, self.m, self.s
        n = s.prompts * s.group_size
        mean = m.completion_tokens or s.max_tokens // 2
        self._add(WORK, "tokens sampled", n * mean, f"N t_c = {n} x {mean}")
        gpus = s.ranks if m.server_gpus is None else m.server_gpus
        engines = max(1, gpus // s.engine_tp)
        kv = 4 * a.blocks * a.kv_width
        room = self.value.get(
            "room for keys and values", 0.8 * m.memory_gb - s.engine_bytes * a.params / s.engine_tp / 1e9
        )
        fits = max(0, int(room * 1e9 * s.engine_tp / (kv * (m.prompt_tokens / s.group_size + mean))))
        mine = math.ceil(n / engines)
        together = self._add(
            WORK, "completions at once, an engine", max(1, min(mine, fits)), f"min({mine}, room / (4 L w t_c) = {fits})"
        )
        in_a_row = mine * mean / together + s.max_tokens - mean
        steps = self._add(WORK, "tokens in a row", in_a_row, "N t_c / (engines x at once) + longest - t_c")
        read = steps * s.engine_bytes * a.params + mine * mean * kv * (m.prompt_tokens + mean / 2)
        bandwidth = m.sample_share * m.memory_gbs * 1e9 * s.engine_tp
        compute = 2 * a.params * mine * mean / (m.train_share * m.tflops * 1e12 * s.engine_tp)
        formula = (
            "(weights x tokens in a row + 4 L w N t_c (t_p + t_c / 2)) / bandwidth; 2 P N t_c / arithmetic if more"
        )
        self._add(TIME, "sampling", max(read / bandwidth, compute), formula)

    def _training(self) -> None:
        a, m, s = self.a, self.m, self.s
        mean = m.completion_tokens or s.max_tokens // 2
        updates = s.minibatches * s.epochs
        share = 1.0 if s.kept_terms else m.with_advantage
        mine = share * (self.value["tokens sampled"] + s.prompts * m.prompt_tokens)
        tokens = self._add(WORK, "tokens trained", mine, f"{share:g} (N t_c + prompts once a group)")
        worth = s.epochs * (3 + s.checkpointing + s.kl) + (updates > 1)
        passes = self._add(
            WORK, "forward passes' worth", worth, "epochs x (1 + 2 backward + recomputed + reference) + old log-probs"
        )
        flops = tokens * passes * (2 * a.params + 4 * a.blocks * a.hidden * (m.prompt_tokens + mean / 2))
        compute = flops / (s.ranks * m.train_share * m.tflops * 1e12)
        formula = "tokens x passes x (2 P + 4 L h (t_p + t_c / 2)) / arithmetic of all GPUs"
        self._add(TIME, "arithmetic of training", compute, formula)
        micro = max(1, math.ceil(tokens / s.ranks / s.minibatches / s.token_budget))
        self._add(WORK, "micro-batches per update and rank", micro, "tokens / (R x mini-batches x S), rounded up")
        gathers = micro * (updates * (2 + s.kl) + s.minibatches * (updates > 1)) if s.shards > 1 else 0
        reduces = updates * (1 if s.sync_last else micro) * (1 if s.shards > 1 else 2)
        moved = (gathers * s.compute_bytes * a.params + reduces * 4 * self.trained) * (s.ranks - 1) / s.ranks
        formula = f"(R - 1) / R x ({gathers} gatherings c P + {reduces} reductions 4 P_t)"
        self._gb(MOVED, "parameters and gradients", moved, formula)
        traffic = self._add(TIME, "traffic of training", moved / m.link(s.ranks), "bytes moved / link")
        self._add(TIME, "training", max(compute, traffic), "the longer of the two, which overlap")

    def _sync(self) -> None:
        a, m, s = self.a, self.m, self.s
        moved = s.param_bytes * a.params * (s.shards - 1) / s.shards
        self._gb(MOVED, "weights for the engine", moved, "b P (D - 1) / D: every rank gathers every tensor in turn")
        self._add(TIME, "weights into the engine", moved / m.link(s.ranks), "bytes moved / link")
        stored = 3 * self.trained_bytes * self.trained
        self._gb(MOVED, "a checkpoint, all ranks", stored, "3 b P_t: weights and two moments")
        nodes = math.ceil(s.ranks / m.gpus_per_node)
        self._add(TIME, "a checkpoint, now and then", stored / nodes / m.disk_gbs / 1e9, "bytes / nodes / disk")
