"""Counter-based random numbers: the same draw for the same key, on any device, in any batch, on any rank."""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15, the increment of splitmix64, as int64
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def derive_seed(*key: SupportsIndex | str) -> int:
    """Derive a seed from a key such as (run seed, step, prompt); an integer counts the same whatever its type.

    Returns:
        An integer in ``[0, 2**62)``, so that adding a sample index cannot overflow int64.

    Example:
        >>> derive_seed(0, 1, 2) == derive_seed(0, 1, 2), derive_seed(0, 1, 2) == derive_seed(0, 2, 1)
        (True, False)

    """
    plain = tuple(str(part) if isinstance(part, str) else int(operator.index(part)) for part in key)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def uniform(seeds: Tensor, counter: int | Tensor) -> Tensor:
    """Draw one uniform number per seed: draw number ``counter`` of each seed's own stream (splitmix64).

    Args:
        seeds: Shape ``(N,)``, int64.
        counter: Which draw of the stream, from 0; or several, int64, of any shape that goes with that of ``seeds``.

    Returns:
        Shape ``(N,)``, or that of both together, float64 in ``(0, 1)``.

    Example:
        >>> seeds = torch.tensor([7, 8, 9])
        >>> bool((uniform(seeds, 3)[1:] == uniform(seeds[1:], 3)).all())
        True

    """

    def mix(x: Tensor) -> Tensor:  # in place: many numbers are drawn at once
        x.bitwise_xor_(_shift(x, 30)).mul_(_MIX_1)
        x.bitwise_xor_(_shift(x, 27)).mul_(_MIX_2)
        return x.bitwise_xor_(_shift(x, 31))

    # The seed is mixed before the counter is added: neighbouring seeds would otherwise walk the same sequence.
    step = _wrap((counter + 1) * _GOLDEN) if isinstance(counter, int) else (counter + 1) * _GOLDEN
    bits = mix(mix(seeds * _GOLDEN) + step)
    return (_shift(bits, 12).to(torch.float64) + 0.5) * 2.0**-52


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's ``>>`` on int64 copies the sign bit."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrap(x: int) -> int:
    """Keep the low 64 bits of a Python integer, as int64 arithmetic does."""
    return (x + 2**63) % 2**64 - 2**63
