"""The precision that values are computed in."""

from __future__ import annotations

import zlib
from typing import Any

from mpmath import MPContext

mp = MPContext()  # a precision of our own, whoever else sets mpmath's
mp.dps = 50
EXACT = mp.mpf(10) ** -30
"""How far, relatively, two values of one number may be apart."""


class TooLargeError(ArithmeticError):
    """A number with more digits than anybody writes down, such as ``9^{9^{9^9}}``, or a sum of more terms."""


def arbitrary(name: str, draw: int) -> Any:
    """A number between 0.5 and 1.5 that belongs to this name, the same in every process."""
    return mp.mpf(0.5) + mp.mpf(zlib.crc32(f"{draw} {name}".encode())) / 2**32
