"""From the text of an answer to what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate

from lit_passk.tasks.math.answers import EMPTY, Answer, Formula, Joined, Relation, Sequence, Words, is_region
from lit_passk.tasks.math.brackets import closes, nesting, split, trimmed
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.expressions import MAX_DEPTH, MAX_TOKENS, parse_expression
from lit_passk.tasks.math.labels import apart_by_label
from lit_passk.tasks.math.latex import Token, spelled, tokenize
from lit_passk.tasks.math.lists import DOTS, MAX_PARTS, as_matrix, conditions, one_twice, spread, without_dots
from lit_passk.tasks.math.phrases import in_symbols
from lit_passk.tasks.math.quantities import APPROXIMATELY, DEGREES, PERCENT, has_words, quantity, without_remark
from lit_passk.tasks.math.spelling import IN_BRACKETS, repeating

_RELATIONS = {"=", "<", ">", "\\le", "\\ge", "\\ne", "\\in", "\\approx", "\\equiv", "\\notin"}
_SEPARATORS = {",", ";", "and", "or", "\\\\"}
_BRACKETS = {"(": ")]", "[": "])", "\\{": ("\\}",), "\\langle": ("\\rangle",)}
_IF = {"if", "for", "when", "where"}
_NEARLY = re.compile(r"\\(?:approx|simeq|doteq)(?![a-zA-Z])|≈")
_DECIMAL_COMMA = re.compile(
    r"\s*([+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)),(\d{1,2}|\d{4,}|(?<=\b0,)\d{3})((?:[^\d,;]|\^\{?\d\}?)*)"
)
_POINT = re.compile(r"(?<![A-Za-z\\])[ACDEFHMOPQRV]'?\s*(?=\([^()]*,[^()]*\))")
LABEL = re.compile(
    r"\s*(?:\\text(?:bf|rm)?\s*\{\s*)?\(?([A-H])(?:\)\s*\}|\}\s*\)|\)|[.:])[\s~]*(?:\\ )?\}?\s*(?=[^\s,;.)])"
)


def readings(text: str) -> tuple[Answer, ...]:
    r"""All that an answer can mean, the likeliest first: 1,234 is a number or two, 2e-1 a fifth or 2e - 1.

    What cannot be read means its own spelling. Never raises.
    """
    text = in_symbols(text)
    spellings = [text, LABEL.sub("", text, count=1)]
    if len(about := _NEARLY.split(text)) == 2 and all(map(str.strip, about)):  # 2\sqrt{3} \approx 3.46 says both
        spellings += about
    if re.search(r"\d[eE][+-]?\d", text):
        spellings.append(re.sub(r"(?<=\d)([eE])(?=[+-]?\d)", r"\1 ", text))
    if comma := _DECIMAL_COMMA.fullmatch(text):  # 3,5 is a list or what is 3.5 elsewhere
        spellings.append(f"{comma[1].replace('.', '')}.{comma[2]}{comma[3]}")
    if IN_BRACKETS.search(text):  # 0.1(6) is a sixth or a product
        spellings.append(IN_BRACKETS.sub(repeating, text))
    if (apart := apart_by_label(text)) is not None:  # (i) 3 (ii) 5
        spellings.append(apart)
    if _POINT.search(text):
        spellings.append(_POINT.sub("", text))  # A(1,2) is a point
    found = []
    for spelling in dict.fromkeys(spellings):
        for thousands in (True, False) if "," in spelling else (True,):
            tokens = tokenize(spelling, thousands)
            found.append(_meaning(tokens))
            if "=" in spelling and len(called := _with_values(tokens)) < len(tokens):  # 3y(t) + t = 5
                found.append(_meaning(called))
    return tuple(dict.fromkeys(found))


def _meaning(tokens: list[Token]) -> Answer:
    try:
        if max(accumulate(map(nesting, tokens)), default=0) > MAX_DEPTH:
            raise UnreadableError
        return _read(tokens)
    except (UnreadableError, RecursionError):
        return Words(spelled(tokens))


def _with_values(tokens: list[Token]) -> list[Token]:
    """``y(t)`` as one name, wherever it stands: a function's value rather than a product."""
    found: list[Token] = []
    for token in tokens:
        found.append(token)
        if _is_value(found[-4:]):
            found[-4:] = [Token("letter", spelled(found[-4:]))]
    return found


def _read(tokens: list[Token]) -> Answer:
    tokens = trimmed(tokens)
    if not tokens or len(tokens) > MAX_TOKENS * 4:
        raise UnreadableError
    if tokens[0].text in {"\\begincases", "\\{"} and closes(tokens) == len(tokens):
        return _cases(tokens[1:-1]) if tokens[0].text == "\\begincases" else _bracketed(tokens)
    parts, moduli = split(tokens, {"\\mod"})
    if moduli:
        return _residue(parts[0], "mod " + spelled(parts[1]))
    parts, semicolons = split(tokens, {";"})
    if not semicolons and any(token.text == "or" for token in tokens):  # x=1, y=2 or x=3, y=4
        parts, semicolons = split(tokens, {"or"})
        semicolons = semicolons if all(map(_assigns_several, parts)) else []
    if semicolons and any(split(part, {","})[1] for part in parts):  # x=1, y=2; x=3, y=4
        pairs = [_read(part) for part in parts if trimmed(part)]
        return Sequence(tuple(Sequence(spread(p), "(", ")") if len(spread(p)) > 1 else p for p in pairs))
    parts, separators = split(tokens, _SEPARATORS)
    if separators:
        items = tuple(item for part in parts if trimmed(part) for item in spread(_read(part)))
        if not items:  # "or" alone
            raise UnreadableError
        items = without_dots(items)
        if isinstance(items[0], Relation) and items[0].signs == ("\\ne",):  # x \ne 0, 1
            name = items[0].sides[0]
            items = tuple(Relation((name, i), ("\\ne",)) if isinstance(i, Formula) else i for i in items)
        if "or" in separators and any(map(is_region, items)) and all(is_region(i) or _is_point(i) for i in items):
            return Joined("or", items)
        if len(items) == 1 or one_twice(items, separators):
            return items[0]
        no_pair = "or" in separators and not any(isinstance(item, Sequence) for item in items)  # 2 or 3
        return Sequence(items, "\\{", "\\}") if no_pair else Sequence(items)
    for sign, how in (("\\setminus", "minus"), ("\\cup", "or"), ("\\cap", "and")):
        parts, found = split(tokens, {sign})
        if found:
            if len(parts) > MAX_PARTS:
                raise UnreadableError
            return Joined(how, tuple(_read(part) for part in parts))
    if any(token.text in {"\\pm", "\\mp"} for token in tokens):
        both = ({"\\pm": "+", "\\mp": "-"}, {"\\pm": "-", "\\mp": "+"})
        return Sequence(tuple(_read([t._replace(text=sign.get(t.text, t.text)) for t in tokens]) for sign in both))
    parts, signs = split(tokens, _RELATIONS)
    if signs:
        return _relation([part for part in parts if part], signs)
    if tokens[0].text in _BRACKETS:
        if tokens[0].text in {"(", "["} and spelled(tokens[closes(tokens) :]) in {"^T", "^\\top"}:
            tokens = tokens[: closes(tokens)]  # a row that is to be a column
            if any(token.text == "[" for token in tokens[1:]):
                raise UnreadableError
        if closes(tokens) == len(tokens):
            return _bracketed(tokens)
    parts, colons = split(tokens, {":"})
    if len(colons) > 1:  # 1:2:3
        first, *others = map(parse_expression, parts)
        return Sequence(tuple(Formula(("/", other, first)) for other in others), ":")
    return _single(tokens)


def _assigns_several(tokens: list[Token]) -> bool:
    parts = split(tokens, {",", "and"})[0]
    return len(parts) > 1 and all("=" in split(part, {"="})[1] for part in parts)


def _is_point(answer: Answer) -> bool:
    """Whether it is ``x = 2``."""
    return isinstance(answer, Relation) and answer.signs == ("=",)


def _residue(tokens: list[Token], modulus: str) -> Answer:
    r"""``5 \pmod 7`` or ``x \equiv 5 \pmod 7``: 5, and unequal to 5 modulo 8."""
    answer = _read(tokens)
    return _with_base(answer, modulus) or Words(spelled(tokens) + modulus)


def _with_base(answer: Answer, base: str) -> Answer | None:
    if isinstance(answer, Formula):
        return replace(answer, base=base)
    if isinstance(answer, Relation) and (last := _with_base(answer.sides[-1], base)):
        return replace(answer, sides=(*answer.sides[:-1], last))
    items = [_with_base(item, base) for item in answer.items] if isinstance(answer, Sequence) else []
    known = tuple(item for item in items if item is not None)
    return replace(answer, items=known) if isinstance(answer, Sequence) and len(known) == len(items) > 0 else None


def _single(tokens: list[Token]) -> Answer:
    """An answer without any structure."""
    if len(tokens) == 1 and tokens[0].text.startswith("\\mathbb "):
        return Joined("all", (Words(tokens[0].text[-1]),))
    if tokens[0].text == "\\emptyset":
        return EMPTY
    if spelled(tokens) == DOTS.text:
        return DOTS
    digits = tokens[1:] if tokens[0].text == "-" else tokens
    if len(digits) > 2 and digits[0].kind == "number" and digits[1].text == "_":
        base = "".join(token.text for token in digits[2:] if token.text not in "{}")
        if base.isdigit():
            return Formula(parse_expression(tokens), base=base)
    if len(tokens) == 4 and tokens[1].text == ":" and tokens[3].text in {"am", "pm"}:
        return Words(spelled(tokens))
    percent = tokens[-1].text == "%" or tokens[-1].text.lower() in PERCENT
    if percent:
        return Formula(parse_expression(tokens[:-1]), percent=True)
    degrees = spelled(tokens[-4:]).endswith("^\\circ") or tokens[-1].text.lower() in DEGREES
    while tokens[0].kind == "word" and tokens[0].text.lower() in APPROXIMATELY and len(tokens) > 1:
        tokens = tokens[1:]
    tokens = without_remark(tokens)
    answer = quantity(tokens) if has_words(tokens) else Formula(parse_expression(tokens))
    return replace(answer, degrees=True) if degrees and isinstance(answer, Formula) else answer


def _relation(parts: list[list[Token]], signs: list[str]) -> Answer:
    if len(parts) != len(signs) + 1:  # a sign before or behind everything
        if len(parts) == len(signs) and len(signs) == 1 and signs[0] in {"=", "\\approx"}:
            return _read(parts[0])
        raise UnreadableError
    if "\\approx" in signs[1:]:  # x = 1/3 \approx 0.33: the exact value counts
        place = signs.index("\\approx", 1)
        parts, signs = parts[: place + 1], signs[:place]
    if signs == ["\\notin"]:
        return Joined("minus", (Joined("all", (Words("R"),)), _read(parts[1])))
    sides = (_applied(parts[0]) or _side(parts[0]), *map(_side, parts[1:]))
    return Relation(sides, tuple("=" if s in {"\\approx", "\\equiv"} else s for s in signs))


def _applied(tokens: list[Token]) -> Answer | None:
    """The left side of ``P(x) = ...`` as one name."""
    return Formula(("symbol", spelled(tokens))) if _is_value(tokens) else None


def _is_value(tokens: list[Token]) -> bool:
    kinds = [token.kind for token in tokens]
    return kinds == ["letter", "sign", "letter", "sign"] and tokens[1].text + tokens[3].text == "()"


def _side(tokens: list[Token]) -> Answer:
    try:
        return _read(tokens)
    except UnreadableError:
        return Words(spelled(tokens))


def _bracketed(tokens: list[Token]) -> Answer:
    opening, closing, inside = tokens[0].text, tokens[-1].text, tokens[1:-1]
    if not inside:
        return EMPTY
    if closing not in _BRACKETS[opening]:
        raise UnreadableError
    if opening == "\\{":
        parts, bars = split(inside, {"\\mid", "|", ":"})
        if (bars and bars[0] in {"\\mid", ":"}) or len(bars) == 1:
            left, condition = _read(parts[0]), _read(inside[len(parts[0]) + 1 :])
            domain = left if isinstance(left, Relation) and left.signs == ("\\in",) else None
            left = domain.sides[0] if domain else left
            if not isinstance(left, Formula) or left.node[0] != "symbol":
                raise UnreadableError
            return conditions(Sequence((*spread(condition), domain)) if domain else condition)
    parts, commas = split(inside, {",", ";"})
    if not commas and opening != "\\{":
        return _read(inside)
    items = without_dots(tuple(item for part in parts for item in spread(_read(part))))
    answer = Sequence(items, opening, closing)
    return as_matrix(answer) or answer


def _cases(tokens: list[Token]) -> Answer:
    r"""The pieces of a function, each a value and where it holds: ``x^2 & \text{if } x > 0``."""
    pieces = []
    for row in split(tokens, {"\\\\"})[0]:
        if not trimmed(row):
            continue
        cells = [trimmed(cell) for cell in split(row, {"&"})[0]]
        if len(cells) != 2:
            raise UnreadableError
        value, condition = cells
        while condition and (condition[0].text.lower() in _IF or condition[0].text == ","):
            condition = condition[1:]
        pieces.append(Sequence((_side(value), _side(condition)), "case"))
    return Sequence(tuple(pieces), "cases")
