"""One process of `bench_step.py`: time real `PassKRLModule` steps on a recorded workload and print one JSON object.

    python scripts/bench_step_worker.py MODEL WORKLOAD.jsonl --token-budget 1200 --steps 5

MODEL is a Hugging Face folder. A workload has one line per prompt:
{"prompt_ids": [int], "completion_ids": [[int]], "rewards": [float]}.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
import transformers
from lightning.pytorch.loggers import TensorBoardLogger

from lit_passk.advantages import PassKAnalytic
from lit_passk.data import ReplayDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.modules.advantage import compute_advantages
from lit_passk.modules.policies import Compute, pack_step
from lit_passk.modules.training_batch import collect
from lit_passk.policy.model import decoder_blocks
from lit_passk.policy.packing import PackedBatch
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Completion, Problem, RolloutBatch, Score, ScoredGroup


def read_workload(path: Path) -> RolloutBatch:
    """The recorded step as what an engine would have handed over."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    groups = [
        ScoredGroup(
            problem=Problem(id=str(number), prompt="", answer=""),
            index=number,
            prompt_ids=row["prompt_ids"],
            completions=[
                Completion(token_ids=ids, logprobs=[0.0] * len(ids), finish_reason="stop")
                for ids in row["completion_ids"]
            ],
            texts=[""] * len(row["completion_ids"]),
            scores=[Score(reward=reward, correct=reward > 0.5) for reward in row["rewards"]],
            seed=0,
        )
        for number, row in enumerate(rows)
    ]
    return collate_rollouts(groups)


class TimedModule(PassKRLModule):
    """Counts the seconds that are arithmetic of the model: forward, backward, clipping and optimizer."""

    arithmetic = 0.0

    def configure_model(self) -> None:
        """Load the policy and put the clocks in."""
        super().configure_model()
        if not hasattr(self, "untimed"):
            self.untimed = self.policy.forward
            self.policy.forward = self.timed(self.policy.forward)  # type: ignore[method-assign]
            self.manual_backward = self.timed(self.manual_backward)  # type: ignore[method-assign]
            self._optimizer_step = self.timed(self._optimizer_step)  # type: ignore[method-assign]

    def timed(self, function: Any) -> Any:
        """The function, its seconds added up."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = now(self.device)
            out = function(*args, **kwargs)
            self.arithmetic += now(self.device) - start
            return out

        return run


class Clock(L.Callback):
    """Times each step."""

    def __init__(self, rate: Any) -> None:
        self.rate = rate
        self.seconds: list[float] = []
        self.arithmetic: list[float] = []
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, index: int) -> None:
        """Start the clock."""
        self.rates.append(self.rate())
        module.arithmetic = 0.0
        self.start = now(module.device)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Stop the clock."""
        self.seconds.append(now(module.device) - self.start)
        self.arithmetic.append(module.arithmetic)


def now(device: torch.device) -> float:
    """Seconds, once the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large square matrix product."""
    size, repeats = (8192, 20) if device.type == "cuda" else (1536, 6)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.mm(a, b)
    start = now(device)
    for _ in range(repeats):
        torch.mm(a, b, out=out)
    return repeats * 2 * size**3 / (now(device) - start)


def useful_operations(module: PassKRLModule, rollouts: RolloutBatch) -> tuple[float, int, int]:
    """Operations of one step that nothing exact can save, the tokens the model is fed, the completion tokens trained.

    Each fed token once (a prompt once a group), logits of trained tokens, visible attention pairs; a backward pass is
    twice its forward pass; nothing that is computed again counts.
    """
    advantages = compute_advantages(module.advantage, rollouts, 0, 1)
    config = module.policy.model.config.get_text_config()
    weights = sum(p.numel() for block in decoder_blocks(module.policy) for p in block.parameters() if p.ndim == 2)
    width = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    tokens = pairs = trained = 0
    prompts = set()
    for i in (advantages != 0).nonzero()[:, 0].tolist():
        p, fed = int(rollouts.prompt_index[i]), len(rollouts.completion_ids[i]) - 1
        before = len(rollouts.prompt_ids[p])
        if p not in prompts:
            prompts.add(p)
            tokens, pairs = tokens + before, pairs + before * (before + 1) // 2
        tokens, trained = tokens + fed, trained + fed + 1
        pairs += fed * before + fed * (fed + 1) // 2
    head = config.hidden_size * config.vocab_size
    forward = 2 * weights * tokens + 2 * head * trained + 4 * width * config.num_hidden_layers * pairs
    return 3.0 * forward, tokens, trained


def peak_memory(device: torch.device) -> float:
    """GiB: resident in the CPU's case, allocated in CUDA's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train for a warm-up step and ``args.steps`` timed ones; print what was measured, and profile if asked for."""
    dtype = torch.bfloat16 if args.bf16 else torch.float32
    device = torch.device(args.device)
    module = TimedModule(
        policy=args.model,
        advantage=PassKAnalytic(k=args.k),
        compute=Compute(
            token_budget=args.token_budget,
            dtype="bfloat16" if args.bf16 else "float32",
            activation_checkpointing=args.checkpointing,
            compile_blocks=args.compile,
            max_saved_logits_mib=args.max_saved_logits_mib,
            kernels=args.kernels,
        ),
    )
    rollouts = read_workload(Path(args.workload))
    clock = Clock(lambda: matrix_rate(device, dtype))
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            accelerator="cuda" if args.device == "cuda" else "cpu",
            devices=1,
            max_steps=args.steps + 1,
            logger=TensorBoardLogger(folder),
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[clock],
        )
        trainer.fit(module, datamodule=ReplayDataModule([rollouts] * (args.steps + 1)))
    clock.rates.append(matrix_rate(device, dtype))
    operations, tokens, trained = useful_operations(module, rollouts)
    advantages = compute_advantages(module.advantage, rollouts)
    training = collect(rollouts, advantages, advantages != 0)
    batches = pack_step(module.policy, training, None, args.token_budget)
    seconds = clock.seconds[1:]
    rates = [(a + b) / 2 for a, b in zip(clock.rates[1:], clock.rates[2:], strict=False)]
    overhead = [1 - a / s for a, s in zip(clock.arithmetic[1:], seconds, strict=True)]
    result = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "rates": rates,
        "useful_operations": operations,
        "utilisation": [operations / s / r for s, r in zip(seconds, rates, strict=True)],
        "overhead": overhead,
        "median_overhead": statistics.median(overhead),
        "fed_tokens": tokens,
        "trained_tokens": trained,
        "largest_micro_batch": max(len(batch.input_ids) for batch in batches),
        "completion_tokens": sum(len(ids) for ids in rollouts.completion_ids),
        "parameters": sum(p.numel() for p in module.policy.parameters()),
        "parameter_gib": sum(p.numel() * p.element_size() for p in module.policy.parameters()) / 2**30,
        "peak_gib": round(peak_memory(device), 3),
    }
    print(json.dumps(result), flush=True)  # before the profile, which may fail and is not to be counted
    if args.profile:
        profile(module.to(device), batches[0], args.profile)  # the trainer has left it on the CPU
    return result


def profile(module: PassKRLModule, batch: PackedBatch, path: str) -> None:
    """Write a table of where one forward and backward pass of a micro-batch spends its time."""
    device = next(module.policy.parameters()).device
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    for _ in range(2):
        with torch.profiler.profile(activities=activities) as recorded:
            module.policy(batch.to(device), with_entropy=False)[0].sum().backward()
    key = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    Path(path).write_text(recorded.key_averages().table(sort_by=key, row_limit=40, max_name_column_width=60))


def main() -> None:
    """Parse the command line; print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("workload")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--token-budget", type=int, default=1000)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--bf16", action="store_true", help="parameters, gradients and optimizer in bfloat16")
    parser.add_argument("--checkpointing", action="store_true", help="compute activations twice")
    parser.add_argument("--compile", action="store_true", help="compile the decoder blocks")
    parser.add_argument("--max-saved-logits-mib", type=int, default=256, help="logits kept for the backward pass")
    parser.add_argument("--kernels", choices=["fast", "plain"], default="fast")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", help="file for a table of the slowest operations")
    args = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    run(args)


if __name__ == "__main__":
    main()
