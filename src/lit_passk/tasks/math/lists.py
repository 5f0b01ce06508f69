r"""Lists of answers: written out where they have dots, as matrices, as conditions, as one number in several forms."""

from __future__ import annotations

from lit_passk.tasks.math.answers import Answer, Formula, Joined, Relation, Sequence, Words
from lit_passk.tasks.math.sampling import same_value

DOTS = Words("\\ldots")
MAX_PARTS = 60


def without_dots(items: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """``1, 2, ..., 5`` written out; of an end that is far off or a symbol the first two numbers alone are kept."""
    if items.count(DOTS) != 1 or DOTS in {items[0], items[-1]}:
        return items
    place = items.index(DOTS)
    first, *others = (_whole(item) for item in items[:place])
    step = others[0] - first if others and first is not None and others[0] is not None else 1
    if first is None or step <= 0 or others != [first + step * n for n in range(1, place)]:
        return items
    end = _whole(items[place + 1])
    if end is not None and (end - first) % step == 0 and first < end <= first + step * MAX_PARTS:
        return tuple(_number(n) for n in range(first, end, step)) + items[place + 1 :]
    return (_number(first), _number(first + step), *items[place:])


def _whole(item: Answer) -> int | None:
    """The whole number that an item is written as."""
    node = item.node if isinstance(item, Formula) else ("",)
    sign, number = (-1, node[1]) if node[0] == "-" else (1, node)
    return sign * int(number[1]) if number[0] == "number" and number[1].isdigit() else None


def _number(n: int) -> Formula:
    return Formula(("number", str(n)) if n >= 0 else ("-", ("number", str(-n))))


def one_twice(items: tuple[Answer, ...], separators: list[str]) -> bool:
    """``3/4 or 0.75``: one number in several forms."""
    formulas = [item for item in items if isinstance(item, Formula)]
    nodes = [("/", item.node, ("number", "100")) if item.percent else item.node for item in formulas]
    alike = len(nodes) == len(items) and separators[-1] == "or" and len(set(nodes)) == len(nodes)
    return alike and all(same_value(nodes[0], node) for node in nodes[1:])


def as_matrix(answer: Sequence) -> Answer | None:
    """``[[1, 2], [3, 4]]``."""
    rows = [row.items for row in answer.items if isinstance(row, Sequence) and row.opening == answer.opening == "["]
    cells = [cell.node for row in rows for cell in row if isinstance(cell, Formula)]
    if len(rows) != len(answer.items) or len({len(row) for row in rows}) != 1 or len(cells) != len(rows) * len(rows[0]):
        return None
    width = len(rows[0])
    return Formula(("matrix", *(tuple(cells[start : start + width]) for start in range(0, len(cells), width))))


def conditions(answer: Answer) -> Answer:
    """Several conditions on the members of a set, of which "is real" is none."""
    if not isinstance(answer, Sequence) or answer.opening:
        return answer
    real = Joined("all", (Words("R"),))
    kept = tuple(
        p for p in answer.items if not (isinstance(p, Relation) and p.signs == ("\\in",) and p.sides[1] == real)
    )
    return kept[0] if len(kept) == 1 else Joined("and", kept)


def spread(answer: Answer) -> tuple[Answer, ...]:
    """The items of a list without brackets, or the answer alone."""
    return answer.items if isinstance(answer, Sequence) and not answer.opening else (answer,)
