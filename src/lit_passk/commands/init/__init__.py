"""``lit-passk init``: a first configuration, with comments, for the model, the rows and the machine that one names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from lit_passk.commands import plan
from lit_passk.commands.init.choices import MAZE_POLICY, TASKS, Choices, is_hub_id
from lit_passk.commands.init.text import configuration
from lit_passk.commands.quiet import quieten
from lit_passk.errors import CannotRun, Refusal
from lit_passk.rewards.function_task import FunctionTask
from lit_passk.tasks.base import Task
from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.math import MathTask

SMALL_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def main(args: Sequence[str]) -> None:
    """Run ``lit-passk init``; ``args`` are its options. On a terminal it asks for those that were not given."""
    quieten()
    options = vars(parser().parse_args(list(args)))
    out = Path(options.pop("out"))
    if out.exists():
        raise Refusal(f"{str(out)!r} exists, and is not overwritten: name another file.")
    choices = Choices(**answers(options, ask if sys.stdin.isatty() else lambda question, default: default))
    train = rows_to_train_on(choices)
    text = configuration(choices, str(out), None if train is None else len(train))
    verdict = check(text, choices)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    if train is not None:
        print(f"{len(train)} rows to train on; the first asks {shortened(train[0].prompt)}")
    print(f"{verdict}\nwrote {out}: its first lines say how to go on")


def parser() -> argparse.ArgumentParser:
    """The options; what is left out has a default, or is asked for on a terminal."""
    parser = argparse.ArgumentParser(prog="lit-passk init", description=__doc__)
    parser.add_argument("out", nargs="?", default="run.yaml", help="file to write (run.yaml); none is overwritten")
    parser.add_argument("--task", choices=TASKS, help="; ".join(f"{name}: {what}" for name, what in TASKS.items()))
    parser.add_argument("--policy", help=f"folder or hub id of the model ({MAZE_POLICY} for mazes, else {SMALL_MODEL})")
    parser.add_argument("--path", help="rows to train on: a .jsonl or .parquet file, a folder of them, or a hub id")
    parser.add_argument("--split", help="split of a hub data set to train on (train)")
    parser.add_argument("--subset", help="configuration of a hub data set, such as main of openai/gsm8k")
    parser.add_argument("--val_path", help="rows to validate on; the same data set if only --val_split is given")
    parser.add_argument("--val_split", help="split of a hub data set to validate on")
    parser.add_argument("--function", metavar="FILE:NAME", help="of `--task function`: what judges a completion")
    parser.add_argument("--k", type=int, help="size of the groups that are paid (4)")
    parser.add_argument("--gpus", type=int, help="GPUs of the machine, 0 for a CPU (those of this one)")
    lora = parser.add_mutually_exclusive_group()
    lora.add_argument("--lora", action="store_true", default=None, help="train low-rank adapters")
    lora.add_argument("--full", dest="lora", action="store_false", help="train all weights (the default)")
    vllm = parser.add_mutually_exclusive_group()
    vllm.add_argument("--vllm", action="store_true", default=None, help="sample with vLLM (the default with GPUs)")
    vllm.add_argument("--no_vllm", dest="vllm", action="store_false", help="sample with the policy itself")
    return parser


def answers(given: dict[str, Any], ask: Callable[[str, str], str]) -> dict[str, Any]:
    """All choices.

    Args:
        given: Options by name; None where the user did not give one.
        ask: Gets a question and its default, returns the answer: the default if nobody can be asked.
    """
    found = dict(given)

    def settle(name: str, question: str, default: str, kind: Callable[[str], Any] = str) -> None:
        if found[name] is None:
            answer = ask(question, default)
            found[name] = kind(answer) if answer else None

    settle("task", f"What is to be learnt? {' | '.join(TASKS)}", "math" if given["path"] else "maze")
    maze = found["task"] == "maze"
    if not maze:
        settle("path", "Rows to train on (a .jsonl or .parquet file, a folder, a hub id)?", "")
        if found["path"] and is_hub_id(found["path"]):
            settle("subset", "Its subset, if it has some?", "")
            settle("split", "Its split to train on?", "train")
        if found["val_path"] is None:
            settle("val_split", "Split to validate on (hub data sets), if any?", "")
            if found["val_split"] is None:
                settle("val_path", "Rows to validate on, if any?", "")
    if found["task"] == "function":
        settle("function", "The function that judges, as FILE:NAME?", "")
    settle("policy", "Which model (a folder or a hub id)?", MAZE_POLICY if maze else SMALL_MODEL)
    settle("k", "Size k of the groups that are paid?", "4", whole)
    toy = maze and found["policy"] == MAZE_POLICY
    settle("gpus", "How many GPUs (0: a CPU)?", "0" if toy else str(torch.cuda.device_count()), whole)
    settle("lora", "Train low-rank adapters (LoRA) instead of all weights? yes | no", "no", yes)
    settle("vllm", "Sample with vLLM? yes | no", "yes" if found["gpus"] else "no", yes)
    return found


def ask(question: str, default: str) -> str:
    """Ask on the terminal; return alone takes the default."""
    try:
        return input(f"{question} [{default}] ").strip() or default
    except EOFError:  # Ctrl-D
        return default


def whole(answer: str) -> int:
    """A whole number."""
    try:
        return int(answer)
    except ValueError:
        raise Refusal(f"A whole number was asked for, but got {answer!r}.") from None


def yes(answer: str) -> bool:
    """Whether an answer is yes."""
    if answer.lower() not in ("yes", "y", "no", "n"):
        raise Refusal(f"Yes or no was asked for, but got {answer!r}.")
    return answer.lower().startswith("y")


def rows_to_train_on(choices: Choices) -> Task | None:
    """The training task, if its rows are on this machine: what it refuses is refused before anything is written."""
    if choices.path is None or is_hub_id(choices.path):
        return None
    path, split = choices.path, choices.split
    if choices.function is not None:
        return FunctionTask(path, choices.function, split=split)
    if choices.task == "math":
        return MathTask(path, split=split)
    try:
        return CodeTask(path, split)
    except CannotRun as error:  # no sandbox here: perhaps on the machine that trains
        print(f"The rows were not looked at: {error}", file=sys.stderr)
        return None


def check(text: str, choices: Choices) -> str:
    """Have the parser of ``plan`` read a configuration, and say whether it fits a GPU where that can be known."""
    config = plan.read(["--config", text])
    if choices.gpus == 0:
        return "It loads."
    try:
        estimate, machine = plan.estimate(config)
    except Refusal as error:
        return f"It loads. Whether it fits was not computed: {error}"
    fits = "It fits." if not plan.problems(estimate, machine) else "It does not fit:"
    return "\n".join([f"On GPUs of {machine.memory_gb:g} GB: {fits}", *plan.problems(estimate, machine)])


def shortened(prompt: Any) -> str:
    """The beginning of a prompt, on one line."""
    text = " ".join(str(prompt if isinstance(prompt, str) else prompt[-1].get("content")).split())
    return repr(text if len(text) <= 100 else f"{text[:100]} ...")
