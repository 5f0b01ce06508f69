"""``lit-passk rescore RESULT --config FILE``: score the completions of a result file again, without sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

import lit_passk.rewards
import lit_passk.tasks
from lit_passk.errors import Refusal
from lit_passk.inputs import read_yaml
from lit_passk.results import rescore
from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.base import Task


def main(args: Sequence[str] | None = None) -> int:
    """Run ``lit-passk rescore``.

    Args:
        args: The options; None takes the process's own.

    Returns:
        The exit status, 0.

    Raises:
        ValueError: If the configuration has no ``data.val`` or the file's problems are not in its tasks.
    """
    parser = ArgumentParser(prog="lit-passk rescore", description=__doc__)
    parser.add_argument("result", type=Path, help="result file (JSONL); it is not changed")
    parser.add_argument("--config", type=Path, required=True, help="configuration whose `data.val` tasks score")
    parser.add_argument("--out", type=Path | None, default=None, help="new file; NAME.rescored.jsonl by default")
    parser.add_argument("--num_workers", type=int, default=2, help="processes that score, for tasks that need them")
    parser.add_argument("--score_timeout", type=float, default=10.0, help="seconds one completion may take")
    options = parser.parse_args(None if args is None else list(args))
    if not options.result.is_file():
        raise Refusal(f"There is no result file {str(options.result)!r}.")
    tasks = load_tasks(options.config)
    with Scorer(tasks, num_workers=options.num_workers, timeout=options.score_timeout) as scorer:
        summary = rescore(options.result, tasks, options.out, submit=scorer.submit_group)
    print(
        f"wrote {summary.path}: {summary.num_completions} completions, {summary.num_changed} with another outcome, "
        f"{summary.num_unscored} unscored"
    )
    return 0


def load_tasks(config: Path) -> dict[str, Task]:
    """The tasks of a configuration's ``data.val``, without the rest of it.

    Raises:
        ValueError: If there is no such file or it has no ``data.val``.
    """
    for package in (lit_passk.tasks, lit_passk.rewards):  # short class names resolve once their modules are loaded
        for name in package.__all__:
            getattr(package, name)
    if not config.is_file():
        raise Refusal(f"`--config` is {str(config)!r}, but there is no such file.")
    content: Any = read_yaml(config)
    data = content.get("data") if isinstance(content, Mapping) else None
    val = data.get("val") if isinstance(data, Mapping) else None
    if not val:
        raise Refusal(f"{config} has no `data.val`: rescoring needs the tasks the completions were sampled for.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--val", type=dict[str, Task])
    try:
        return parser.instantiate_classes(parser.parse_object({"val": val})).val
    except ArgumentError as error:
        raise Refusal(f"`data.val` of {config} cannot be read: {error.message}") from error
