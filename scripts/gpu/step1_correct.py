"""Is it right on a GPU? A tiny policy in every precision under every strategy, and the tests marked `gpu`.

    python scripts/gpu/step1_correct.py --minutes 5          # writes runs/gpu/step1.jsonl; start again to go on
    python scripts/gpu/step1_correct.py --device cpu --tiny

Each run trains with a KL and an entropy term, validates and writes checkpoints. A second run resumes from the middle,
and its weights are compared with those of the first: to the bit, and by how much if not. A third only validates.
"""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import torch
from programme import REPOSITORY, Results, cannot_import, options, python, tiny_policy

PRECISIONS = ["32-true", "bf16-mixed", "bf16-true"]
STRATEGIES = {
    "single": ["--trainer.strategy", "auto"],
    "ddp": ["--trainer.strategy", "ddp"],
    "fsdp2": ["--trainer.strategy", "ModelParallelStrategy", "--trainer.strategy.data_parallel_size", "1"],
}
STEPS = 4
AT_ONCE = 3
"""Runs that share the GPU: most of each is the start of Python."""


def run_tests(args: Namespace, results: Results) -> None:
    """The tests that need a GPU, a measurement a file; without a GPU all are skipped, which only shows the command."""
    files = sorted(path for path in (REPOSITORY / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text())
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # in each of the processes
    parallel = [] if args.tiny or cannot_import(sys.executable, "xdist") else ["-n", "6"]
    for path in files[:1] if args.tiny else files:
        command = python("-m", "pytest", "-q", "-rf", "--tb=short", "-m", "gpu", *parallel, str(path))
        results.run(f"tests, {path.relative_to(REPOSITORY)}", command, seconds=240)


def command(args: Namespace, what: str, policy: str, folder: Path, precision: str, strategy: str) -> list[str]:
    """A run of `lit-passk fit` or `lit-passk validate`."""
    settings = {
        "model.policy": policy,
        "model.advantage": "PassKAnalytic",
        "model.advantage.k": "2",
        "model.kl_coef": "0.01",
        "model.entropy_coef": "0.01",
        "model.ks": "[1,2]",
        "rollout.group_size": "8",
        "rollout.sampling.max_tokens": "16",
        "rollout.val_sampling.max_tokens": "16",
        "rollout.val_sampling.n": "4",
        "data.train": "ArithmeticTask",
        "data.train.num_problems": "32",
        "data.prompts_per_step": "4",
        "trainer.accelerator": "gpu" if args.device == "cuda" else "cpu",
        "trainer.devices": "1",
        "trainer.precision": precision,
        "trainer.max_steps": str(STEPS),
        "trainer.val_check_interval": "2",
        "trainer.logger": "false",
        "trainer.enable_progress_bar": "false",
        "trainer.default_root_dir": str(folder),
        "checkpoint.every": "2",
        "checkpoint.keep": "null",
    }
    val = '{"products": {"class_path": "ArithmeticTask", "init_args": {"split": "val", "num_problems": 8}}}'
    flat = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return python("-m", "lit_passk.cli", what, *flat, "--data.val", val, *STRATEGIES[strategy])


def weights(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's weights."""
    from lit_passk.checkpointing.files import read_shards

    if path.is_dir():
        return read_shards(path, "state_dict.")["state_dict"]
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def compare(results: Results, name: str, first: Path, second: Path) -> None:
    """Whether the resumed run ended where the uninterrupted one did."""
    last = f"checkpoints/step={STEPS}.ckpt"
    one, other = weights(first / last), weights(second / last)
    apart = max(float((one[key].float() - other[key].float()).abs().max()) for key in one)
    results.add(f"{name}, same end", ok=apart == 0, largest_difference=apart)


def run_policy(args: Namespace, results: Results, policy: str, precision: str, strategy: str) -> None:
    """Train, resume, compare, validate; cut short, all of it again, as a new machine lacks the checkpoints."""
    name = f"{precision}, {strategy}"
    wanted = [name, f"{name}, resumed", f"{name}, same end", f"{name}, validate"]
    failed = [part for part in wanted if results.has(part) and not results.lines[part]["ok"]]
    if failed or all(map(results.has, wanted)):
        return
    for part in wanted:
        results.lines.pop(part, None)
    first, second, third = (args.out / f"{precision}-{strategy}-{what}" for what in ("whole", "resumed", "validate"))
    for folder in (first, second, third):
        shutil.rmtree(folder, ignore_errors=True)
    middle = str(first / f"checkpoints/step={STEPS // 2}.ckpt")
    if not results.run(name, command(args, "fit", policy, first, precision, strategy), seconds=90):
        return
    again = [*command(args, "fit", policy, second, precision, strategy), "--ckpt_path", middle]
    if results.run(f"{name}, resumed", again, seconds=90):
        compare(results, name, first, second)
    judged = [*command(args, "validate", policy, third, precision, strategy), "--ckpt_path", middle]
    results.run(f"{name}, validate", judged, seconds=90)


def main() -> None:
    """Do what is not done yet."""
    args = options(__doc__)
    results = Results(args, "step1.jsonl")
    policy = tiny_policy(args.out / "tiny")
    precisions, strategies = (PRECISIONS[:1], ["single"]) if args.tiny else (PRECISIONS, list(STRATEGIES))
    with ThreadPoolExecutor(1 if args.device == "cpu" else AT_ONCE) as pool:
        runs = [pool.submit(run_policy, args, results, policy, *pair) for pair in product(precisions, strategies)]
    for run in runs:
        run.result()
    run_tests(args, results)


if __name__ == "__main__":
    main()
