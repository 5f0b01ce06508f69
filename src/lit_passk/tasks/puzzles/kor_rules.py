r"""When an answer of KOR-Bench is right: what its own evaluation (``eval/eval_utils.py``) does, rule by rule.

An answer stands in ``[[...]]``, else in ``$\boxed{...}$``, else in ``[...]``; the first one counts. Most answers are
then compared as texts without spaces. Two kinds need more: sums (puzzles 9 and 10) are worked out with fractions, and
those operations whose answer is a formula are compared by this project's grader of mathematics, in the place of sympy's
parser there: what it holds equal is not exactly the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lit_passk.tasks.math.grading import grade
from lit_passk.tasks.puzzles.expressions import plain_sum, value_of

_PLACES = (r"\[\[\s*(.*?)\s*\]\]", r"\$\\boxed\{(.*?)\}\$", r"\[\s*(.*?)\s*\]")
_FORMULAS = frozenset(
    [18, 73, 74, 77, 94, 115, 116, 117, 121, 122, 123, 125, 131, 132, 134, 135, 136, 141, 143, 145, 146, 147, 149, 151,
     152, 153, 154, 155, 156, 160, 161, 162, 164, 165, 166, 170, 206, 209, 211, 212, 213, 214, 215, 217, 218]
)  # fmt: skip
_INEQUALITIES = (178, 179)


def is_right(text: str, answer: str, category: str, rule: int, number: int) -> tuple[bool, str | None]:
    """Whether a completion is right, and the answer that was found in it.

    Args:
        text: The completion, after its thinking.
        answer: The row's ``answer``.
        category: ``cipher``, ``counterfactual``, ``logic``, ``operation`` or ``puzzle``.
        rule: The row's ``rule_id``.
        number: The row's ``idx``.
    """
    found = _found(text)
    if category == "puzzle":
        inner, wanted = _inner(text), _inner(answer) or ""
        return inner is not None and _PUZZLES.get(rule, _same_signs)(inner, wanted), found
    if found is None:
        return False, None
    if category == "logic":
        spaced = re.sub(r'["\n .]', "", found)
        if rule == 5:
            return sorted(f"[[{spaced}]]".split(";")) == sorted(answer.split(";")), found
        return spaced == re.sub(r'["\n .]', "", _found(answer) or ""), found
    if category == "operation":
        return _operation(found, answer, rule, number), found
    return f"[[{_bare(found)}]]" == answer, found


def _found(text: str) -> str | None:
    for place in _PLACES:
        if match := re.search(place, text, re.DOTALL):
            return match[1].strip()
    return None


def _inner(text: str) -> str | None:
    match = re.search(r"\[\[(.*?)\]\]", text, re.DOTALL)
    return match[1] if match else None


def _bare(text: str) -> str:
    return re.sub(r'["\n \[\]]', "", text)


def _operation(found: str, answer: str, rule: int, number: int) -> bool:
    bare = _bare(found)
    if number in _INEQUALITIES:
        return _inequalities(bare) == _inequalities(answer)
    if rule == 18:
        return sorted(re.sub(r"\W+", "", bare)) == sorted(re.sub(r"\W+", "", _inner(answer) or ""))
    if rule in (23, 24, 25):
        return re.findall(r"\d+", bare) == re.findall(r"\d+", answer)
    if number in _FORMULAS:
        return _same_formulas(found, _found(answer) or "")
    if "or" in answer:
        wanted = _bare(_found(answer) or "")
        return sorted(bare.replace(r"\text{or}", "or").split("or")) == sorted(wanted.split("or"))
    return f"[[{bare}]]" == answer


def _inequalities(text: str) -> list[tuple[str, str]]:
    return sorted(re.findall(r"([\u2265\u2264])\s*(-?\d+\.?\d*)", text))


def _same_formulas(found: str, wanted: str) -> bool:
    """Formulas, or several of them joined by "or", in any order; what precedes the last equals sign does not count."""
    left = [part.rsplit("=", 1)[-1].strip() for part in found.split("or")]
    right = [part.rsplit("=", 1)[-1].strip() for part in wanted.split("or")]
    if len(left) != len(right):
        return False
    for part in right:
        same = next((other for other in left if grade(part, f"\\boxed{{{other}}}")[0]), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _same_signs(found: str, wanted: str) -> bool:
    return re.sub(r"\W+", "", found) == re.sub(r"\W+", "", wanted)


def _letters(text: str) -> str:
    return re.sub(r"[^A-Za-z]", "", text).lower()


def _words(found: str, wanted: str) -> bool:
    return sorted(filter(None, re.split(r"\W+", found.lower()))) == sorted(wanted.split(" "))


def _items(text: str) -> list[str]:
    return sorted(re.sub(r"\s+", "", text).split(","))


def _sum(found: str, wanted: str) -> bool:
    """The same signs in the same order, and the right result."""
    left, right = (plain_sum(text) for text in (found, wanted))
    signs = [re.findall(r"[-+*/]", text.split("=")[0]) for text in (left, right)]
    value, result = value_of(left.split("=")[0]), re.search(r"=\s*(-?\d+)", right)
    return signs[0] == signs[1] and value is not None and result is not None and value[0] == int(result[1])


def _twenty_four(found: str, wanted: str) -> bool:
    """The same digits, and a sum that is 24."""
    left, right = plain_sum(found).split("=")[0], plain_sum(wanted).split("\n")[0].split("=")[0]
    value = value_of(left)
    digits = [sorted(re.sub(r"\W+", "", text)) for text in (left, right)]
    return digits[0] == digits[1] and value is not None and value[0] == 24


_PUZZLES: dict[int, Callable[[str, str], bool]] = {
    1: lambda found, wanted: _letters(found) == _letters(wanted),
    2: lambda found, wanted: _letters(found) in wanted.split(","),
    3: _words,
    4: lambda found, wanted: _letters(found) in wanted,
    5: lambda found, wanted: _items(found) == sorted(wanted.split(",")),
    9: _sum,
    10: _twenty_four,
    18: lambda found, wanted: re.sub(r"[,\s\[\]]+", "", found) == re.sub(r"[,\s\[\]]+", "", wanted),
}
