"""Where a step of the maze job goes, and what sampling costs beside a bare key-value-cache loop.

    .venv/bin/python scripts/bench_maze.py runs/maze_sft

Prints the share of a training step that is neither the model's forward and backward nor sampling (Lightning, packing,
advantages, scoring, logging), and the time of 512 completions of 20 tokens by `TransformersEngine` over that of a loop
that computes each prompt once a group and does nothing else. One thread; medians over steps and repeats.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.modules import PassKRLModule
from lit_passk.tasks import MazeTask
from lit_passk.types import Sampling


class Clock(L.Callback):
    """Adds up seconds by name within each step."""

    def __init__(self) -> None:
        self.now: dict[str, float] = defaultdict(float)
        self.steps: list[dict[str, float]] = []

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Count the time of a method."""
        original: Callable = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = original(*args, **kwargs)
            if name == "sampling":  # a generator works when it is consumed
                result = iter(list(result))
            self.now[name] += time.perf_counter() - begin
            return result

        setattr(owner, method, timed)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Close the previous step: whatever lies between two batches belongs to it."""
        if self.now:
            self.now["step"] = time.perf_counter() - self.begin
            self.steps.append(dict(self.now))
        self.now, self.begin = defaultdict(float), time.perf_counter()


def step_breakdown(policy: str, steps: int) -> None:
    """Train and print where the time of the median step goes."""
    task = MazeTask(sizes=[5], num_problems=2000, template="{maze}\n")
    data = PromptDataModule(policy, train=task, prompts_per_step=32)
    engine = TransformersEngine()
    clock = Clock()
    rollout = RolloutCallback(engine, group_size=16, sampling=Sampling(max_tokens=23))
    module = PassKRLModule(policy, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-4))
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        callbacks=[clock, rollout],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=True,
        default_root_dir="runs/bench",
        log_every_n_steps=5,  # as configs/maze_cpu.yaml has it
    )
    module.trainer = trainer
    module.configure_model()
    clock.wrap(engine, "generate", "sampling")
    clock.wrap(module.policy, "forward", "forward")
    clock.wrap(module, "manual_backward", "backward")
    clock.wrap(module, "_optimizer_step", "optimizer")
    trainer.fit(module, datamodule=data)
    measured = clock.steps[3:]  # warm
    names = ["sampling", "forward", "backward", "optimizer"]
    rest = [s["step"] - sum(s[n] for n in names) for s in measured]
    total = statistics.median(s["step"] for s in measured)
    print(f"\nmedian step {total * 1e3:.0f} ms over {len(measured)} steps of 32 x 16, one thread")
    for name in names:
        median = statistics.median(s[name] for s in measured)
        print(f"  {name:10s} {median * 1e3:6.1f} ms  {median / total:6.1%}")
    print(f"  {'the rest':10s} {statistics.median(rest) * 1e3:6.1f} ms  {statistics.median(rest) / total:6.1%}")


@torch.no_grad()
def bare_loop(model: Any, prompts: torch.Tensor, group_size: int, tokens: int) -> torch.Tensor:
    """Sample without log-probs, seeds, stopping or bookkeeping."""
    cache = DynamicCache(config=model.config)
    out = model(prompts, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(group_size)
    logits, sampled = out.logits[:, -1].repeat_interleave(group_size, 0), []
    for t in range(tokens):
        token = torch.multinomial(logits.softmax(-1), 1)
        sampled.append(token)
        if t + 1 < tokens:
            logits = model(token, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
    return torch.cat(sampled, 1)


def sampling_ratio(policy: str, repeats: int) -> None:
    """Print the engine's time over the bare loop's, taken in turn."""
    model = AutoModelForCausalLM.from_pretrained(policy).eval()
    engine = TransformersEngine()
    engine.start(policy, model, [-1])  # no end token: both sample all 20 tokens
    prompts = torch.randint(3, len(model.get_input_embeddings().weight), (32, 30))
    seeds = list(range(0, 32 * 1000, 1000))
    times: dict[str, list[float]] = {"engine": [], "bare": []}
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        list(engine.generate(prompts.tolist(), Sampling(max_tokens=20, n=16), seeds))
        middle = time.perf_counter()
        bare_loop(model, prompts, 16, 20)
        times["engine"].append(middle - begin)
        times["bare"].append(time.perf_counter() - middle)
    ratios = [e / b for e, b in zip(times["engine"][1:], times["bare"][1:], strict=True)]
    print(
        f"512 completions of 20 tokens: TransformersEngine {statistics.median(times['engine'][1:]) * 1e3:.0f} ms, "
        f"bare loop {statistics.median(times['bare'][1:]) * 1e3:.0f} ms, ratio {statistics.median(ratios):.2f}"
    )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", help="the maze cold start: a folder made by `lit-passk sft`")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=11)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sampling_ratio(args.policy, args.repeats)
    step_breakdown(args.policy, args.steps)


if __name__ == "__main__":
    main()
