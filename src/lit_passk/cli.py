"""The command line, ``lit-passk COMMAND ...``: finds the command and runs it, loading no more than it needs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from lit_passk.errors import CannotRun, Refusal

LIGHTNING = {
    "fit": "train a policy by reinforcement learning with verifiable rewards",
    "validate": "measure pass@k of a policy on the tasks of `data.val`",
    "test": "the same, logged under test/",
    "predict": "write completions with their scores to JSON lines (`rollout.results`)",
}
OTHERS = {  # command: (module, function taking the options, what it does)
    "sft": ("commands.train", "sft", "cold-start a small policy on a task's demonstrations"),
    "report": ("commands.report", "main", "tables, curves and a page to look through, from result files"),
    "rescore": ("commands.rescore", "main", "judge the completions of a result file again, without sampling"),
    "export": ("commands.export", "main", "write a Hugging Face folder from a checkpoint"),
    "plan": ("commands.plan", "main", "memory, time and traffic that a configuration needs, by arithmetic"),
    "doctor": ("commands.doctor", "main", "what is installed, what will run, and whether engine and policy agree"),
}


def main(args: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        args: Command and options; None takes the process's own.

    Raises:
        SystemExit: With status 2 and one sentence on stderr, when the command refuses what it was given.
    """
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(overview())
        return
    command, options = args[0], args[1:]
    if command not in LIGHTNING and command not in OTHERS:
        sys.exit(f"lit-passk: error: there is no command {command!r}.\n\n{overview()}")
    here = str(Path.cwd())
    if here not in sys.path:  # as with `python -m`: a `class_path` may lie in the folder one works in
        sys.path.append(here)
    status: object = None
    try:
        if command in LIGHTNING:
            import_module("lit_passk.commands.train").run(args)
        else:
            module, function, _ = OTHERS[command]
            handler: Callable[[list[str]], object] = getattr(import_module(f"lit_passk.{module}"), function)
            status = handler(options)
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        print(f"lit-passk: error: {refusal}", file=sys.stderr)
        sys.exit(2)
    if isinstance(status, int) and status != 0:
        sys.exit(status)


def overview() -> str:
    """One line a command."""
    rows = [("sft", OTHERS["sft"][2]), *LIGHTNING.items(), *((n, o[2]) for n, o in OTHERS.items() if n != "sft")]
    return "\n".join(
        [
            "Pass@k Training of language models.",
            "",
            "usage: lit-passk COMMAND [--config FILE] [--KEY VALUE ...]",
            "",
            *(f"  {name:9s} {what}" for name, what in rows),
            "",
            "`lit-passk COMMAND --help` lists every option; with `--print_config` a training or evaluation prints its",
            "configuration instead of running.",
        ]
    )


def _refusal(error: BaseException | None) -> BaseException | None:
    """The error, or what caused it, if its message is for the user. Else it is a bug, and wants a trace.

    What the constructor of an optional part refuses comes wrapped by the parser.
    """
    while error is not None and not isinstance(error, Refusal | CannotRun) and not _lightning_refuses(error):
        error = error.__cause__
    return error


def _lightning_refuses(error: BaseException) -> bool:
    """Whether Lightning's trainer or one of its callbacks finds fault with what it was given."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    checks = bool(frames) and frames[-1].startswith(("lightning.pytorch.trainer", "lightning.pytorch.callbacks"))
    return isinstance(error, MisconfigurationException) or (checks and isinstance(error, ValueError | RuntimeError))


if __name__ == "__main__":
    main()
