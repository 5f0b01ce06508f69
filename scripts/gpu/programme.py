"""What the steps in this folder share: their options, and results that are kept so that a step can go on."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def options(description: str | None) -> argparse.Namespace:
    """Options of every step; ``tiny`` tries it on a CPU as far as it goes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder for results and models")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to see that the step works")
    parser.add_argument("--trl-python", help="interpreter of an environment that holds TRL")
    parser.add_argument("--trl-script", help="see bench_step.py --help")
    parser.add_argument("--workload-script", help="see bench_step.py --help")
    return parser.parse_args()


class Results:
    """A JSON Lines file, a line for every measurement that is done; a step that is started again does the others.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.done = {line["name"]: line for line in map(json.loads, lines) if line["ok"]}

    def run(self, name: str, command: Sequence[str], timeout: float = 600) -> dict[str, Any] | None:
        """Run a command unless it was run before; its time, whether it ended well and the end of what it printed."""
        if name in self.done:
            return None
        begin = time.monotonic()
        try:
            ended = subprocess.run(
                command, cwd=REPOSITORY, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            ok, output = ended.returncode == 0, ended.stdout
        except subprocess.TimeoutExpired as error:
            raw = error.stdout or b""
            ok, output = False, f"{raw.decode() if isinstance(raw, bytes) else raw}\nno end within {timeout} s"
        seconds = round(time.monotonic() - begin, 1)
        return self.add(name, ok=ok, seconds=seconds, command=list(command), tail=output[-3000:])

    def add(self, name: str, ok: bool = True, **values: Any) -> dict[str, Any]:
        """Write a line at once: a GPU may be gone the next minute."""
        line = {"name": name, "ok": ok, **values}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print("ok  " if ok else "FAIL", name, values.get("seconds", ""), flush=True)
        if ok:
            self.done[name] = line
        return line


def python(*args: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, *args]


def tiny_policy(folder: Path) -> str:
    """A random Llama of two layers over printable characters, heads wide enough for every kernel."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lit_passk.modules.sft import build_tokenizer

    if not (folder / "config.json").exists():
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
