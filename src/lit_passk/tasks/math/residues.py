r"""Residues: ``x \equiv 3 \pmod 7``, ``x \equiv 10 \pmod 7`` and ``x = 7k + 3`` say one thing."""

from __future__ import annotations

from lit_passk.tasks.math.answers import Answer, Formula, Relation
from lit_passk.tasks.math.sampling import same_value
from lit_passk.tasks.math.symbols import WHOLE_NUMBERS, Node, names, replaced

_MOD = "mod "
_TRIED = ("1", "2", "5")


def modulus(answer: Answer) -> str:
    """The 7 of ``mod 7``, empty where an answer has none."""
    if isinstance(answer, Relation):
        return modulus(answer.sides[-1])
    base = answer.base if isinstance(answer, Formula) else None
    return base.removeprefix(_MOD) if base and base.startswith(_MOD) else ""


def congruent(one: Node, other: Node, number: str) -> bool:
    """Whether two numbers are the same residue modulo ``number``."""
    if not number.isdigit():
        return False
    quotient: Node = ("/", ("+", one, ("-", other)), ("number", number))
    return not names(quotient) and same_value(quotient, ("call", "floor", quotient))


def same_class(residue: Formula, multiples: Formula) -> bool:
    """Whether ``7k + 3``, for every whole number k, is the class of a residue modulo 7."""
    found, number = names(multiples.node), modulus(residue)
    if not number.isdigit() or len(found) != 1 or not found <= WHOLE_NUMBERS:
        return False
    first, *others = (replaced(multiples.node, dict.fromkeys(found, ("number", k))) for k in ("0", *_TRIED))
    steps = [("/", ("+", other, ("-", first)), ("number", number)) for other in others]
    evenly = any(
        all(same_value(step, (*sign, ("number", k))) for step, k in zip(steps, _TRIED, strict=True))
        for sign in (("+", ("number", "0")), ("-",))
    )
    return evenly and congruent(residue.node, first, number)
