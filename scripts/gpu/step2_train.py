"""How fast is the training step, what does it need, where does its time go? Beside TRL's on the same recorded step.

    python scripts/gpu/step2_train.py --minutes 8
    python scripts/gpu/step2_train.py --device cpu --tiny

Writes runs/gpu/step2.jsonl and tables of the slowest operations; start again to go on. Random weights of Qwen2.5's
shapes made on the GPU, bfloat16, groups of 8 completions of 600 tokens on average. Each measurement is a process of its
own: `scripts/bench_step_worker.py`, and `scripts/bench_trl.py` where TRL can be imported. Operations a second count
useful ones alone (each token once, a prompt once a group, nothing computed again), their share is of a large matrix
product's around each step.
"""

from __future__ import annotations

import gc
import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from programme import REPOSITORY, Results, cannot_import, options, python

sys.path.insert(0, str(REPOSITORY / "scripts"))
from bench_step import make_model, make_workload


@dataclass
class Measurement:
    """A training step of this library, or with ``micro`` one of TRL."""

    name: str
    shape: str
    prompts: int
    flags: str
    micro: int = 0
    seconds: float = 120


SMALL, LARGE = "qwen2.5-1.5b", "qwen2.5-7b"
SAVED = "--max-saved-logits-mib 12288"
PROGRAMME = [
    Measurement("1.5B", SMALL, 64, f"--token-budget 16384 --steps 2 {SAVED}"),
    Measurement("1.5B, compiled", SMALL, 64, f"--token-budget 16384 --steps 2 --compile {SAVED}"),
    Measurement("1.5B, short step", SMALL, 16, f"--token-budget 16384 --steps 2 {SAVED} --profile"),
    Measurement("TRL, 1.5B, short step, micro-batch 16", SMALL, 16, "--steps 1", micro=16),
    Measurement("7B, short step", LARGE, 16, "--token-budget 8192 --steps 1", seconds=180),
    Measurement(
        "1.5B, short step, plain kernels", SMALL, 16, "--token-budget 16384 --steps 1 --kernels plain --profile"
    ),
    Measurement("TRL, 1.5B, short step, micro-batch 8", SMALL, 16, "--steps 1", micro=8),
    Measurement("TRL, 1.5B, short step, micro-batch 32", SMALL, 16, "--steps 1", micro=32),
    Measurement("TRL, 1.5B, short step, its chunked loss", SMALL, 16, "--steps 1 --liger", micro=16),
    Measurement("7B, short step, compiled", LARGE, 16, "--token-budget 8192 --steps 1 --compile", seconds=180),
    Measurement(
        "7B, short step, large budget", LARGE, 16, "--token-budget 32768 --steps 1 --checkpointing", seconds=180
    ),
    Measurement("1.5B, large budget", SMALL, 64, "--token-budget 32768 --steps 2"),
    Measurement("1.5B, large budget, activations twice", SMALL, 64, "--token-budget 65536 --steps 2 --checkpointing"),
    Measurement("1.5B, logits twice", SMALL, 16, "--token-budget 16384 --steps 2"),
]
"""What shows the most first."""
TINY_BUDGET = "--token-budget 64 --steps 1"
TINY = [
    Measurement("tiny", "llama-25m", 2, f"{TINY_BUDGET} --profile"),
    Measurement("tiny, compiled", "llama-25m", 2, f"{TINY_BUDGET} --compile"),
    Measurement("tiny, plain kernels", "llama-25m", 2, f"{TINY_BUDGET} --kernels plain"),
    Measurement("tiny, activations twice", "llama-25m", 2, f"{TINY_BUDGET} --checkpointing --max-saved-logits-mib 0"),
    Measurement("TRL, tiny", "llama-25m", 2, "--steps 1", micro=4),
]


def prepare(args: Namespace, one: Measurement) -> tuple[Path, Path]:
    """The model's folder and the recorded step, made where they are not there yet."""
    tokens = (10, 10, 16) if args.tiny else (150, 600, 2048)
    lengths = dict(zip(("prompt_tokens", "mean_tokens", "max_tokens"), tokens, strict=True))
    settings = {"prompts": one.prompts, "group_size": 8, "solve_rate": "half", **lengths}
    bench = Namespace(
        model=None, shape=one.shape, bf16=args.device == "cuda", device=args.device, out=str(args.out),
        **settings,
    )  # fmt: skip
    model = make_model(bench)
    if args.device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()  # the measured process wants all of the memory
    return model, make_workload(bench, model, seed=0)


def obstacle(args: Namespace, one: Measurement) -> str | None:
    """Why TRL cannot be measured here."""
    if not one.micro:
        return None
    return cannot_import(args.trl_python, "trl", "datasets", *["liger_kernel"] * ("--liger" in one.flags))


def command(args: Namespace, one: Measurement, model: Path, workload: Path) -> list[str]:
    """The process that measures."""
    device = ["--device", args.device, *["--bf16"] * (args.device == "cuda")]
    flags = one.flags.split()
    if one.micro:
        script = str(REPOSITORY / "scripts" / "bench_trl.py")
        return [args.trl_python, script, str(model), str(workload), *device, *flags, "--micro", str(one.micro)]
    if "--profile" in flags:
        flags.append(str(args.out / f"profile-{one.name.replace(', ', '-').replace(' ', '-')}.txt"))
    return python("scripts/bench_step_worker.py", str(model), str(workload), *device, *flags)


def table(results: Results, programme: list[Measurement]) -> Iterator[str]:
    """What was found, a line a measurement."""
    yield f"{'':42} tokens/s  TFLOP/s  of the product  GiB"
    for one in programme:
        found = results.lines.get(one.name, {}).get("values")
        if not found:
            continue
        seconds = statistics.median(found.get("seconds") or found["seconds_per_step"])
        speed = f"{one.name:42} {found['completion_tokens'] / seconds:8.0f}"
        operations = found.get("useful_operations")
        share = f"{statistics.median(found['utilisation']):15.1%}" if operations else " " * 15
        rate = f"{operations / seconds / 1e12:8.1f}" if operations else " " * 8
        yield f"{speed} {rate} {share} {found['peak_gib']:5.1f}"


def main() -> None:
    """Do what is not done yet."""
    args = options(
        __doc__,
        ("--trl-python", "interpreter that has TRL; else this one"),
    )
    args.trl_python = args.trl_python or sys.executable
    results = Results(args, "step2.jsonl")
    programme = TINY if args.tiny else PROGRAMME
    for one in programme:
        if results.has(one.name):
            continue
        if reason := obstacle(args, one):
            results.skip(one.name, reason)
        elif results.time_left():
            results.run(one.name, command(args, one, *prepare(args, one)), one.seconds)
    print(*table(results, programme), sep="\n")


if __name__ == "__main__":
    main()
