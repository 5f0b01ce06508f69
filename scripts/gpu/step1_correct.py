"""Is it right on a GPU? The tests marked `gpu`, then a run of a tiny policy in every precision under every strategy.

    python scripts/gpu/step1_correct.py                      # writes runs/gpu/step1.jsonl; start again to go on
    python scripts/gpu/step1_correct.py --device cpu --tiny

Each run trains with a KL and an entropy term, validates and writes checkpoints. A second run then resumes from the
middle, and its weights are compared with those of the first: to the bit, and by how much if not.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import torch
from programme import REPOSITORY, Results, options, python, tiny_policy

from lit_passk.checkpointing.files import read_shards

PRECISIONS = ["32-true", "bf16-mixed", "bf16-true"]
STRATEGIES = {
    "single": ["--trainer.strategy", "auto"],
    "ddp": ["--trainer.strategy", "ddp"],
    "fsdp2": ["--trainer.strategy", "ModelParallelStrategy", "--trainer.strategy.data_parallel_size", "1"],
}
STEPS = 4


def command(args: Namespace, policy: str, folder: Path, precision: str, strategy: str) -> list[str]:
    """A run of `lit-passk fit`."""
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
    return python("-m", "lit_passk.cli", "fit", *flat, "--data.val", val, *STRATEGIES[strategy])


def weights(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's weights."""
    if path.is_dir():
        return read_shards(path, "state_dict.")["state_dict"]
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]


def compare(results: Results, name: str, first: Path, second: Path) -> None:
    """Whether the resumed run ended where the uninterrupted one did."""
    last = f"checkpoints/step={STEPS}.ckpt"
    if f"{name}, same end" in results.done or not (second / last).exists():
        return
    one, other = weights(first / last), weights(second / last)
    apart = max(float((one[key].float() - other[key].float()).abs().max()) for key in one)
    results.add(f"{name}, same end", ok=apart == 0, largest_difference=apart)


def main() -> None:
    """Do what is not done yet."""
    args = options(__doc__)
    results = Results(args.out / "step1.jsonl")
    results.run("tests", python("-m", "pytest", "-q", "-m", "gpu", "tests"), timeout=900)
    policy = tiny_policy((args.out / "tiny").resolve())
    precisions, strategies = (PRECISIONS[:1], ["single"]) if args.tiny else (PRECISIONS, list(STRATEGIES))
    for precision in precisions:
        for strategy in strategies:
            name = f"{precision}, {strategy}"
            first, second = ((args.out / f"{precision}-{strategy}-{n}").resolve() for n in ("whole", "resumed"))
            results.run(name, command(args, policy, first, precision, strategy))
            middle = first / f"checkpoints/step={STEPS // 2}.ckpt"
            resume = [*command(args, policy, second, precision, strategy), "--ckpt_path", str(middle)]
            results.run(f"{name}, resumed", resume)
            compare(results, name, first, second)


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "src"))
    main()
