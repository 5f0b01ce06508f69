"""The main job: Pass@1, Pass@k and Pass@k-then-Pass@1 training from one cold start, compared on unseen mazes.

Every step is a command that can be typed by hand; they are printed as they are run. Works in runs/quickstart-HASH, with
a hash of the configurations, so that finished steps are reused as long as nothing they depend on has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLI = [str(Path(sys.executable).with_name("lit-passk"))]
CONFIGS = ["configs/maze_sft_cpu.yaml", "configs/maze_cpu.yaml", "configs/maze_test_cpu.yaml"]
ARMS = {
    "cold_start": "cold start",
    "pass1": "Pass@1 training",
    "passk": "Pass@4 training",
    "passk_then_pass1": "Pass@4 then Pass@1",
}


class Step:
    """One command and the file or folder that it makes; finished work is not done again."""

    def __init__(self, folder: Path, name: str, command: list[str], makes: Path) -> None:
        self.name, self.command, self.makes = name, command, makes
        self.log = folder / "logs" / (name.replace(" ", "_") + ".log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the command, its output in a log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        short = [Path(self.command[0]).name, *self.command[1:]]
        print(f"$ {shlex.join(short)}")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=log, stderr=log, env=environment)

    def check(self) -> None:
        """Stop with the end of the log when the command failed."""
        assert self.process is not None
        if self.process.returncode == 0 and self.makes.suffix == ".evaluated":
            self.makes.touch()
        if self.process.returncode != 0 or not self.makes.exists():
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            sys.exit(f"{self.name} failed (exit status {self.process.returncode}):\n{tail}\nThe whole log: {self.log}")


def run(*queues: list[Step]) -> None:
    """Run queues of steps side by side, one process of one thread each."""
    waiting = [[step for step in queue if not step.makes.exists()] for queue in queues]
    running: list[Step | None] = [None] * len(queues)
    begin = time.monotonic()
    try:
        while any(waiting) or any(running):
            for slot, queue in enumerate(waiting):
                step = running[slot]
                if step is not None and step.process is not None and step.process.poll() is not None:
                    step.check()
                    running[slot] = None
                if running[slot] is None and queue:
                    running[slot] = queue.pop(0)
                    running[slot].start()  # type: ignore[union-attr]
            names = " and ".join(step.name for step in running if step is not None)
            if names and sys.stdout.isatty():
                print(f"\r\033[K  {names}: {time.monotonic() - begin:.0f} s", end="", flush=True)
            time.sleep(0.2)
    finally:
        for step in running:
            if step is not None and step.process is not None and step.process.poll() is None:
                step.process.terminate()
                step.process.wait()
        if sys.stdout.isatty():
            print("\r\033[K", end="")


def change_over(steps: int) -> int:
    """Where Pass@k-then-Pass@1 branches off: chosen among 1/2, 2/3 and 3/4 on the validation split of the mazes."""
    return max(1, steps * 3 // 4)


def train(folder: Path, arm: str, steps: int, *overrides: str, start: Path | None = None) -> Step:
    """Train one arm from the cold start, or from another arm's checkpoint."""
    out = folder / arm
    command = [*CLI, "fit", "--config", "configs/maze_cpu.yaml", "--model.policy", str(folder / "cold_start")]
    command += ["--trainer.max_steps", str(steps), "--trainer.limit_val_batches", "0"]
    command += ["--trainer.default_root_dir", str(out)]
    if start is None or any((out / "checkpoints").glob("*.ckpt")):  # an interrupted run goes on
        command += ["--ckpt_path", "last"]
    else:
        command += ["--ckpt_path", str(start)]
    command += ["--checkpoint.every", str(change_over(steps)), "--checkpoint.keep", "2"]
    return Step(folder, ARMS[arm], [*command, *overrides], out / "checkpoints" / f"step={steps}.ckpt")


def evaluate(folder: Path, arm: str, checkpoint: Path | None) -> Step:
    """Sample 64 paths for each of 512 mazes of the test split."""
    command = [*CLI, "validate", "--config", "configs/maze_cpu.yaml", "--config", "configs/maze_test_cpu.yaml"]
    command += ["--model.policy", str(folder / "cold_start"), "--trainer.logger", "false"]
    command += ["--trainer.default_root_dir", str(folder / arm)]
    command += ["--rollout.results", str(folder / f"{arm}.jsonl")]
    if checkpoint is not None:
        command += ["--ckpt_path", str(checkpoint)]
    return Step(folder, f"evaluation of {ARMS[arm]}", command, folder / f"{arm}.evaluated")


def plan(folder: Path, steps: int, seed: int) -> Iterator[list[list[Step]]]:
    """Yield what is to be done, one after the other: queues of steps that run side by side."""
    seeded, pass1 = ["--seed_everything", str(seed)], ["--model.advantage", "GRPO"]
    branch = folder / "passk" / "checkpoints" / f"step={change_over(steps)}.ckpt"
    cold = [*CLI, "sft", "--config", "configs/maze_sft_cpu.yaml", "--out", str(folder / "cold_start"), *seeded]
    yield [[Step(folder, "cold start", cold, folder / "cold_start")]]
    yield [[train(folder, "pass1", steps, *pass1, *seeded)], [train(folder, "passk", steps, *seeded)]]
    last = {arm: folder / arm / "checkpoints" / f"step={steps}.ckpt" for arm in list(ARMS)[1:]}
    yield [
        [
            train(folder, "passk_then_pass1", steps, *pass1, *seeded, start=branch),
            evaluate(folder, "passk_then_pass1", last["passk_then_pass1"]),
        ],
        [evaluate(folder, "cold_start", None), *(evaluate(folder, arm, last[arm]) for arm in ("pass1", "passk"))],
    ]


def main() -> None:
    """Run the steps, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="RL steps of each training")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cold start and of the trainings")
    args = parser.parse_args()
    begin = time.monotonic()
    key = hashlib.sha256(repr(vars(args)).encode() + b"".join((ROOT / c).read_bytes() for c in CONFIGS)).hexdigest()[:8]
    folder = Path("runs") / f"quickstart-{key}"
    (ROOT / folder).mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    for queues in plan(folder, args.steps, args.seed):
        run(*queues)
    report(folder)
    print(f"\n{time.monotonic() - begin:.0f} s in all.")


def report(folder: Path) -> None:
    """Print the table and the verdict, and draw the picture."""
    import torch

    from lit_passk.functional.bootstrap import pass_at_k_interval
    from lit_passk.report.compare import compare
    from lit_passk.report.plot import plot_pass_at_k
    from lit_passk.report.summary import scored_counts, summarize
    from lit_passk.results import load_results

    results = {arm: load_results(folder / f"{arm}.jsonl") for arm in ARMS}
    curves, shown, ks = {}, (1, 2, 4, 8, 16, 32, 64), list(range(1, 65))
    print(f"\n{'512 unseen mazes, 64 samples each':34s}" + "".join(f"  pass@{k:<3d}" for k in shown) + " entropy")
    for arm, label in ARMS.items():
        num_correct, num_samples = zip(*scored_counts(results[arm].groups()["maze"]).values(), strict=True)
        bounds = pass_at_k_interval(torch.tensor(num_correct), torch.tensor(num_samples), ks)
        curves[label] = dict(zip(ks, zip(*(bound.tolist() for bound in bounds), strict=True), strict=True))
        records = results[arm].records
        entropy = -sum(r.mean_logprob * r.num_tokens for r in records) / sum(r.num_tokens for r in records)
        print(f"{label:34s}" + "".join(f"  {curves[label][k][0]:8.3f}" for k in shown) + f"  {entropy:.3f}")

    print("\nPaired differences, 95 % bootstrap intervals over mazes (one seed: training noise is not in them):")
    claims = [("passk", "pass1", (1, 8, 64)), ("passk_then_pass1", "pass1", (1, 64))]
    summaries = {arm: summarize(results[arm], label)[0] for arm, label in ARMS.items()}  # the mazes are all there is
    verdicts = {}
    for arm, baseline, ks in claims:
        comparison = compare(summaries[baseline], summaries[arm], ks=ks)
        for d in comparison.differences:
            verdicts[arm, d.k] = d
            sure = "" if d.clear else "  (the interval holds 0)"
            pair = f"{ARMS[arm]:19s} - {ARMS[baseline]}"
            print(f"  {pair}  pass@{d.k:<3d} {d.value:+.3f}  [{d.low:+.3f}, {d.high:+.3f}]{sure}")
    wider = all(verdicts["passk", k].low > 0 for k in (8, 64))
    level = verdicts["passk_then_pass1", 1].high >= 0
    kept = verdicts["passk_then_pass1", 64].low > 0
    print(f"\nPass@k training above Pass@1 training at pass@8 and pass@64: {'yes' if wider else 'NO'}")
    print(f"Pass@k then Pass@1 not below Pass@1 training at pass@1: {'yes' if level else 'NO'}; ", end="")
    print(f"above it at pass@64: {'yes' if kept else 'NO'}")

    picture = folder / "pass_at_k.png"
    plot_pass_at_k(curves, title="Pass@k Training on 5x5 mazes").savefig(picture)
    print(f"\nThe picture: {picture}")
    print(f"To look through the answers: .venv/bin/lit-passk report {folder}/*.jsonl --out {folder}/report")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on with what was not finished.")
