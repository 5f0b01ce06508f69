"""The configurations that come with the project: found by name, in an installed package as in a clone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml

import lit_passk
from lit_passk.errors import Refusal
from lit_passk.inputs import check_aliases, check_file, expanded

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
        Refusal: If there is neither, or the file is no text or holds something else than options, or one of them twice.

    Example:
        >>> find("benchmarks/aime24").name, find("configs/maze_cpu.yaml").name
        ('aime24.yaml', 'maze_cpu.yaml')

    """
    own = expanded(name)
    if own.is_file():
        _check(own)
        return own
    if own.is_fifo() and not own.resolve().exists():  # `<(...)` of a shell, which has no name and can be read once
        return own
    if not own.is_dir():  # which may have the name of a configuration that comes with lit-passk
        check_file(own)
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


def _check(path: Path) -> None:
    """Refuse what the parser would fail at without naming the file, or take without a word."""
    try:
        text = path.read_text("utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        scalars = [token.value for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken)]
    except UnicodeDecodeError as error:
        raise Refusal(
            f"{str(path)!r} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error
    except (yaml.YAMLError, RecursionError):  # the parser says where
        return
    check_aliases(node, repr(str(path)))
    if any("\0" in scalar for scalar in scalars):
        raise Refusal(f"{str(path)!r} has a NUL (`\\0`) in a value, which no path and no name may hold.")
    if not isinstance(node, yaml.MappingNode):
        what = "nothing" if node is None else f"a {node.id}"
        raise Refusal(f"{str(path)!r} must hold options, such as `seed_everything: 1`, but holds {what}.")
    for key in _twice(node, "", set()):
        raise Refusal(
            f"{str(path)!r} has `{key}` twice; the first would be lost, with all below it. Put them into one."
        )


def _twice(node: yaml.Node, place: str, seen: set[int]) -> Iterator[str]:
    """Options that stand in a mapping more than once, dotted; what an alias repeats is looked at once."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    keys: set[str] = set()
    for pair in node.value:
        key, value = pair if isinstance(node, yaml.MappingNode) else (None, pair)
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if name in keys:
            yield f"{place}{name}"
        keys |= {name} - {"", "<<"}
        yield from _twice(value, f"{place}{name}." if name else place, seen)
