"""Files that others wrote, before anything is read of them: what is no file, and YAML that grows as it is read."""

from __future__ import annotations

import gzip
import itertools
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import yaml

from lit_passk.errors import Refusal

Stream: TypeAlias = BinaryIO | gzip.GzipFile

MOST_VALUES = 100_000
"""Values that a YAML text may hold once its aliases are written out, unless a tenth of them are there without."""

MOST_LINE_BYTES = 1 << 29
"""Bytes that a line of a file may have: a few kilobytes of gzip can be unpacked to a line that no memory holds."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` and ``~user`` written out; as it stands where there is no such user, or no home.

    ``Path.expanduser`` raises there, which is no sentence for whoever mistyped a name.

    Example:
        >>> expanded("~nobody-of-this-name/runs").as_posix(), expanded("runs").as_posix()
        ('~nobody-of-this-name/runs', 'runs')

    """
    return Path(os.path.expanduser(path))


def check_file(path: Path) -> None:
    """Refuse what is there and is no file: opening a pipe waits for whoever writes into it, a device has no end.

    Nothing is said of a path where nothing is, a link to nothing included: opening it does.

    Raises:
        Refusal: With what it is.
    """
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # missing, out of reach, or no name that a file can have
        return
    if kind is not None:
        raise Refusal(f"{str(path)!r} is {kind}, and no file that can be read whole. Name a file.")


def bounded_lines(stream: Stream, path: Path, first_line: int = 1) -> Iterator[bytes]:
    """The lines of a stream, each with its end; the last one may lack it.

    Args:
        stream: Open, and still so afterwards.
        path: Its file, for the message.
        first_line: The number of the line at the stream's position, for the message.

    Raises:
        Refusal: If a line has more than ``MOST_LINE_BYTES``; no more than those are read of it.
    """
    for number in itertools.count(first_line):
        line = stream.readline(MOST_LINE_BYTES + 1)
        if len(line) > MOST_LINE_BYTES:
            raise Refusal(f"{path}:{number}: longer than {MOST_LINE_BYTES:,} bytes, which no row or record is.")
        if not line:
            return
        yield line


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, as plain values.

    Raises:
        Refusal: If it is missing, no file, no UTF-8 text, no YAML, or its aliases stand for too many values.
    """
    check_file(path)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no name that a file can have
        raise Refusal(f"{path} cannot be read: {error}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """What a YAML text holds, as plain values.

    Args:
        text: The text.
        where: Its file, for the message.

    Raises:
        Refusal: If it is no YAML, or its aliases stand for too many values.

    Example:
        >>> parse_yaml("{a: &b [1, 2], c: *b}", "own.yaml")
        {'a': [1, 2], 'c': [1, 2]}

    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        check_aliases(node, where)
        return None if node is None else loader.construct_document(node)
    except Refusal:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date that no calendar has
        raise Refusal(f"{where} is not valid YAML: {error}") from error


def check_aliases(node: yaml.Node | None, where: str) -> None:
    """Refuse YAML whose aliases (``*name``) stand for a text without end, or for one that no memory holds.

    Args:
        node: The text as ``yaml.compose`` returns it, where what an alias repeats is there once.
        where: Its file, for the message.

    Raises:
        Refusal: If so many values are in it.
    """
    known: dict[int, float] = {}
    if node is not None and _written_out(node, known) > max(MOST_VALUES, 10 * len(known)):
        raise Refusal(
            f"{where} repeats values by aliases (`*name`) of aliases: written out it would hold more than "
            f"{MOST_VALUES:,} values. Write out what is meant."
        )


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node has with every alias written out; infinitely many if it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known: what leads back to here has no end
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        flat = (part for pair in parts for part in pair) if isinstance(node, yaml.MappingNode) else parts
        known[id(node)] = 1 + sum(_written_out(part, known) for part in flat)
    return known[id(node)]
