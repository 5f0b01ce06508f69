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
    out, policy = ROOT / args.out, ROOT / "runs/smollm2"
    out.mkdir(parents=True, exist_ok=True)
    seed = f"--seed_everything={args.seed}"

    run({policy / "config.json": [sys.executable, "scripts/prepare_smollm2.py", f"--out={policy}"]}, out)
    # What is common to both trainings is measured while they run elsewhere; it takes a tenth of their time.
    trainings = {
        out / arm / "checkpoints": [*CLI, "fit", CONFIG, seed, *options, f"--model.policy={policy}"]
        + [
            f"--trainer.max_steps={args.steps}",
            f"--trainer.default_root_dir={out / arm}",
            "--trainer.limit_val_batches=0",
        ]
        for arm, options in ARMS.items()
    }
    run(trainings, out)
    exports = {
        out / arm / "policy": [*CLI, "export", f"--ckpt_path={out / arm}", f"--out={out / arm / 'policy'}"]
        for arm in ARMS
    }
    run(exports, out)
    policies = {"start": policy} | {arm: out / arm / "policy" for arm in ARMS}
    measurements = {
        out / f"{name}.jsonl": [*CLI, "validate", CONFIG, seed, f"--model.policy={folder}"]
        + [f"--rollout.val_sampling.n={args.samples}", f"--rollout.results={out / f'{name}.jsonl'}"]
        + [f"--trainer.default_root_dir={out / name}", "--data.val.products.num_problems=null"]
        for name, folder in policies.items()
    }
    for made, command in measurements.items():
        run({made: command}, out, threads=2)
    files = [str(path) for path in measurements]
    subprocess.run(
        [*CLI, "report", *files, "--compare", f"--out={out / 'report'}", "-k", "1", "16"], check=True, cwd=ROOT
    )


def run(commands: dict[Path, list[str]], out: Path, threads: int = 1) -> None:
    """Run commands side by side, each unless what it makes is there; stop when one fails."""
    begin, running = time.monotonic(), []
    for made, command in commands.items():
        if made.exists():
            continue
        log = out / f"{made.parent.name if made.name == 'checkpoints' else made.stem}.log"
        print(f"$ {shlex.join(command)}   > {log}", flush=True)
        environ = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        with log.open("ab") as file:
            running.append((subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file), log))
    for process, log in running:
        if process.wait():
            sys.exit(f"Failed with exit status {process.returncode}: see {log}")
    if running:
        print(f"  {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
