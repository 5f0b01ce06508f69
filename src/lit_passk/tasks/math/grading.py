r"""Is the final answer of a completion the reference answer? The judgement is math-verify's; this module feeds it.

What is added to math-verify: the *last* box wins instead of every box near it, a letter chosen from several wins over
what stands beside it, `1.6e-19` is a number, equal spellings and whole numbers are settled without algebra (which is
most of the work of a training run), and numbers too small for math-verify's absolute tolerance are compared relatively.

Nothing here limits its own time: a completion can ask for `9^{9^{9^9}}`. Run it where that can be stopped.
"""

from __future__ import annotations

import cmath
import logging
import re
import zlib
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

from latex2sympy2_extended import NormalizationConfig
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Basic, Expr, Float, I, MatrixBase, Symbol, UnevaluatedExpr, nan, zoo
from sympy.logic.boolalg import BooleanAtom

from lit_passk.tasks.math.text import boxed_answers, chosen_letter, concluding_answer, final_text, letter, plain

Value: TypeAlias = Basic | MatrixBase

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that no time limit of its own is set: ours is

_WITHOUT_UNITS = NormalizationConfig(
    basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
)
BOX = (LatexExtractionConfig(boxed_match_priority=0),)
BOX_WITHOUT_UNITS = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=_WITHOUT_UNITS),)
TEXT = (*BOX, ExprExtractionConfig())
TEXT_WITHOUT_UNITS = (*BOX_WITHOUT_UNITS, ExprExtractionConfig())

_WHOLE = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)")
_DECIMAL = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)\.\d*")
_SCIENTIFIC = re.compile(r"(?<![\w.\\])(\d+(?:\.\d*)?|\.\d+)[eE]([+-]?\d+)(?![\w.])")
_EULER = re.compile(r"\\(?:mathrm|text|operatorname)\s*\{\s*e\s*\}")  # else taken for a unit, or for any other symbol
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")
_MIXED = re.compile(r"(?<![\w.^/}])(\d+)(?:\s|\\[ ,;!]|~)+(\d+)/(\d+)(?![\d.^/])")  # 1 3/4, read as (1 3)/4 otherwise
_BASE = re.compile(r"[+-]?\w+_\{?(\d+)\}?")
_DELIMITED = re.compile(r"\$\$.*?\$\$|\$.*?\$|\\\(.*?\\\)|\\\[.*?\\\]", re.DOTALL)
_LINKS = re.compile(r"\b(?:and|or)\b|[\s,;.]")
_SMALL = 1e-3
_MAX_DIGITS = 1000  # Python refuses to read numbers of several thousand digits, and some policies write them


def grade(reference: str, completion: str) -> tuple[bool, str | None]:
    r"""Judge one completion.

    Looked for in this order, after the last ``</think>`` if there is one: a closing "The final answer is ... I hope it
    is correct", the last box (several in a row, separated by nothing but commas or "and", are one answer), what follows
    "the answer is", the last expression or number.

    Args:
        reference: The right answer, as a data set gives it: LaTeX without or with delimiters, a text that holds a box,
            or a GSM8K solution that ends in ``#### 42``.
        completion: What the policy wrote.

    Returns:
        Whether it is right, and the answer that was found, None when there is none.

    Example:
        >>> grade(r"\frac{1}{2}", r"Not \boxed{2}. We get \boxed{0.5}.")
        (True, '0.5')
        >>> grade("72", "She sold 48 + 24 = 72 clips. The answer is 70.")
        (False, '70')
        >>> grade("72", "I do not know.")
        (False, None)

    """
    text = final_text(completion)
    reference = reference_text(reference)
    boxed = [] if (said := concluding_answer(text)) else boxed_answers(text)
    text = said or text
    if right := letter(reference):
        given = chosen_letter(text, boxed[0] if boxed else None)
        if given is not None:
            return given == right, given
    if boxed:
        return any(equal(reference, answer) for answer in boxed), boxed[0]
    values, answer = read_text(text)
    if answer is None:
        return False, None
    return settle(reference, answer) or any_equal(reference_values(reference), values), answer


def equal(reference: str, answer: str) -> bool:
    """Whether ``answer``, the content of a box, equals the reference."""
    settled = settle(reference, answer)
    return settled if settled is not None else any_equal(reference_values(reference), box_values(answer))


def settle(reference: str, answer: str) -> bool | None:
    """Decide by spelling: True for the same spelling, True or False for two whole numbers, None for the rest."""
    right, given = plain(reference), plain(answer)
    if right == given:
        return bool(given)
    if max(len(right), len(given)) > _MAX_DIGITS:
        return None
    if _WHOLE.fullmatch(right) and _WHOLE.fullmatch(given):
        return int(right.replace(",", "")) == int(given.replace(",", ""))
    if all(_WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text) for text in (right, given)) and (
        Fraction(right.replace(",", "")) == Fraction(given.replace(",", ""))
    ):
        return True
    bases = [_BASE.fullmatch(text) for text in (right, given)]
    if bases[0] and bases[1] and bases[0][1] != bases[1][1]:  # math-verify sees the digits alone
        return False
    return None


def reference_text(reference: str) -> str:
    """The answer in a data set's answer column: what follows ``####``, or else all of it."""
    return reference.rpartition("####")[2].strip() if "####" in reference else reference.strip()


@lru_cache(maxsize=16384)
def reference_values(reference: str) -> tuple[Value, ...]:
    """What the reference can mean; empty when it is no mathematics, so that only the same spelling matches."""
    outside = _DELIMITED.sub("", reference)
    prose = outside != reference and any(character.isalpha() for character in _LINKS.sub("", outside))
    if "\\boxed" in reference or prose:
        return _values(parse(reference, TEXT, parsing_timeout=None)) or box_values(reference)
    values = box_values(reference)
    if match := _DECIMAL_COMMA.fullmatch(reference):  # 1,22 is a pair or a decimal: a data set knows, we do not
        values += box_values(".".join(match.groups()))
    return values


@lru_cache(maxsize=4096)
def box_values(content: str) -> tuple[Value, ...]:
    """What the content of a box can mean, as SymPy objects."""
    content = _EULER.sub("e", plain(content, keep_text=True)).removeprefix("\\approx")
    content = _mixed(content)
    readings = [content]
    if _SCIENTIFIC.search(content):  # 2e-1 is a fifth, or a number less than twice Euler's
        readings.append(_SCIENTIFIC.sub(r"\1 \\times 10^{\2}", content))
    if "\\text" in content and "," in content:  # \text{A, B} is two letters, and no word
        readings.append(plain(content))
    values: tuple[Value, ...] = ()
    for reading in readings:
        box = f"\\boxed{{{reading}}}"
        values += _values(parse(box, BOX, parsing_timeout=None)) or _values(
            parse(box, BOX_WITHOUT_UNITS, parsing_timeout=None)  # `a + b + c`: those were no units
        )
    return values


def read_text(text: str) -> tuple[tuple[Value, ...], str | None]:
    """The answer of a text without a box: what it can mean and its spelling."""
    text = _DELIMITED.sub(lambda formula: _mixed(formula[0]), _EULER.sub("e", text))
    spelling = None
    for reading in (text, text.replace("\\$", "")) if "\\$" in text else (text,):
        for config, mode in ((TEXT, "first_match"), (TEXT_WITHOUT_UNITS, "first_match"), (TEXT, "any_match")):
            found = parse(reading, config, extraction_mode=mode, parsing_timeout=None)
            spelling = next((_spelling(item) for item in reversed(found) if isinstance(item, str)), None)
            if values := _values(found):
                return values, spelling
    return (), spelling


def _mixed(formula: str) -> str:
    return _MIXED.sub(r"\1\\frac{\2}{\3}", formula)


def _spelling(found: str) -> str:
    return plain(found.lstrip("* \n").rstrip("*. \n"), keep_text=True)  # without the asterisks of **72**


def _values(found: Iterable[Any]) -> tuple[Value, ...]:
    """The objects among what was found; not those that are no number, such as the 5/0 that the time 5:00 is read as."""
    return tuple(_with_imaginary(item) for item in found if isinstance(item, Value) and item not in (nan, zoo))


def _with_imaginary(value: Value) -> Value:
    """Read a free ``i`` as the imaginary unit, so that 1/(1+i) is (1-i)/2; not where that makes no sense (i = 3)."""
    units = [symbol for symbol in value.free_symbols if symbol.name == "i"]  # whatever is assumed of it
    if not units:
        return value
    try:
        replaced = value.subs(units[0], I)
    except TypeError:  # an inequality
        return value
    return value if isinstance(replaced, BooleanAtom) else replaced


def any_equal(right: Iterable[Value], given: Iterable[Value]) -> bool:
    """Whether one reading of the reference equals one of the answer; raises if that could not be found out."""
    problem = None
    for r, g in product(right, given):
        try:
            if _same_value(r, g):
                return True
        except Exception as error:  # whatever SymPy raises on what a policy can write
            problem = error
    if problem is not None:
        raise problem  # not known to be wrong
    return False


def _same_value(right: Value, given: Value) -> bool:
    if isinstance(right, Expr) and isinstance(given, Expr):
        a, b = _sample(right), _sample(given)
        if a is not None and b is not None:
            largest = max(abs(a), abs(b))
            # Algebra cannot bring together what is apart at one point, and may take a second to find that out. Below
            # _SMALL, math-verify's rounding to 6 decimals would hold 1.6e-19 and 5e-19 to be the same.
            if abs(a - b) > _SMALL * largest and (largest > _SMALL or 0 not in (a, b)):
                return False
    return verify(right, given, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)


@lru_cache(maxsize=4096)
def _sample(value: Expr) -> complex | None:
    """The value of an expression at one arbitrary point, None without such a value or where others may be equal to it.

    The latter are percentages (28 % may be given as 28) and a lone symbol (it may be a word).
    """
    if isinstance(value, Symbol) or value.has(UnevaluatedExpr):
        return None
    # Every symbol has its own value, the same in every expression; positive, for the sake of roots and logarithms.
    point = {symbol: Float(0.5 + zlib.crc32(str(symbol).encode()) / 2**32) for symbol in value.free_symbols}
    try:
        number = complex(value.subs(point).evalf(15))
    except Exception:  # undefined functions, divisions by zero, integrals: left to math-verify
        return None
    return number if cmath.isfinite(number) else None


def warm_up() -> None:
    """Fill the tables that parsing and comparing fill on first use (about a second), so that forks inherit them."""
    for reference, answer in [
        (r"\frac{1}{2}", r"\frac{x^2+\sqrt{3}}{5}"),
        (r"[0,1) \cup (2,3]", r"x \ge 3"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\{1, 2\}"),
        (r"(3, \frac{\pi}{2})", r"3 \pm 2\sqrt{2}"),
    ]:
        equal(reference, answer)
    grade("1", "The answer is $2 + 3$ and not 4.")
