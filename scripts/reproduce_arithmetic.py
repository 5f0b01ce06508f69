"""A real model learns: SmolLM2-135M-Instruct on products of two numbers, Pass@1 against Pass@k training, on a CPU.

Prepares the model, measures it, trains it twice from the same start (side by side, one process of one thread each),
measures both on products of pairs of factors that were never trained on, and compares them problem by problem:

    python scripts/reproduce_arithmetic.py                # about 40 minutes of training on two cores
    python scripts/reproduce_arithmetic.py --steps 2      # a look at whether it runs

Every step is a command that can be typed by hand; they are printed. Finished steps are not done again.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLI = [sys.executable, "-m", "lit_passk.cli"]
CONFIG = "--config=configs/arithmetic_smollm2_cpu.yaml"
ARMS = {"pass1": ["--model.advantage=GRPO"], "passk": ["--model.advantage=PassKAnalytic", "--model.advantage.k=4"]}


def main() -> None:
    """Run all steps that are not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=24, help="RL steps of each training")
    parser.add_argument("--samples", type=int, default=32, help="completions a problem in the measurements")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/arithmetic"), help="folder for everything that is made")
    args = parser.parse_args()
    out, start = ROOT / args.out, ROOT / "runs/smollm2"
    policies = {"start": start} | {arm: out / arm / "policy" for arm in ARMS}
    out.mkdir(parents=True, exist_ok=True)

    if not start.exists():
        run({"prepare": [sys.executable, "scripts/prepare_smollm2.py", f"--out={start}"]}, out)
    todo = [arm for arm in ARMS if not policies[arm].exists()]
    run({f"fit_{arm}": fit(arm, start, out / arm, args) for arm in todo}, out)
    run({f"export_{arm}": [*CLI, "export", f"--ckpt_path={out / arm}", f"--out={policies[arm]}"] for arm in todo}, out)
    for name, policy in policies.items():  # continues its file: nothing is sampled twice
        run({f"measure_{name}": measure(policy, out / f"{name}.jsonl", args)}, out, threads=2)
    for baseline, arm in (("start", "pass1"), ("start", "passk"), ("pass1", "passk")):
        files = [str(out / f"{name}.jsonl") for name in (baseline, arm)]
        subprocess.run([*CLI, "report", *files, "--compare", "--k", "1", "4", "16"], check=True, cwd=ROOT)


def fit(arm: str, start: Path, folder: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that trains one arm, or goes on with it."""
    command = [*CLI, "fit", CONFIG, *ARMS[arm], f"--seed_everything={args.seed}", f"--model.policy={start}"]
    command += [f"--trainer.max_steps={args.steps}", f"--trainer.default_root_dir={folder}"]
    command += ["--trainer.limit_val_batches=0"]  # measured below, with more samples
    return [*command, "--ckpt_path=last"] if (folder / "checkpoints").exists() else command


def measure(policy: Path, results: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that samples every held-out problem."""
    command = [*CLI, "validate", CONFIG, f"--seed_everything={args.seed}", f"--model.policy={policy}"]
    command += [f"--rollout.val_sampling.n={args.samples}", f"--rollout.results={results}"]
    return [*command, f"--trainer.default_root_dir={results.with_suffix('')}"]


def run(commands: dict[str, list[str]], out: Path, threads: int = 1) -> None:
    """Run commands side by side, their output in log files; stop when one fails."""
    begin, running = time.monotonic(), []
    for name, command in commands.items():
        log = out / f"{name}.log"
        print(f"$ {shlex.join(command)}", flush=True)
        environ = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        with log.open("ab") as file:
            running.append((subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file), log))
    for process, log in running:
        if process.wait():
            sys.exit(f"Failed with exit status {process.returncode}: see {log}")
    print(f"  {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
