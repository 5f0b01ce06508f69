"""Runs what is missing, two processes of one thread at a time, and keeps what was measured in a data file."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from reproduction.arms import ARMS, COLD_STARTS, MEASURES, STEPS, Arm

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "lit_passk.cli"]
FIT = ["--config", "configs/maze_cpu.yaml"]
TEST = [*FIT, "--config", "configs/maze_test_cpu.yaml", "--trainer.logger", "false"]


@dataclass(frozen=True)
class Settings:
    """What all runs share."""

    runs: Path
    """Folder of everything that is made; can be thrown away."""
    data: Path
    """JSON lines, one a measurement: what the page is made from."""
    steps: int = STEPS

    def at(self, step: int) -> int:
        """A step of the full length in a run of this one."""
        return max(1, step * self.steps // STEPS)


def run(settings: Settings, arms: Sequence[str], seeds: Sequence[int], minutes: float, workers: int = 2) -> bool:
    """Make every measurement that the data file lacks, seed by seed; returns whether all are there."""
    deadline = time.monotonic() + 60 * minutes
    done = {(row["arm"], row["seed"], row["step"], row["key"]) for row in read(settings.data)}
    todo = [
        (arm, seed)
        for seed in seeds
        for arm in arms
        if any((arm, seed, settings.at(step), key(arm, settings)) not in done for step in ARMS[arm].measured_at)
    ]
    for cold, seed in dict.fromkeys((ARMS[arm].cold_start, seed) for arm, seed in todo):
        make_cold_start(settings, cold, seed)
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[None]] = set()
        for number, (arm, seed) in enumerate(todo):
            if len(running) == workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
            if time.monotonic() > deadline:
                wait(running)
                print(f"Out of time: {len(todo) - number} trainings are left. The same command goes on with them.")
                return False
            print(f"[{number + 1}/{len(todo)}] {ARMS[arm].label}, seed {seed}", flush=True)
            running.add(pool.submit(train_and_measure, settings, arm, seed, done))
        for future in running:
            future.result()
    return True


def read(data: Path) -> Iterator[dict]:
    """Yield the measurements of a data file."""
    if data.exists():
        for line in data.read_text().splitlines():
            yield json.loads(line)


def key(arm: str, settings: Settings) -> str:
    """What a measurement depends on besides the seed: configurations, options, number of steps."""
    files = [ROOT / "configs" / f"maze_{name}_cpu.yaml" for name in ("sft", "test")] + [ROOT / "configs/maze_cpu.yaml"]
    chosen = ARMS[arm]
    said = (chosen.options, COLD_STARTS[chosen.cold_start], MEASURES[chosen.cold_start], settings.steps)
    return hashlib.sha256(repr(said).encode() + b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def cold_start(settings: Settings, name: str, seed: int) -> Path:
    """Where a cold start lies."""
    return settings.runs / f"{name}-{seed}" / "cold_start"


def make_cold_start(settings: Settings, name: str, seed: int) -> None:
    """Make a cold start unless it is there."""
    folder = cold_start(settings, name, seed)
    if not folder.exists():
        command = [*CLI, "sft", "--config", "configs/maze_sft_cpu.yaml", "--out", str(folder)]
        call([*command, "--seed_everything", str(seed), *COLD_STARTS[name]], folder.parent / "cold_start.log")


def train_and_measure(settings: Settings, arm: str, seed: int, done: set) -> None:
    """Train one arm with one seed, measure its checkpoints, keep the numbers, throw the checkpoints away."""
    chosen, folder = ARMS[arm], settings.runs / f"{ARMS[arm].cold_start}-{seed}" / f"{arm}-{key(arm, settings)}"
    policy, common = str(cold_start(settings, chosen.cold_start, seed)), ["--seed_everything", str(seed)]
    steps = sorted({settings.at(step) for step in chosen.measured_at})
    checkpoints = {step: folder / "checkpoints" / f"step={step}.ckpt" for step in steps}
    if not checkpoints[steps[-1]].exists():
        command = [*CLI, "fit", *FIT, *common, "--model.policy", policy, "--trainer.max_steps", str(settings.steps)]
        command += [
            "--trainer.limit_val_batches",
            "0",
            "--trainer.default_root_dir",
            str(folder),
            "--ckpt_path",
            "last",
        ]
        command += ["--checkpoint.every", str(steps[0]), "--checkpoint.keep", str(len(steps))]
        call([*command, *chosen.options], folder.with_suffix(".log"))
    for step in steps:
        if (arm, seed, step, key(arm, settings)) in done:
            continue
        results = folder / f"step_{step}.jsonl"
        command = [*CLI, "validate", *TEST, *common, "--model.policy", policy, "--ckpt_path", str(checkpoints[step])]
        command += ["--trainer.default_root_dir", str(folder / "measured"), "--rollout.results", str(results)]
        call([*command, *MEASURES[chosen.cold_start]], folder.with_suffix(".log"))
        keep(settings.data, chosen, arm, seed, step, key(arm, settings), results)
    shutil.rmtree(folder)


def keep(data: Path, arm: Arm, name: str, seed: int, step: int, settings_key: str, results: Path) -> None:
    """Add a measurement to the data file: per maze how many of its samples are correct; sizes where they differ."""
    from lit_passk.results import load_results

    problems, tokens, logprob = load_results(results).groups()["maze"], 0, 0.0
    row = {"arm": name, "seed": seed, "step": step, "key": settings_key, "label": arm.label}
    (samples,) = {len(records) for records in problems.values()}
    different, sizes = 0, []
    row |= {"samples": samples, "correct": []}
    for records in problems.values():
        row["correct"].append(sum(record.correct for record in records))
        different += len({record.answer for record in records if record.answer is not None})
        sizes.append(records[0].prompt.strip().count("\n") + 1)
        tokens += sum(record.num_tokens for record in records)
        logprob += sum((record.mean_logprob or 0.0) * record.num_tokens for record in records)
    row |= {"entropy": round(-logprob / tokens, 6), "different": round(different / len(problems), 4)}
    if len(set(sizes)) > 1:
        row["sizes"] = sizes
    data.parent.mkdir(parents=True, exist_ok=True)
    with data.open("a") as file:  # one write of one line: two threads may be here
        file.write(json.dumps(row) + "\n")


def call(command: list[str], log: Path) -> None:
    """Run a command, its output in a log file; stop with its end when it failed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    paths = f"{ROOT / 'src'}:{ROOT / 'scripts'}"
    environ = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": paths}
    with log.open("a") as file:
        file.write(f"$ {shlex.join(command)}\n")
        file.flush()
        status = subprocess.run(command, cwd=ROOT, env=environ, stdout=file, stderr=file, check=False).returncode
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"A command failed with exit status {status}:\n{tail}\nThe whole log: {log}")
