"""The command line, ``lit-passk COMMAND ...``: finds the command and runs it, loading no more than it needs."""

from __future__ import annotations

import errno
import os
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

from lit_passk import __version__
from lit_passk.errors import CannotRun, Refusal
from lit_passk.outputs import open_outputs, outputs_may_fail
from lit_passk.printable import printable, surrogate

LIGHTNING = {
    "fit": "train a policy by reinforcement learning with verifiable rewards",
    "validate": "measure pass@k of a policy on the tasks of `data.val`",
    "test": "the same, logged under test/",
    "predict": "write completions with their scores to JSON lines (`rollout.results`)",
}
OTHERS = {  # each is `main(options)` of the module of its name in `commands`
    "init": "write a first configuration, with comments, for a model, rows and a machine",
    "sft": "cold-start a small policy on a task's demonstrations",
    "report": "tables, curves and a page to look through, from result files",
    "signal": "what scored completions say about k, group size and sampling budget",
    "rescore": "score the completions of a result file again, without sampling",
    "filter": "keep the rows of a data set that a result file found neither too easy nor too hard",
    "replay": "run an RL step that was saved again, with more checks, and say what differs",
    "export": "write a Hugging Face folder from a checkpoint",
    "plan": "memory, time and traffic that a configuration needs, by arithmetic",
    "benchmarks": "the benchmarks that come with a configuration, and what each needs",
    "contamination": "whether problems of a benchmark occur in a training set",
    "doctor": "what is installed, what will run, and whether engine and policy agree",
}

OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
OF_A_FILE = (
    *OF_A_DISK,
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
)
"""Errors of the system that are no bug: the former wherever they come from, the latter where they name a file and do
not come out of a user's own code, whose author wants to see the line."""


def main(args: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        args: Command and options; None takes the process's own.

    Raises:
        SystemExit: With status 2 and one sentence on stderr, when the command refuses what it was given.
    """
    open_outputs()
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(overview())
        return
    if args[0] == "--version":
        print(f"lit-passk {__version__}")
        return
    command = args[0]
    if command not in LIGHTNING and command not in OTHERS:
        sys.exit(f"lit-passk: error: there is no command {command!r}.\n\n{overview()}")
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        sys.exit("lit-passk: error: the folder you work in has been removed. Change to another one (`cd`).")
    if here not in sys.path:  # as with `python -m`: a `class_path` may lie in the folder one works in
        sys.path.append(here)
    module, options = ("train", args) if command in LIGHTNING else (command, args[1:])
    try:
        if sys.flags.optimize > 1:
            raise Refusal("transformers reads docstrings as it builds a model: run without PYTHONOPTIMIZE=2 and -OO.")
        if command in (*LIGHTNING, "sft"):
            _check_text([*options, here])
        if any(option.startswith(("--config", "-c")) for option in options):
            options = import_module("lit_passk.commands.configurations").with_files(options)
        # Before anything is imported that keeps the streams, as handlers of logs do.
        with outputs_may_fail() if command in (*LIGHTNING, "sft") else nullcontext():
            status: int | None = _imported(f"lit_passk.commands.{module}").main(options)
    except BrokenPipeError:  # whoever read the output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        sys.exit(141)  # as a shell reports a process that ended so
    except KeyboardInterrupt:  # Python then ends as the signal would have ended it
        sys.excepthook = lambda *_: print("\nlit-passk: interrupted", file=sys.stderr)
        raise
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        with suppress(OSError):  # a full disk, again
            print(f"lit-passk: error: {printable(str(refusal))}", file=sys.stderr)
        sys.exit(2)
    if status:
        sys.exit(status)


def _imported(name: str) -> ModuleType:
    """A module; Ctrl-C ends the process at once while it is imported.

    Nothing is under way yet that would have to be cleared up, and packages make any error of an import that is broken
    off within them.
    """
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not handled or threading.current_thread() is not threading.main_thread():  # others' to decide
        return import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return import_module(name)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _check_text(texts: Sequence[str]) -> None:
    """Refuse bytes that are no UTF-8, which neither a saved configuration nor TensorBoard can hold."""
    for text in texts:
        if surrogate(text):
            raise Refusal(
                f"{text!r} is no UTF-8 text, so the run's files could not name it: rename the file or folder it is in."
            )


def overview() -> str:
    """One line a command."""
    first, *others = OTHERS.items()  # in the order in which one uses them
    rows = [first, *LIGHTNING.items(), *others]
    return "\n".join(
        [
            "Pass@k Training of language models.",
            "",
            "usage: lit-passk COMMAND [--config FILE] [--KEY VALUE ...]",
            "",
            *(f"  {name:13s} {what}" for name, what in rows),
            "",
            "`lit-passk COMMAND --help` lists every option; with `--print_config` a training or evaluation prints its",
            "configuration instead of running.",
        ]
    )


def _refusal(error: BaseException | None) -> BaseException | None:
    """The error, or what caused it, if its message is for the user. Else it is a bug, and wants a trace.

    What the constructor of an optional part refuses comes wrapped by the parser.
    """
    first = error
    while error is not None and not isinstance(error, Refusal | CannotRun) and not _lightning_refuses(error):
        of_a_file = isinstance(error, OSError) and error.filename and not _users_own(error)
        if isinstance(error, OSError) and error.errno in (OF_A_FILE if of_a_file else OF_A_DISK):
            where = repr(error.filename) if error.filename else "A file"
            return CannotRun(f"{where} could not be used: {error.strerror}.")
        error = error.__cause__
    return error or (_of_a_checkpoint(first) if first is not None else None)


def _of_a_checkpoint(error: BaseException) -> CannotRun | None:
    """What to say of an error that came as Lightning gave back what a checkpoint held, to nobody's own code."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    restoring = any(
        frame.f_globals.get("__name__", "").endswith(".checkpoint_connector")
        and frame.f_code.co_name.lstrip("_").startswith(("restore", "resume"))
        for frame in frames
    )
    of_content = isinstance(error, LookupError | TypeError | ValueError | AttributeError)
    if not (restoring and of_content) or _users_own(error):
        return None
    where = f"{Path(frames[-1].f_code.co_filename).name}, {frames[-1].f_code.co_name}"
    return CannotRun(
        f"What the checkpoint holds cannot be given back to this run ({type(error).__name__}: {error}; {where}): no "
        "run with these settings and versions wrote it. Take another one, or begin a new run from its weights "
        "(`lit-passk export`)."
    )


def _users_own(error: BaseException) -> bool:
    """Whether code that is neither the library's nor installed, a reward or task of the user's, took part."""
    theirs = (str(Path(__file__).parent), sysconfig.get_path("stdlib"), "<")  # "<string>": a dataclass's __init__
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    installed = {"site-packages", "dist-packages"}
    return any(not file.startswith(theirs) and installed.isdisjoint(Path(file).parts) for file in files)


def _lightning_refuses(error: BaseException) -> bool:
    """Whether Lightning's trainer or one of its callbacks finds fault with what it was given."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    checks = bool(frames) and frames[-1].startswith(("lightning.pytorch.trainer", "lightning.pytorch.callbacks"))
    return isinstance(error, MisconfigurationException) or (checks and isinstance(error, ValueError | RuntimeError))


if __name__ == "__main__":
    main()
