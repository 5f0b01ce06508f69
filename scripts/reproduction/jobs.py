"""Runs what is missing, processes of one thread side by side, and keeps what was measured in a data file."""

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

from reproduction.domain import Domain

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "lit_passk.cli"]
GRACE = 30.0
"""Seconds a command has to end when it is told to."""


class OutOfTime(Exception):  # noqa: N818 - nothing went wrong
    """The minutes are over; what was begun goes on from its last checkpoint next time."""


@dataclass(frozen=True)
class Settings:
    """What all runs share."""

    domain: Domain
    runs: Path
    """Folder of everything that is made; can be thrown away."""
    data: Path
    """JSON lines, one a measurement: what the page is made from."""
    steps: int

    def step(self, part: int) -> int:
        """The RL step at which a part of a training ends."""
        return part * self.steps // self.domain.num_parts


def run(settings: Settings, todo: Sequence[tuple[str, int]], minutes: float, workers: int) -> None:
    """Make every measurement of these pairs of arm and seed that the data file lacks.

    Raises:
        OutOfTime: If some are left when the minutes are over.
    """
    deadline, domain = time.monotonic() + 60 * minutes, settings.domain
    done = {(row["arm"], row["seed"], row["step"], row["key"]) for row in read(settings.data)}
    missing = [
        (arm, seed)
        for arm, seed in todo
        if any((arm, seed, settings.step(part), key(arm, settings)) not in done for part in domain.parts(arm))
    ]
    for arm, seed in missing:
        if not (policy := cold_start(settings, arm, seed)).exists():
            call(cold_start_command(settings, arm, seed, policy), policy.with_suffix(".log"), deadline)
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[None]] = set()
        for number, (arm, seed) in enumerate(missing):
            if len(running) == workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
            print(f"[{number + 1}/{len(missing)}] {domain.arms[arm].label}, seed {seed}", flush=True)
            running.add(pool.submit(train_and_measure, settings, arm, seed, done, deadline))
        for future in running:
            future.result()


def read(data: Path) -> Iterator[dict]:
    """Yield the measurements of a data file."""
    if data.exists():
        for line in data.read_text().splitlines():
            yield json.loads(line)


def key(arm: str, settings: Settings) -> str:
    """What a measurement depends on besides the seed: configurations, options, number of steps."""
    domain, chosen = settings.domain, settings.domain.arms[arm]
    said = (
        chosen.options,
        domain.cold_starts[chosen.cold_start],
        domain.measures.get(chosen.cold_start, ()),
        settings.steps,
    )
    if chosen.tokens_a_step is not None:
        said += (chosen.tokens_a_step,)
    files = [file for file in (domain.sft, domain.test, domain.configuration) if file is not None]
    return hashlib.sha256(repr(said).encode() + b"".join((ROOT / f).read_bytes() for f in files)).hexdigest()[:8]


def cold_start(settings: Settings, arm: str, seed: int) -> Path:
    """Where the policy lies that a training begins with."""
    name = settings.domain.arms[arm].cold_start
    folder = settings.runs / (name if settings.domain.sft is None else f"{name}-{seed}")
    return folder / "cold_start"


def cold_start_command(settings: Settings, arm: str, seed: int, policy: Path) -> list[str]:
    """Return the command that makes it."""
    domain = settings.domain
    options = domain.cold_starts[domain.arms[arm].cold_start]
    if domain.sft is None:
        assert domain.prepare is not None
        return [sys.executable, domain.prepare, "--out", str(policy), *options]
    return [*CLI, "sft", "--config", domain.sft, "--out", str(policy), "--seed_everything", str(seed), *options]


def train_and_measure(settings: Settings, arm: str, seed: int, done: set, deadline: float) -> None:
    """Train one arm with one seed, measure its checkpoints, keep the numbers, throw the checkpoints away."""
    domain, policy = settings.domain, cold_start(settings, arm, seed)
    folder = policy.parent / f"{arm}-{seed}-{key(arm, settings)}"
    log = folder.with_suffix(".log")
    if domain.last_part(arm) > 0 and not is_trained(settings, arm, folder):
        call(fit(settings, arm, seed, folder), log, deadline)
    for part in domain.parts(arm):
        step = settings.step(part)
        if (arm, seed, step, key(arm, settings)) not in done:
            results = folder / f"step_{step}.jsonl"
            call(measure(settings, arm, seed, folder, step, results), log, deadline)
            keep(settings, arm, seed, step, folder, results)
    shutil.rmtree(folder)


def is_trained(settings: Settings, arm: str, folder: Path) -> bool:
    """Whether a training has come to its end."""
    last = settings.steps
    if settings.domain.arms[arm].tokens_a_step is not None:
        last = budget(folder).get("steps", 0)
    return checkpoint(folder, last).exists()


def budget(folder: Path) -> dict:
    """What ``TokenBudget`` said of a training, if there was one and it has come to its end."""
    file = folder / "budget.json"
    return json.loads(file.read_text()) if file.exists() else {}


def checkpoint(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / "checkpoints" / f"step={step}.ckpt"


def fit(settings: Settings, arm: str, seed: int, folder: Path) -> list[str]:
    """Return the command that trains, or goes on training."""
    domain, chosen = settings.domain, settings.domain.arms[arm]
    steps, parts = settings.steps, domain.parts(arm)
    command = [*CLI, "fit", "--config", domain.configuration, "--seed_everything", str(seed)]
    command += ["--model.policy", str(cold_start(settings, arm, seed)), "--trainer.limit_val_batches", "0"]
    command += ["--trainer.default_root_dir", str(folder), "--ckpt_path", "last"]
    command += ["--checkpoint.every", str(settings.step(1)), "--checkpoint.keep", str(len(parts))]
    if chosen.tokens_a_step is not None:
        command += ["--trainer.callbacks+=reproduction.pieces.TokenBudget"]
        command += [f"--trainer.callbacks.tokens={chosen.tokens_a_step * steps}"]
        steps = 1_000_000  # the budget ends it
    return [*command, "--trainer.max_steps", str(steps), *chosen.options]


def measure(settings: Settings, arm: str, seed: int, folder: Path, step: int, results: Path) -> list[str]:
    """Return the command that samples every test problem; it continues its file."""
    domain, chosen = settings.domain, settings.domain.arms[arm]
    command = [*CLI, "validate", "--config", domain.configuration, "--config", domain.test, "--trainer.logger", "false"]
    command += ["--seed_everything", str(seed), "--model.policy", str(cold_start(settings, arm, seed))]
    command += ["--trainer.default_root_dir", str(folder / "measured"), "--rollout.results", str(results)]
    if step > 0:
        command += ["--ckpt_path", str(checkpoint(folder, budget(folder).get("steps", step)))]
    return [*command, *domain.measures.get(chosen.cold_start, ())]


def keep(settings: Settings, arm: str, seed: int, step: int, folder: Path, results: Path) -> None:
    """Add a measurement to the data file: per problem how many of its samples are correct; sizes where they differ."""
    from lit_passk.results import load_results

    problems, tokens, logprob = load_results(results).groups()[settings.domain.task], 0, 0.0
    row: dict = {
        "arm": arm,
        "seed": seed,
        "step": step,
        "key": key(arm, settings),
        "label": settings.domain.arms[arm].label,
    }
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
    row |= budget(folder)
    settings.data.parent.mkdir(parents=True, exist_ok=True)
    with settings.data.open("a") as file:  # one write of one line: two threads may be here
        file.write(json.dumps(row) + "\n")


def call(command: list[str], log: Path, deadline: float) -> None:
    """Run a command until the deadline, its output in a log file; stop with its end when it failed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    paths = f"{ROOT / 'src'}:{ROOT / 'scripts'}"
    environ = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": paths}
    with log.open("a") as file:
        if time.monotonic() >= deadline:
            raise OutOfTime
        file.write(f"$ {shlex.join(command)}\n")
        file.flush()
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file)
        try:
            status = process.wait(deadline - time.monotonic())
        except subprocess.TimeoutExpired:
            end(process)
            raise OutOfTime from None
        except BaseException:
            end(process)
            raise
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"A command failed with exit status {status}:\n{tail}\nThe whole log: {log}")


def end(process: subprocess.Popen) -> None:
    """End a command; one that does not listen is killed, which costs it no more than the steps since its checkpoint."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
