"""Plain values as bytes, between two processes that do not trust each other.

Only values of built-in types (and a few of the standard library that compare by value) cross; decoding builds exactly
those types and calls nothing of the sender's. What cannot cross by value crosses as a handle. JSON would lose tuples,
sets and integer keys and takes longer to import than Python to start; pickle and marshal are not safe to read from a
stranger.

Example:
    >>> decode(encode({"a": (1, 2.5, {3}), "b": [None, True, -(10**30)]}))  # exact: as given
    {'a': (1, 2.5, {3}), 'b': [None, True, -1000000000000000000000000000000]}

"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_FRAME = 16 << 20
"""Most bytes one message may have."""

_TEXT_TYPES: dict[tuple[str, str], Callable[[Any], str]] = {
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("datetime", "date"): lambda value: value.isoformat(),
    ("datetime", "time"): lambda value: value.isoformat(),
    ("datetime", "datetime"): lambda value: value.isoformat(),
}
_BUILTIN_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, range, type(None), object)
}
_VIEWS: list[type] = [type({}.keys()), type({}.values()), type({}.items())]


class Unsendable(Exception):  # noqa: N818 - says what the value is, as StopIteration does
    """A value that cannot cross."""


class TooLong(Exception):  # noqa: N818
    """A message of more than ``MAX_FRAME`` bytes."""


class Closed(Exception):  # noqa: N818
    """The other side is gone, or does not keep to the format."""


def encode(value: Any, handle: Callable[[Any], int | str] | None = None) -> bytes:
    """Turn a value into bytes.

    Subclasses of built-in types cross as the type itself: a Counter arrives as a dict, which compares alike.

    Args:
        value: Any value.
        handle: Names a value that cannot cross by itself; None refuses such values.

    Raises:
        Unsendable: If there is no ``handle`` for a value that needs one.
        RecursionError: If the value is nested too deeply, or holds itself.
    """
    parts: list[bytes] = []
    _encode(value, parts, handle)
    return b"".join(parts)


def _sized(tag: bytes, data: bytes) -> bytes:
    return tag + len(data).to_bytes(4, "big") + data


def _encode(value: Any, parts: list[bytes], handle: Callable[[Any], int | str] | None) -> None:
    if value is None or value is True or value is False:
        parts.append(b"n" if value is None else b"y" if value else b"z")
    elif isinstance(value, int):
        parts.append(_sized(b"i", int.to_bytes(value, int.bit_length(value) // 8 + 1, "big", signed=True)))
    elif isinstance(value, str):
        parts.append(_sized(b"s", str.encode(value, "utf-8", "surrogatepass")))
    elif isinstance(value, float):
        parts.append(_sized(b"f", float.hex(value).encode()))
    elif isinstance(value, complex):
        parts.append(_sized(b"c", f"{value.real.hex()} {value.imag.hex()}".encode()))
    elif isinstance(value, (bytes, bytearray)):
        parts.append(_sized(b"a" if isinstance(value, bytearray) else b"b", bytes(value)))
    elif isinstance(value, list):
        _encode_many(b"l", list.__getitem__(value, slice(None)), parts, handle)
    elif isinstance(value, tuple):
        _encode_many(b"t", tuple.__getitem__(value, slice(None)), parts, handle)
    elif isinstance(value, (set, frozenset)):
        _encode_many(b"S" if isinstance(value, frozenset) else b"u", list(value), parts, handle)
    elif isinstance(value, dict):
        _encode_many(b"d", [x for pair in dict.items(value) for x in pair], parts, handle)
    else:
        _encode_rare(value, parts, handle)


def _encode_many(tag: bytes, values: Any, parts: list[bytes], handle: Callable[[Any], int | str] | None) -> None:
    parts.append(tag + len(values).to_bytes(4, "big"))
    for value in values:
        _encode(value, parts, handle)


def _encode_rare(value: Any, parts: list[bytes], handle: Callable[[Any], int | str] | None) -> None:
    kind = type(value)
    home = (kind.__module__, kind.__name__)
    if kind is range:
        _encode_many(b"r", [value.start, value.stop, value.step], parts, handle)
    elif kind in _VIEWS:
        _encode_many((b"K", b"V", b"M")[_VIEWS.index(kind)], list(value), parts, handle)
    elif home == ("collections", "deque"):
        _encode_many(b"q", list(value), parts, handle)
    elif home in _TEXT_TYPES:
        _encode_many(b"x", [*home, _TEXT_TYPES[home](value)], parts, handle)
    elif kind is type and value in _BUILTIN_TYPES.values():
        parts.append(_sized(b"T", value.__name__.encode()))
    elif kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        _encode(value.item(), parts, handle)
    elif handle is not None:
        parts.append(b"h")
        _encode(handle(value), parts, None)
    else:
        raise Unsendable(f"a value of type {kind.__name__}")


def decode(data: bytes, handle: Callable[[int | str], Any] | None = None) -> Any:
    """Turn bytes back into a value of built-in types.

    Args:
        data: What ``encode`` returned, or anything else.
        handle: Makes the stand-in for a value that crossed as a handle.

    Raises:
        Closed: If ``data`` is not what ``encode`` returns.
    """
    try:
        value, end = _decode(data, 0, handle)
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, MemoryError) as error:
        raise Closed(f"malformed value: {error}") from None
    if end != len(data):
        raise Closed("malformed value: bytes left over")
    return value


def _decode(data: bytes, at: int, handle: Callable[[int | str], Any] | None) -> tuple[Any, int]:
    tag = data[at : at + 1]
    at += 1
    if tag in (b"n", b"y", b"z"):
        return {b"n": None, b"y": True, b"z": False}[tag], at
    if tag == b"h" and handle is not None:
        name, at = _decode(data, at, None)
        return handle(name), at
    size = int.from_bytes(data[at : at + 4], "big")
    at += 4
    if tag in (b"i", b"s", b"f", b"c", b"b", b"a", b"T"):
        if at + size > len(data):
            raise ValueError("cut short")
        return _decode_scalar(tag, data[at : at + size]), at + size
    values = []
    for _ in range(size):
        value, at = _decode(data, at, handle)
        values.append(value)
    return _decode_container(tag, values), at


def _decode_scalar(tag: bytes, data: bytes) -> Any:
    if tag == b"i":
        return int.from_bytes(data, "big", signed=True)
    if tag == b"s":
        return data.decode("utf-8", "surrogatepass")
    if tag == b"f":
        return float.fromhex(data.decode())
    if tag == b"c":
        real, imag = data.decode().split()
        return complex(float.fromhex(real), float.fromhex(imag))
    if tag == b"T":
        return _BUILTIN_TYPES[data.decode()]
    return bytearray(data) if tag == b"a" else data


def _decode_container(tag: bytes, values: list[Any]) -> Any:
    if tag == b"l":
        return values
    if tag in (b"t", b"u", b"S"):
        return {b"t": tuple, b"u": set, b"S": frozenset}[tag](values)
    if tag == b"d":
        return dict(zip(values[::2], values[1::2], strict=True))
    if tag == b"r":
        return range(*values)
    if tag == b"K":
        return dict.fromkeys(values).keys()
    if tag == b"V":
        return dict(enumerate(values)).values()
    if tag == b"M":
        return dict(values).items()
    if tag == b"q":
        from collections import deque

        return deque(values)
    if tag == b"x":
        return _decode_text(*values)
    raise ValueError(f"unknown tag {tag!r}")


def _decode_text(module: str, name: str, text: str) -> Any:
    if (module, name) not in _TEXT_TYPES:
        raise ValueError(f"unknown type {module}.{name}")
    kind = getattr(__import__(module), name)
    return kind.fromisoformat(text) if module == "datetime" else kind(text)


def send(fd: int, data: bytes) -> None:
    """Write one message; raises Closed when nobody reads, TooLong above ``MAX_FRAME``."""
    if len(data) > MAX_FRAME:
        raise TooLong(f"a message of {len(data)} bytes, of at most {MAX_FRAME}")
    view = memoryview(len(data).to_bytes(4, "big") + data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise Closed(str(error)) from None


def receive(fd: int) -> bytes:
    """Read one message; raises Closed at the end of the stream, or if it is longer than ``MAX_FRAME``."""
    size = int.from_bytes(_read(fd, 4), "big")
    if size > MAX_FRAME:
        raise Closed(f"a message of {size} bytes")
    return _read(fd, size)


def _read(fd: int, size: int) -> bytes:
    parts = []
    while size:
        data = os.read(fd, min(size, 1 << 20))
        if not data:
            raise Closed("the other side is gone")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
