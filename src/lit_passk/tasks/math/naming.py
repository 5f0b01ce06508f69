r"""Letters that an answer may choose: a function's variable, arbitrary constants, a whole number, ``y'`` for dy/dx."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from operator import itemgetter

from lit_passk.tasks.math.answers import Answer, Formula, Joined, Relation, Sequence, is_letter
from lit_passk.tasks.math.sampling import same_value
from lit_passk.tasks.math.symbols import WHOLE_NUMBERS, names, replaced

_FUNCTION = re.compile(r"(\w'*(?:_\w+)?)\((\w)\)")
_CONSTANT = re.compile(r"C(?:_\d)?")  # as C and not c_1: ``symbols.py`` writes C_1 for c_1
_ITS_NAMES = re.compile(r"[ABCDKck](?:_\d)?")
_QUOTIENT = re.compile(r"(?:d|\\partial)(?:\^(\d))?([A-Za-z])/(?:d|\\partial)([A-Za-z])(?:\^(\d))?")  # d^2y/dx^2
_PRIMES = re.compile(r"([A-Za-z])(\'+)")
_DOTS = re.compile(r"\\(d+)ot([A-Za-z])")
_LOWERED = re.compile(r"([A-Za-z])_(([A-Za-z])\3*)")  # u_{xx}


def renamed(right: Answer, given: Answer, free: str = "") -> Iterable[Answer]:
    """The answer in the letters of the reference, as far as it was free to choose others.

    ``free`` is the letter of which the reference says that it stands for any number, if there is one.
    """
    if isinstance(right, Relation) != isinstance(given, Relation):  # k\pi for x = k\pi
        right, given = (side.sides[-1] if isinstance(side, Relation) else side for side in (right, given))
    wanted, found = _letters(right), _letters(given)
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    if not missing and not extra:
        return
    choices = list(_functions(missing, extra)) if isinstance(right, Relation) else []
    choices += _freely(choices, missing, extra, free)
    if isinstance(right, Sequence) and len(extra) == 1 and not missing:  # f \equiv 0 or f(x) = x
        choices += [
            {extra[0]: name}
            for name in sorted(wanted)
            if (is_value := _FUNCTION.fullmatch(name)) and is_value[1] == extra[0]
        ]
    if extra and missing == [f"\\vec{name}" for name in extra]:
        choices.append(dict(zip(extra, missing, strict=True)))
    choices += [*_derivatives(missing, extra), *_numbered(missing, extra), *_imaginary(right, given, extra)]
    if len(missing) == len(extra) < len(wanted):
        choices += [*_constants(missing, extra), *_single(missing[0], extra[0], whole="\\pi" in wanted & found)]
    yield from (_with_names(given, choice) for choice in choices)


def _freely(choices: list[dict[str, str]], missing: list[str], extra: list[str], free: str) -> list[dict[str, str]]:
    """Another letter for the free one, besides other names of functions."""
    found = []
    for choice in [{}, *choices]:
        left = [name for name in extra if name not in choice]
        if [name for name in missing if name not in choice.values()] == [free] and len(left) == 1 and left[0].isalpha():
            found.append({**choice, left[0]: free})
    return found


def _functions(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    """``f(t)`` or ``F(x)`` for ``f(x)``, ``y(x)`` for ``y``; ``y`` for ``y(x)`` and for any function's value."""
    there, here = ([match for name in group if (match := _FUNCTION.fullmatch(name))] for group in (missing, extra))
    if len(there) == len(here) == 1 and there[0][1].lower() == here[0][1].lower():
        yield {here[0][0]: there[0][0], here[0][2]: there[0][2]}
    elif len(there) == 1 and not {there[0][1], "y"}.isdisjoint(extra):
        yield {there[0][1] if there[0][1] in extra else "y": there[0][0]}
    elif len(here) == 1 and not {here[0][1], "y"}.isdisjoint(missing):
        yield {here[0][0]: here[0][1] if here[0][1] in missing else "y"}


def _derivatives(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    r"""``y''`` for d^2y/dx^2, ``\dot{x}`` for dx/dt, ``u_{xx}`` for a partial derivative, or the reverse."""
    choice = {}
    for name in extra:
        for other in missing:
            one, same = _derivative(name), _derivative(other)
            if one and same and one[:2] == same[:2] and (one[2] == same[2] or not (one[2] and same[2])):
                choice[name] = other
    if choice:
        yield choice


def _derivative(name: str) -> tuple[str, int, str] | None:
    """Of which function, how many times, by which variable, empty where that is left open."""
    if match := _QUOTIENT.fullmatch(name):
        return (match[2], int(match[1] or 1), match[3]) if match[1] == match[4] else None
    if match := _PRIMES.fullmatch(name):
        return match[1], len(match[2]), ""
    if match := _DOTS.fullmatch(name):
        return match[2], len(match[1]), "t"
    match = _LOWERED.fullmatch(name)
    return (match[1], len(match[2]), match[3]) if match else None


def _numbered(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    """Several values of one letter: x_1 and x_2 for x."""
    if len(missing) == 1 < len(extra) and all(re.fullmatch(re.escape(missing[0]) + r"_\d", name) for name in extra):
        yield dict.fromkeys(extra, missing[0])


def _imaginary(right: Answer, given: Answer, extra: list[str]) -> Iterable[dict[str, str]]:
    """``3 + 4j`` for ``3 + 4i``, not ``4j`` for ``4i``, which are vectors as well."""
    if extra == ["j"] and isinstance(right, Formula) and isinstance(given, Formula):
        real = replaced(right.node, {"i": ("number", "0")})
        has_i = replaced(given.node, {"i": ("number", "0")}) != given.node
        if real != right.node and not has_i and not same_value(real, ("number", "0")):
            yield {"j": "i"}


def _constants(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    """Other names of ``C``, or of ``C_1`` and ``C_2``."""
    if all(map(_CONSTANT.fullmatch, missing)) and all(map(_ITS_NAMES.fullmatch, extra)) and len(missing) <= 2:
        yield from (dict(zip(extra, order, strict=True)) for order in permutations(missing))


def _single(missing: str, extra: str, whole: bool) -> Iterable[dict[str, str]]:
    """``n`` for the ``k`` of a multiple of pi."""
    if whole and {missing, extra} <= WHOLE_NUMBERS:
        yield {extra: missing}


def _letters(answer: Answer) -> set[str]:
    """All names in an answer, and pi where it holds one."""
    if isinstance(answer, Formula):
        return set(names(answer.node)) | ({"\\pi"} if "\\pi" in str(answer.node) else set())
    return set().union(*map(_letters, _parts(answer)))


def _parts(answer: Answer) -> tuple[Answer, ...]:
    if isinstance(answer, Sequence):
        return answer.items
    return answer.sides if isinstance(answer, Relation) else answer.parts if isinstance(answer, Joined) else ()


def _with_names(answer: Answer, new: dict[str, str]) -> Answer:
    """The answer with other names for some symbols."""
    if isinstance(answer, Formula):
        return replace(answer, node=replaced(answer.node, {old: ("symbol", name) for old, name in new.items()}))
    parts = tuple(_with_names(part, new) for part in _parts(answer))
    if isinstance(answer, Sequence):
        return replace(answer, items=parts)
    if isinstance(answer, Relation):
        return replace(answer, sides=parts)
    return replace(answer, parts=parts) if isinstance(answer, Joined) else answer


def each_letter(chain: Relation) -> Sequence | None:
    """What ``x = y = z = 0`` says of each of its letters."""
    *letters, value = chain.sides
    if len(letters) < 2 or set(chain.signs) != {"="} or not all(is_letter(side) for side in letters):
        return None
    return Sequence(tuple(Relation((letter, value), ("=",)) for letter in letters))


def by_name(given: Sequence) -> Sequence:
    """``y = 2, x = 1`` in the order of the letters, as a pair has it."""
    sides = [item.sides[0] for item in given.items if isinstance(item, Relation)]
    letters = [side.node[1] for side in sides if isinstance(side, Formula) and side.node[0] == "symbol"]
    if len(letters) != len(given.items) or not all(len(name) == 1 for name in letters):
        return given
    return replace(
        given, items=tuple(item for _, item in sorted(zip(letters, given.items, strict=True), key=itemgetter(0)))
    )
