"""Numbers with words behind them: a unit, which is dropped, several units, a multiple, or a phrase."""

from __future__ import annotations

from lit_passk.tasks.math.answers import Answer, Formula, Sequence, Words
from lit_passk.tasks.math.brackets import nesting
from lit_passk.tasks.math.expressions import parse_expression
from lit_passk.tasks.math.latex import BARE_UNITS, Token, spelled
from lit_passk.tasks.math.symbols import names

_MULTIPLES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
DEGREES = {"degree", "degrees", "deg"}
PERCENT = {"percent", "percentage", "pct"}
_UNITS = BARE_UNITS | set(
    (  # noqa: SIM905
        "unit units square cubic degree degrees radian radians dollar dollars cent cents inch inches foot feet meter "
        "meters metre metres mile miles yard yards second seconds minute minutes hour hours gram grams liter liters "
        "litre litres m s g h l J N W V A K C F Pa mol newton newtons joule joules watt watts volt volts"
    ).split()
)
_OPERATORS = {"+", "-", "*", "/", "^", "_", ",", "\\cdot", "\\times"}
APPROXIMATELY = {"approximately", "about", "roughly", "exactly", "around"}


def without_remark(tokens: list[Token]) -> list[Token]:
    r"""``300`` for ``300 \text{ (dollars)}`` and ``1`` for ``1 \text{ (only } n = 1)``."""
    opening = max((place for place, token in enumerate(tokens) if token.text == "("), default=0)
    words = tokens[opening + 1 : -1]
    said = words and words[0].kind == "word" and (len(words) == 1 or words[1].text not in _OPERATORS)
    if not opening or not said or tokens[-1].text != ")":
        return tokens
    return tokens[:opening] if tokens[opening].spaced and tokens[opening - 1].text[-1] in "0123456789})" else tokens


def quantity(tokens: list[Token]) -> Answer:
    """A number with a unit, which is dropped; several of them; or words."""
    parts: list[tuple[list[Token], list[Token]]] = []  # numbers and the words behind them
    for place, token in enumerate(tokens):
        inside_unit = (
            parts and parts[-1][1] and (token.text in _UNIT_SIGNS or tokens[place - 1].text in {"^", "-", "{"})
        )
        if token.kind == "word" or inside_unit:
            if not parts:
                return _worded(tokens)
            parts[-1][1].append(token)
        elif parts and not parts[-1][1]:
            parts[-1][0].append(token)
        else:
            parts.append(([token], []))
    if not parts[0][1]:
        return _worded(tokens)
    nodes = [parse_expression(number) for number, _ in parts]
    words = [[token.text for token in unit if token.kind == "word"] for _, unit in parts]
    units = [tuple(token.text for token in unit) for _, unit in parts]
    if len(parts) > 1:
        if any(names(node) for node in nodes) or not all(words):
            return _worded(tokens)
        return Sequence(
            tuple(
                Sequence((Formula(node, unit=unit), Words(word[0][0].lower())), "unit")
                for node, word, unit in zip(nodes, words, units, strict=True)
            ),
            "+",
        )
    if names(nodes[0]) and not set(words[0]) <= _UNITS:
        return _worded(tokens)
    zeros = _MULTIPLES.get(words[0][0].lower().rstrip("s"))
    if zeros:
        return Formula(("*", nodes[0], ("number", "1" + "0" * zeros)), unit=units[0][1:])
    return Formula(nodes[0], unit=units[0])


def has_words(tokens: list[Token]) -> bool:
    """Whether there are words outside of brackets and indices."""
    level = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        level += nesting(token)
        if token.kind == "word" and level == 0 and (before is None or before.text != "_"):
            return True
    return False


_UNIT_SIGNS = {"^", "/", "\\cdot", "{", "}", "-", "(", ")", "*", "."}


def _worded(tokens: list[Token]) -> Answer:
    r"""Words, or a product that has a name of several letters in it, such as ``2 \text{rate}``."""
    if all(token.kind != "word" or len(token.text) == 1 for token in tokens):
        return Formula(parse_expression(tokens))
    return Words(spelled(tokens))
