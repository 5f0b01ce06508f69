"""Whether a long training stays as it began: memory, handles, threads, semaphores, files and time of a step.

    .venv/bin/python scripts/long_run.py fit --config configs/maze_cpu.yaml --trainer.max_steps 2000 ...
    .venv/bin/python scripts/long_run.py table runs/maze/long_run.jsonl

The first is `lit-passk fit` with a callback that looks at its own process and all below it every few steps, and appends
what it saw to `long_run.jsonl` in the run's folder. The second fits a line to each series and prints a table: a series
is called flat when its slope's 95 % interval holds 0, or when the slope moves it by less than 1 % in 1,000 steps.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import psutil

from lit_passk import cli

FILE = "long_run.jsonl"
MIB = 2**20
BLOCKS = 16
"""Neighbouring samples are alike: the line is fitted to as many means of neighbours, which are nearly independent."""
T_975 = 2.145
"""Student's t of a 95 % interval with `BLOCKS` - 2 degrees of freedom."""
WARM_UP = 0.2
"""Share of a run that is left out: engines, caches and the allocator fill up in it."""
FLAT = 0.01


class Watch(L.Callback):
    """Looks at this process and its descendants every so many RL steps.

    Args:
        every: RL steps from one look to the next.
    """

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self.begin, self.cpu = 0.0, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        """Append one look."""
        if pl_module.rl_step % self.every or not trainer.is_global_zero:
            return
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        now, cpu = time.monotonic(), sum(map(cpu_seconds, processes))
        look = look_at(processes, Path(trainer.default_root_dir))
        if self.begin:
            look["seconds of a step"] = (now - self.begin) / self.every
            look["CPU seconds of a step"] = (cpu - self.cpu) / self.every
        self.begin, self.cpu = now, cpu
        with (Path(trainer.default_root_dir) / FILE).open("a") as stream:
            stream.write(json.dumps({"step": pl_module.rl_step, **look}) + "\n")


def cpu_seconds(process: psutil.Process) -> float:
    """Processor seconds of a process and of children that have ended."""
    return sum(process.cpu_times()[:4]) if process.is_running() else 0.0


def look_at(processes: Sequence[psutil.Process], folder: Path) -> dict[str, float]:
    """What a training occupies now."""
    look: Counter[str] = Counter()
    shared: set[str] = set()
    for number, process in enumerate(processes):
        try:
            memory, role = process.memory_full_info(), "trainer" if number == 0 else role_of(process)
            look[f"{role}: RSS, MiB"] += memory.rss / MIB
            look[f"{role}: PSS, MiB"] += memory.pss / MIB
            look[f"{role}: handles"] += process.num_fds()
            look[f"{role}: threads"] += process.num_threads()
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        except (psutil.NoSuchProcess, OSError):  # it ended while it was looked at
            continue
        shared |= set(re.findall(r"/dev/shm/\S+", maps))
    look["processes"] = len(processes)
    look["semaphores and shared memory"] = len(shared)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != FILE:
            part = path.relative_to(folder).parts[0] if path.parent != folder else "others"
            look[f"{part}/: KiB"] += path.stat().st_size / 1024
            look[f"{part}/: files"] += 1
    return dict(look)


def role_of(process: psutil.Process) -> str:
    """What a descendant of the trainer is for."""
    line = " ".join(process.cmdline())
    if "lit_passk.scoring" in line:
        return "scoring"
    return "resource tracker" if "resource_tracker" in line else process.name()


def slope(steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Slope of a series over 1,000 steps and half of its 95 % interval, by the means of blocks of neighbours."""
    x = np.array([part.mean() for part in np.array_split(steps, BLOCKS)]) / 1000
    y = np.array([part.mean() for part in np.array_split(values, BLOCKS)])
    deviation = x - x.mean()
    rise = float(deviation @ y / (deviation @ deviation))
    rest = y - y.mean() - rise * deviation
    error = float(np.sqrt(rest @ rest / (BLOCKS - 2) / (deviation @ deviation)))
    return rise, T_975 * error


def number(value: float) -> str:
    """Three digits; what is left of a constant by rounding is 0."""
    return f"{value:+.3g}" if abs(value) > 1e-9 else "0"


def rows(path: Path) -> Iterator[str]:
    """The table of a run."""
    looks = [json.loads(line) for line in path.read_text().splitlines()]
    looks = looks[int(len(looks) * WARM_UP) :]
    first, last = looks[0]["step"], looks[-1]["step"]
    yield f"| steps {first} to {last}, {len(looks)} samples | median | largest | per 1,000 steps | |"
    yield "|---|---|---|---|---|"
    for name in sorted({name for look in looks for name in look} - {"step"}):
        series = [(look["step"], look.get(name, 0.0)) for look in looks]
        steps, values = np.array(series).T
        rise, half = slope(steps, values)
        middle = float(np.median(values))
        flat = abs(rise) <= half or abs(rise) <= FLAT * abs(middle)
        yield (
            f"| {name} | {middle:.4g} | {values.max():.4g} | "
            f"{number(rise)} [{number(rise - half)}, {number(rise + half)}] | "
            f"{'flat' if flat else 'grows' if rise > 0 else 'falls'} |"
        )


def main() -> None:
    """Run the training, or print the table of one."""
    if sys.argv[1:2] == ["fit"]:
        cli.main([*sys.argv[1:], "--trainer.callbacks+", "long_run.Watch"])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["fit", "table"], help="`fit` takes what `lit-passk fit` takes")
    parser.add_argument("file", type=Path, help=f"the `{FILE}` of a run")
    print("\n".join(rows(parser.parse_args().file)))


if __name__ == "__main__":
    main()
