"""What the steps in this folder share: their options, and results that are kept so that a step can go on."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
SHORTEST = 20
"""Seconds that must be left for another measurement to begin."""


def options(description: str | None, *more: tuple[str, str]) -> argparse.Namespace:
    """Options of every step; ``tiny`` tries it on a CPU as far as it goes.

    Args:
        description: The step's docstring.
        *more: Name and help of options that one step has.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder for results and models")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to see that the step works")
    parser.add_argument("--minutes", type=float, default=60, help="end after so long; the next start goes on")
    parser.add_argument("--retry", action="store_true", help="make failed measurements again")
    for name, text in more:
        parser.add_argument(name, help=text)
    args = parser.parse_args()
    args.out = args.out.resolve()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU. To try this step without one: --device cpu --tiny.")
    return args


class Results:
    """A JSON Lines file, a line for every measurement that is done; a step that is started again does the others.

    A measurement is a process with a group of its own, so that nothing of it is left when it is stopped. Ended from
    outside by SIGTERM or SIGINT, a step stops its measurements, writes nothing about them and ends.

    Args:
        args: Of ``options``.
        name: The file's name.
    """

    def __init__(self, args: argparse.Namespace, name: str) -> None:
        self.path, self.retry = args.out / name, args.retry
        self.logs = args.out / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.ends = time.monotonic() + 60 * args.minutes
        self.lines = {line["name"]: line for line in self._read()}
        self._lock, self._running, self._stopped = threading.RLock(), set[subprocess.Popen[bytes]](), False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.add("machine", device=args.device, torch=torch.__version__, python=sys.version.split()[0], gpu=gpu_name())

    def _read(self) -> list[dict[str, Any]]:
        """What is there; half a line at the end, of a machine that went away, is cut off."""
        if not self.path.exists():
            return []
        whole, newline, _ = self.path.read_text().rpartition("\n")
        self.path.write_text(whole + newline)
        return [json.loads(line) for line in whole.splitlines()]

    def _stop(self, number: int, _frame: Any) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                kill(process)
        raise SystemExit(128 + number)

    def has(self, name: str) -> bool:
        """Whether a measurement is not to be made again: it ended by itself, and well where ``--retry`` is given."""
        line = self.lines.get(name, {"again": True})
        return not line.get("again") and (line["ok"] or not self.retry)

    def time_left(self) -> bool:
        """Whether ``--minutes`` leaves enough for another measurement."""
        return self.ends - time.monotonic() > SHORTEST

    def run(self, name: str, command: Sequence[str], seconds: float) -> bool:
        """Run a command unless that was done before; whether it ended well, now or then.

        Its line holds the time, the last JSON object that it printed, if any, and else the end of what it printed.

        Args:
            name: Of the measurement.
            command: A command line.
            seconds: What it may take. Cut shorter than this by ``--minutes``, it is done again at the next start.
        """
        if self.has(name):
            return self.lines[name]["ok"]
        if not self.time_left() or self._stopped:
            print("left", name, flush=True)
            return False
        limit = min(seconds, self.ends - time.monotonic())
        begin = time.monotonic()
        log = self.logs / f"{re.sub('[^A-Za-z0-9.]+', '-', name)}.log"
        status = self._run(command, log, limit)
        if self._stopped:
            return False
        output = log.read_text(errors="replace")
        values = {"values": found} if (found := last_object(output)) else {"tail": output[-1500:]}
        if status is None:
            values |= {"stopped_after": round(limit), "again": limit < seconds}
        return self.add(
            name, ok=status == 0, seconds=round(time.monotonic() - begin, 1), command=list(command), **values
        )

    def _run(self, command: Sequence[str], log: Path, limit: float) -> int | None:
        """The command's exit status, None when its time was over."""
        variables = {"OMP_NUM_THREADS": "4", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", **os.environ}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [f"{REPOSITORY}/src", os.environ.get("PYTHONPATH")]))
        with log.open("wb") as file:
            with self._lock:  # so that none begins while the others are stopped
                if self._stopped:
                    return None
                process = subprocess.Popen(
                    command, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, env=variables, process_group=0
                )
                self._running.add(process)
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                return None
            finally:
                kill(process)  # and whatever it started
                process.wait()
                self._running.discard(process)

    def skip(self, name: str, reason: str) -> None:
        """Write down why a measurement cannot be made here; the next start looks again."""
        self.add(name, ok=False, skipped=reason, again=True)

    def add(self, name: str, ok: bool = True, **values: Any) -> bool:
        """Write a line at once: a GPU may be gone the next minute."""
        line = {"name": name, "ok": ok, **values}
        with self._lock:
            if line == self.lines.get(name):
                return ok
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.lines[name] = line
        print("skip" if "skipped" in values else "ok  " if ok else "FAIL", name, values.get("seconds", ""), flush=True)
        return ok


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def last_object(output: str) -> dict[str, Any] | None:
    """The last line that is a JSON object."""
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def gpu_name() -> str | None:
    """Which GPU this is."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def cannot_import(interpreter: str, *modules: str) -> str | None:
    """Why an interpreter cannot import modules; None when it can."""
    code = "; ".join(f"import {module}" for module in modules)
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def python(*args: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, *args]


def tiny_policy(folder: Path) -> str:
    """A random Llama of two layers over printable characters, heads wide enough for every kernel."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sys.path.insert(0, str(REPOSITORY / "src"))
    from lit_passk.modules.sft import build_tokenizer

    if not (folder / "tokenizer.json").exists():  # written last
        tokenizer = build_tokenizer([chr(code) for code in range(32, 127)] + ["\n"])
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)
