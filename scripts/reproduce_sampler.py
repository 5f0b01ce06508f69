"""Which prompts should a step have? Uniform, pools of difficulty and expected advantage, at equal sampled tokens.

Pass@4 Training on a fixed set of mazes, once for each way and seed, from a cold start of the same seed. A training ends
with the step in which it has sampled so many completion tokens. Judged on 512 mazes that no training has seen, 64
samples each:

    python scripts/reproduce_sampler.py --seeds 5                   # some minutes a training on one core
    python scripts/reproduce_sampler.py --seeds 5 --arms uniform    # a part of it; the same folder collects the rest
    python scripts/reproduce_sampler.py --tokens 20000 --problems 64 --seeds 1 --test 16 --out runs/look  # does it run?

Every step is a command that can be typed by hand; they are printed. Finished steps are not done again, and one that was
interrupted goes on. The table compares what is there: differences from ``uniform`` with the same seed, with 95 %
intervals over seeds.
"""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import lightning as L

ROOT = Path(__file__).parents[1]
CLI = [sys.executable, "-m", "lit_passk.cli"]
ARMS = {
    "uniform": [],
    "pools": ["--data.sampler=DifficultyPools"],
    "expected": ["--data.sampler=ExpectedAdvantage"],
}
KS = (1, 4, 8, 16, 64)


class TokenBudget(L.Callback):
    """Ends a training with the step in which it has sampled so many completion tokens.

    Args:
        tokens: How many.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.sampled = 0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count a step's tokens, those of groups that are not trained on too."""
        groups = (*batch.rollouts.groups, *batch.rollouts.not_trained)
        self.sampled += sum(len(completion.token_ids) for group in groups for completion in group.completions)
        trainer.should_stop = trainer.should_stop or self.sampled >= self.tokens

    def state_dict(self) -> dict[str, int]:
        """For a training that is interrupted."""
        return {"sampled": self.sampled}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on counting."""
        self.sampled = state["sampled"]


def main() -> None:
    """Do what is not done yet, then compare what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ..., of the cold start and of the training")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="which ways to train")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="completion tokens that a training samples")
    parser.add_argument("--problems", type=int, default=1000, help="mazes to train on")
    parser.add_argument("--test", type=int, default=512, help="mazes to judge on")
    parser.add_argument("--out", type=Path, default=Path("runs/sampler"), help="folder for everything that is made")
    args = parser.parse_args()
    os.chdir(ROOT)
    check_settings(args)
    for seed in range(args.seeds):
        start = args.out / f"start-{seed}"
        run([*CLI, "sft", "--config=configs/maze_sft_cpu.yaml", f"--seed_everything={seed}", f"--out={start}"], start)
        for arm in args.arms:
            folder = args.out / f"{arm}-{seed}"
            run(fit(arm, seed, start, folder, args), folder / "trained")
            run(measure(seed, start, folder, args), folder / "measured")
    report(args)


def check_settings(args: argparse.Namespace) -> None:
    """Refuse to mix trainings of different settings in one folder."""
    args.out.mkdir(parents=True, exist_ok=True)
    file, mine = args.out / "settings.txt", f"tokens={args.tokens} problems={args.problems} test={args.test}\n"
    if file.exists() and file.read_text() != mine:
        sys.exit(f"{args.out} has trainings of {file.read_text().strip()}, not {mine.strip()}: name another --out.")
    file.write_text(mine)


def fit(arm: str, seed: int, start: Path, folder: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that trains, or goes on training."""
    return [
        *CLI,
        "fit",
        "--config=configs/maze_cpu.yaml",
        f"--seed_everything={seed}",
        f"--model.policy={start}",
        f"--data.train.init_args.num_problems={args.problems}",
        *ARMS[arm],
        "--trainer.max_steps=1000000",
        "--trainer.limit_val_batches=0",
        "--trainer.log_every_n_steps=1",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        f"--trainer.logger.save_dir={folder}",
        "--trainer.callbacks+=scripts.reproduce_sampler.TokenBudget",
        f"--trainer.callbacks.tokens={args.tokens}",
        f"--trainer.default_root_dir={folder}",
        "--ckpt_path=last",
    ]


def measure(seed: int, start: Path, folder: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that samples every test maze; it continues its file."""
    return [
        *CLI,
        "validate",
        "--config=configs/maze_cpu.yaml",
        "--config=configs/maze_test_cpu.yaml",
        f"--seed_everything={seed}",
        f"--model.policy={start}",
        f"--data.val.maze.init_args.num_problems={args.test}",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={folder}",
        f"--rollout.results={folder / 'results.jsonl'}",
        "--ckpt_path=last",
    ]


def run(command: list[str], makes: Path) -> None:
    """Run a command unless what it makes is there; its output goes to a log file beside it."""
    if makes.exists():
        return
    print(f"$ {shlex.join(['lit-passk', *command[len(CLI) :]])}", flush=True)
    makes.parent.mkdir(parents=True, exist_ok=True)
    log = makes.with_suffix(".log")
    environ = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    begin = time.monotonic()
    with log.open("ab") as file:
        status = subprocess.run(command, env=environ, stdout=file, stderr=file).returncode
    if status:
        sys.exit(f"Failed with exit status {status}: see {log}")
    if not makes.exists():
        makes.touch()
    print(f"  {time.monotonic() - begin:.0f} s", flush=True)


def report(args: argparse.Namespace) -> None:
    """Print means over seeds, and differences from ``uniform`` with the same seed."""
    done = {arm: [s for s in range(args.seeds) if (args.out / f"{arm}-{s}" / "measured").exists()] for arm in ARMS}
    numbers = {(arm, s): numbers_of(args.out / f"{arm}-{s}") for arm in ARMS for s in done[arm]}
    columns = [*(f"pass@{k}" for k in KS), "with advantage", "steps"]
    print(f"\n{'':10s}{'seeds':>6s}" + "".join(f"{column:>16s}" for column in columns))
    for arm in ARMS:
        if done[arm]:
            means = [fmean(numbers[arm, s][column] for s in done[arm]) for column in columns]
            print(f"{arm:10s}{len(done[arm]):6d}" + "".join(f"{mean:16.3f}" for mean in means))
    print("\nDifference from uniform, by seed: mean [95 % interval over seeds, Student's t]")
    for arm in [arm for arm in ARMS if arm != "uniform"]:
        seeds = [s for s in done[arm] if s in done["uniform"]]
        for column in columns[:-1] if seeds else []:
            differences = [numbers[arm, s][column] - numbers["uniform", s][column] for s in seeds]
            print(f"  {arm:10s}{column:16s}{interval(differences)}")


def numbers_of(folder: Path) -> dict[str, float]:
    """Pass@k on the test mazes; of the training its steps and the mean share of groups with an advantage."""
    import torch

    from lit_passk.functional import pass_at_k
    from lit_passk.report.summary import scored_counts
    from lit_passk.results import load_results

    counts = torch.tensor(list(scored_counts(load_results(folder / "results.jsonl").groups()["maze"]).values()))
    numbers = {f"pass@{k}": float(pass_at_k(counts[:, 0], counts[:, 1], k).mean()) for k in KS}
    shares = {}
    for file in sorted(folder.glob("lightning_logs/version_*/metrics.csv")):  # one more for each time it went on
        for row in csv.DictReader(file.open()):
            if row.get("train/with_advantage"):
                shares[row["step"]] = float(row["train/with_advantage"])
    return numbers | {"with advantage": fmean(shares.values()), "steps": float(len(shares))}


def interval(differences: list[float]) -> str:
    """Mean and 95 % interval of paired differences.

    Example:
        >>> interval([0.01, 0.03, 0.02, 0.02, 0.02])
        '+0.020 [+0.011, +0.029]'

    """
    mean = fmean(differences)
    if len(differences) < 2:
        return f"{mean:+.3f} [one seed: no interval]"
    half = t_quantile(len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def t_quantile(degrees: int, chance: float = 0.05) -> float:
    """What Student's t exceeds in size with this chance.

    Example:
        >>> round(t_quantile(4), 3), round(t_quantile(9), 3)
        (2.776, 2.262)

    """
    from mpmath import betainc

    low, high = 0.0, 1000.0
    for _ in range(60):
        t = (low + high) / 2
        beyond = betainc(degrees / 2, 0.5, 0, degrees / (degrees + t * t), regularized=True)
        low, high = (t, high) if beyond > chance else (low, t)
    return low


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on with what was not finished.")
