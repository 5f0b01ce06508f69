"""The configurations that come with the project: found by name, in an installed package as in a clone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import lit_passk
from lit_passk.errors import Refusal

_PACKAGE = Path(lit_passk.__file__).parent


def folder() -> Path:
    """Where the configurations lie: in the package where it was installed, else in the clone.

    Raises:
        Refusal: If they are in neither.
    """
    places = (_PACKAGE / "configs", _PACKAGE.parents[1] / "configs")
    for place in places:
        if place.is_dir():
            return place
    raise Refusal(
        f"The configurations that come with lit-passk are not here: neither {places[0]} nor {places[1]} exists."
    )


def names() -> list[str]:
    """Names of all configurations, such as ``benchmarks/aime24``."""
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob("*.yaml"))


def find(name: str) -> Path:
    """The file that a user means by ``name``.

    A file of that name goes first; then a configuration of the project, with or without ``configs/`` and ``.yaml``.

    Raises:
        Refusal: If there is neither.

    Example:
        >>> find("benchmarks/aime24").name, find("configs/maze_cpu.yaml").name
        ('aime24.yaml', 'maze_cpu.yaml')

    """
    own = Path(name).expanduser()
    if own.is_file():
        return own
    short = own.with_suffix("").as_posix().removeprefix("configs/")
    shipped = names()
    if short in shipped:
        return folder() / f"{short}.yaml"
    near = get_close_matches(short, shipped, n=3)
    hint = f"Near are {', '.join(near)}." if near else "`lit-passk benchmarks` lists those of benchmarks."
    raise Refusal(
        f"There is no configuration {name!r}: no such file, and none of that name comes with lit-passk. {hint}"
    )


def with_files(args: Sequence[str]) -> list[str]:
    """Arguments of a command with the file in the place of every name after ``--config``."""
    return list(_with_files(args))


def _with_files(args: Sequence[str]) -> Iterator[str]:
    value_follows = False
    for arg in args:
        if value_follows:
            yield _file(arg)
        elif arg.startswith("--config="):
            yield f"--config={_file(arg.removeprefix('--config='))}"
        else:
            yield arg
        value_follows = arg in ("--config", "-c")


def _file(value: str) -> str:
    is_text = not value.strip() or any(
        sign in value for sign in "{:\n"
    )  # a configuration itself, as LightningCLI takes it
    return value if is_text else str(find(value))
