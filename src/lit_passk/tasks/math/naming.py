r"""Letters that an answer may choose: a function's variable, arbitrary constants, a whole number, ``y'`` for dy/dx."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

from lit_passk.tasks.math.answers import Answer, Formula, Joined, Relation, Sequence
from lit_passk.tasks.math.symbols import WHOLE_NUMBERS, names, replaced

_FUNCTION = re.compile(r"(\w'*(?:_\w+)?)\((\w)\)")
_CONSTANT = re.compile(r"C(?:_\d)?")  # as C and not c_1: ``symbols.py`` writes C_1 for c_1
_ITS_NAMES = re.compile(r"[ABCDKck](?:_\d)?")
_DERIVATIVE = re.compile(r"d(\w)/d\w")


def renamed(right: Answer, given: Answer) -> Iterable[Answer]:
    """The answer in the letters of the reference, as far as it was free to choose others."""
    if isinstance(right, Relation) != isinstance(given, Relation):  # k\pi for x = k\pi
        right, given = (side.sides[-1] if isinstance(side, Relation) else side for side in (right, given))
    wanted, found = _letters(right), _letters(given)
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    if not missing and not extra:
        return
    choices = list(_functions(missing, extra)) if isinstance(right, Relation) else []
    if len(missing) == len(extra) < len(wanted):
        choices += [*_constants(missing, extra), *_single(missing[0], extra[0], whole="\\pi" in wanted & found)]
    yield from (_with_names(given, choice) for choice in choices)


def _functions(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    """``f(t)`` for ``f(x)``, ``y(x)`` for ``y`` and ``y`` for ``y(x)``."""
    there, here = ([match for name in group if (match := _FUNCTION.fullmatch(name))] for group in (missing, extra))
    if len(there) == len(here) == 1 and there[0][1] == here[0][1]:
        yield {here[0][0]: there[0][0], here[0][2]: there[0][2]}
    elif len(there) == 1 and there[0][1] in extra:
        yield {there[0][1]: there[0][0]}
    elif len(here) == 1 and here[0][1] in missing:
        yield {here[0][0]: here[0][1]}


def _constants(missing: list[str], extra: list[str]) -> Iterable[dict[str, str]]:
    """Other names of ``C``, or of ``C_1`` and ``C_2``."""
    if all(map(_CONSTANT.fullmatch, missing)) and all(map(_ITS_NAMES.fullmatch, extra)) and len(missing) <= 2:
        yield from (dict(zip(extra, order, strict=True)) for order in permutations(missing))


def _single(missing: str, extra: str, whole: bool) -> Iterable[dict[str, str]]:
    """``y'`` for dy/dx or the reverse; ``n`` for the ``k`` of a multiple of pi."""
    derivative = _DERIVATIVE.fullmatch(missing) or _DERIVATIVE.fullmatch(extra)
    if (derivative and derivative[1] + "'" in {missing, extra}) or (whole and {missing, extra} <= WHOLE_NUMBERS):
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
