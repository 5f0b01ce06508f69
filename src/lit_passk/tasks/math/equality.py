"""Is one answer the other? Formulas by their values, relations and sets by sampling, the rest part by part."""

from __future__ import annotations

from dataclasses import replace

from lit_passk.tasks.math.answers import (
    Answer,
    Formula,
    Joined,
    Relation,
    Sequence,
    Words,
    is_called,
    is_interval,
    is_name,
    is_number,
    is_region,
)
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.equations import same_equation
from lit_passk.tasks.math.families import same_family
from lit_passk.tasks.math.naming import by_name, each_letter
from lit_passk.tasks.math.pieces import ELSE, same_in_pieces
from lit_passk.tasks.math.regions import same_region
from lit_passk.tasks.math.residues import congruent, modulus, same_class
from lit_passk.tasks.math.sampling import same_up_to_constant, same_value
from lit_passk.tasks.math.symbols import Node, names
from lit_passk.tasks.math.units import same_amount
from lit_passk.tasks.math.vectors import same_vector, with_identity

_MAX_ITEMS = 60  # lists without order are compared pair by pair
_HUNDRED = ("number", "100")


def same(right: Answer, given: Answer) -> bool:
    """Whether an answer is the reference.

    Not symmetric: the value alone answers an assignment (``x = 5``), and an assignment or a calculation a value, but
    the right side of an equation does not answer the equation.
    """
    if right == given:
        return True
    if (amounts := same_amount(right, given)) is not None:
        return amounts
    if isinstance(right, Sequence) and isinstance(given, Relation) and (each := each_letter(given)):  # x = y = 0
        return same(right, each)
    if isinstance(right, Relation) and isinstance(given, Sequence) and (each := each_letter(right)):
        return same(each, given)
    if isinstance(given, Relation) and not isinstance(right, Relation):
        value = assigned(given)
        if value is not None and same(right, value):
            return True
    elif isinstance(right, Relation) and not isinstance(given, Relation):
        value = assigned(right)
        if value is not None and same(value, given):
            return True
    if isinstance(right, Formula) and isinstance(given, Formula):
        return _same_formula(right, given) or same_vector(right, given)
    if isinstance(right, Relation) and isinstance(given, Relation):
        if right.sides[0] == given.sides[0] and (amounts := same_amount(right.sides[-1], given.sides[-1])) is not None:
            return amounts  # x = 12 cm
        if _same_relation(right, given):
            return True
    if same_in_pieces(right, given):
        return True
    if any(_same_set(r, g) for r in _as_sets(right, given) for g in _as_sets(given, right)):
        return True
    if isinstance(right, Sequence) and isinstance(given, Sequence):
        return _same_items(right, by_name(given) if right.opening == "(" and not given.opening else given)
    if same_vector(right, given):
        return True
    if isinstance(right, Sequence) and right.opening == "\\{" and len(right.items) == 1:
        return same(right.items[0], given)
    if isinstance(given, Sequence) and given.opening == "\\{" and len(given.items) == 1:
        return same(right, given.items[0])
    return isinstance(right, Words) and isinstance(given, Words) and right.text.casefold() == given.text.casefold()


def _same_formula(right: Formula, given: Formula) -> bool:
    if right.base and given.base and right.base != given.base:
        return False
    if same_class(right, given) or same_class(given, right):
        return True
    if modulus(right) and modulus(right) == modulus(given) and congruent(right.node, given.node, modulus(right)):
        return True
    if right.degrees != given.degrees and _in_radians(*((right, given) if right.degrees else (given, right))):
        return True
    if right.node[0] == "matrix" and given.node[0] != "matrix":
        given = replace(given, node=with_identity(given.node, len(right.node) - 1))
    if right.percent == given.percent:
        return same_value(right.node, given.node) or same_up_to_constant(right.node, given.node)
    percent, plain = (right, given) if right.percent else (given, right)
    return same_value(percent.node, plain.node) or same_value(("/", percent.node, _HUNDRED), plain.node)


def _in_radians(degrees: Formula, radians: Formula) -> bool:
    return same_value(("/", ("*", degrees.node, ("symbol", "\\pi")), ("number", "180")), radians.node)


def assigned(relation: Relation) -> Answer | None:
    """What a relation says that something is: the last side of ``x = 5``, ``P(X>2) = 0.3``, ``2 + 3 = 5``.

    None where the left side is no name: ``x^2 - 2x - 3 = 0`` does not say 0.
    """
    if relation.signs == ("\\in",):
        return relation.sides[1] if is_name(relation.sides[0]) else None
    if set(relation.signs) != {"="}:
        return None
    first, *_, last = relation.sides
    if is_name(first) or (isinstance(last, Formula) and last.node[0] == "matrix"):  # A^{-1} = ...
        if len(relation.sides) == 2 and is_number(first) and not is_number(last) and is_name(last):  # 9 = x
            return first
        return last
    if len(relation.sides) > 2 and same(relation.sides[-2], last):  # a calculation
        return last
    return None


def _same_relation(right: Relation, given: Relation) -> bool:
    if set(right.signs) != {"="} or set(given.signs) != {"="}:
        return _same_chain(right, given)
    if modulus(right) or modulus(given):
        return all(same(a, b) for a, b in zip(_ends(right), _ends(given), strict=True))
    one, other = (_difference(relation) for relation in (right, given))
    if one is None or other is None:
        values = assigned(right), assigned(given)
        return None not in values and same(right.sides[0], given.sides[0]) and same(*values)  # type: ignore[arg-type]
    if not names(one) and not names(other):
        return all(same(a, b) for a, b in zip(_ends(right), _ends(given), strict=True))
    left = right.sides[0]
    try:
        if left == given.sides[0] and is_called(left):  # N(n) = ...: steps show in its values, not along lines near 0
            return same(right.sides[-1], given.sides[-1]) or same_family(one, other)
        return same_equation(one, other) or same_family(one, other)
    except UnreadableError:
        return all(same(a, b) for a, b in zip(_ends(right), _ends(given), strict=True))


def _same_chain(right: Relation, given: Relation) -> bool:
    """The same comparisons, side by side or turned around."""
    turned = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
    for sides, signs in (
        (given.sides, given.signs),
        (given.sides[::-1], tuple(turned.get(sign, sign) for sign in given.signs[::-1])),
    ):
        if right.signs == signs and all(same(a, b) for a, b in zip(right.sides, sides, strict=True)):
            return True
    return False


def _ends(relation: Relation) -> tuple[Answer, Answer]:
    return relation.sides[0], relation.sides[-1]


def _difference(relation: Relation) -> Node | None:
    left, right = _ends(relation)
    if not isinstance(left, Formula) or not isinstance(right, Formula):
        return None
    return ("+", left.node, ("-", right.node))


def _as_sets(answer: Answer, other: Answer) -> list[Answer]:
    """What an answer can be as a set if one of the two is one: of several conditions, where all or where one holds."""
    if not (is_region(answer) or is_region(other)) or (is_interval(answer) and is_interval(other)):
        return []
    if isinstance(answer, Sequence) and not answer.opening:
        return [Joined("and", answer.items), Joined("or", answer.items)]
    return [answer]


def _same_set(right: Answer, given: Answer) -> bool:
    every = [answer for answer in (right, given) if isinstance(answer, Joined) and answer.how == "all"]
    if len(every) == 2:  # the sets of numbers, of which regions are real ones
        return every[0] == every[1]
    try:
        return same_region(right, given)
    except UnreadableError:
        pass
    if isinstance(right, Joined) and isinstance(given, Joined) and right.how == given.how:
        if right.how != "minus":
            return _in_any_order(Sequence(right.parts), Sequence(given.parts))
        return len(right.parts) == len(given.parts) and all(map(same, right.parts, given.parts))
    return False


def _same_items(right: Sequence, given: Sequence) -> bool:
    """Part by part: in order where one of them has an order, in any order else, and never one part for several."""
    kinds = {right.opening, given.opening}
    if kinds == {"", "+"}:  # 2 hours 15 minutes, 2 hours and 15 minutes
        right, given = (_amounts(sequence) if sequence.opening == "+" else sequence for sequence in (right, given))
    if kinds & {"+", "unit"}:
        return (kinds == {"", "+"} or len(kinds) == 1) and _in_order(right, given)
    if kinds <= {"", "\\{"} or kinds == {"cases"}:
        return _in_any_order(right, given)
    if kinds == {"case"}:  # a value and where it holds
        values, conditions = zip(right.items, given.items, strict=True)
        return same(*values) and (not ELSE.isdisjoint(conditions) or same(*conditions))
    if kinds & {"\\{", "case", "cases"}:
        return False
    pair = len(right.items) == len(given.items) == 2
    if pair and "\\langle" not in kinds and right.opening + right.closing != given.opening + given.closing:
        return "" in kinds and "(" in kinds and (right.closing or given.closing) == ")" and _in_order(right, given)
    return _in_order(right, given)


def _amounts(quantity: Sequence) -> Sequence:
    return Sequence(tuple(item.items[0] for item in quantity.items if isinstance(item, Sequence)))


def _in_order(right: Sequence, given: Sequence) -> bool:
    return len(right.items) == len(given.items) and all(
        same(a, b) for a, b in zip(right.items, given.items, strict=True)
    )


def _in_any_order(right: Sequence, given: Sequence) -> bool:
    # of points, as of the members of a set, each counts once; of numbers in a row, such as the roots 1, 1, 2, all do
    sets = "\\{" in {right.opening, given.opening} or all(isinstance(item, Sequence) for item in given.items)
    wanted, left = (_distinct(right), _distinct(given)) if sets else (list(right.items), list(given.items))
    if len(wanted) != len(left) or len(wanted) > _MAX_ITEMS:
        return False
    things = [{_thing(item) for item in items} for items in (wanted, left)]
    by_thing = things[0] == things[1] and len(things[0]) == len(wanted) > 1  # 3 red, 2 blue
    for item in wanted:
        for place, other in enumerate(left):
            if same(item, other) and (not by_thing or _thing(item) == _thing(other)):
                del left[place]
                break
        else:
            return False
    return True


def _thing(item: Answer) -> str:
    """Of what an item is a number: the red of "3 red"."""
    return " ".join(item.unit).casefold().removesuffix("s") if isinstance(item, Formula) else ""


def _distinct(sequence: Sequence) -> list[Answer]:
    kept: list[Answer] = []
    for item in sequence.items[:_MAX_ITEMS]:
        if not any(same(item, other) for other in kept):
            kept.append(item)
    return kept
