"""Units of one dimension: 90 minutes are 1.5 hours, and 12 cm are not 12 mm.

Only where both answers name units that are known here and measure the same thing; any other unit is dropped.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from lit_passk.tasks.math.answers import Answer, Formula, Sequence
from lit_passk.tasks.math.sampling import same_value
from lit_passk.tasks.math.symbols import Node

Unit: TypeAlias = tuple[Fraction, tuple[tuple[str, int], ...]]
"""How many base units it is, and what it measures: the exponents of ``m kg s A mol $`` and months."""

_BASES = "m kg s A mol $ month".split()  # noqa: SIM905
_AREA = "m m"
_ENERGY = "kg m m s^-1 s^-1"
_KINDS: dict[str, dict[str, str]] = {  # what is measured, and in how many base units, by the names in singular
    "m": {
        "m meter metre": "1", "in inch": "0.0254", "ft foot feet": "0.3048", "yd yard": "0.9144", "mi mile": "1609.344",
        "micron": "1e-6", "angstrom AA": "1e-10", "lightyear ly": "9460730472580800",
        "pc parsec": "3.0856775814913673e16", "AU au": "149597870700",
    },
    "kg": {"g gram gramme": "0.001", "t tonne": "1000", "lb pound": "0.45359237", "oz ounce": "0.028349523125"},
    "s": {
        "s sec second": "1", "min minute": "60", "h hr hour": "3600", "day": "86400", "week": "604800",
    },
    "month": {"month": "1", "yr year": "12", "decade": "120", "century": "1200"},
    "$": {"dollar USD buck": "1", "cent": "0.01"},
    "mol": {"mol mole": "1"},
    "A": {"A amp ampere": "1"},
    _AREA: {"ha hectare": "10000", "acre": "4046.8564224"},
    "m m m": {
        "L l liter litre": "0.001", "cc": "1e-6", "gal gallon": "0.003785411784", "qt quart": "0.000946352946",
        "pt pint": "0.000473176473", "cup": "0.0002365882365",
    },
    "m s^-1": {"mph": "0.44704", "kph kmh kmph": "1/3.6"},
    "s^-1": {"Hz hertz": "1"},
    "kg m s^-1 s^-1": {"N newton": "1", "dyn dyne": "1e-5"},
    _ENERGY: {"J joule": "1", "erg": "1e-7", "cal calorie": "4.184", "eV": "1.602176634e-19", "Wh": "3600"},
    _ENERGY + " s^-1": {"W watt": "1"},
    "kg m^-1 s^-1 s^-1": {"Pa pascal": "1", "bar": "100000", "atm": "101325"},
    _ENERGY + " s^-1 A^-1": {"V volt": "1"},
    _ENERGY + " s^-1 A^-1 A^-1": {"ohm Omega": "1"},
}  # fmt: skip
_PREFIXES = {
    "p": -12, "n": -9, "\N{GREEK SMALL LETTER MU}": -6, "\N{MICRO SIGN}": -6, "mu": -6, "m": -3, "c": -2, "d": -1,
    "k": 3, "M": 6, "G": 9, "T": 12,
    "pico": -12, "nano": -9, "micro": -6, "milli": -3, "centi": -2, "deci": -1, "kilo": 3, "mega": 6, "giga": 9,
}  # fmt: skip
_PREFIXED = set(
    (  # noqa: SIM905
        "m meter metre g gram s sec second A amp ampere mol mole L l liter litre Hz hertz N newton J joule cal calorie "
        "eV Wh W watt Pa pascal V volt ohm Omega pc"
    ).split()
)
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_RAISED = {"squared": 2, "cubed": 3}
_PLURALS = {"inches": "inch", "centuries": "century", "feet": "feet", "hertz": "hertz"}


def same_amount(right: Answer, given: Answer) -> bool | None:
    """Whether two amounts in units of one dimension are equal; None where they are no such amounts.

    Example:
        >>> hours = Formula(("number", "1.5"), unit=("hours",))
        >>> same_amount(hours, Formula(("number", "90"), unit=("min",))), same_amount(hours, Formula(("number", "90")))
        (True, None)

    """
    wanted, found = _amount(right), _amount(given)
    if wanted is None or found is None or wanted[1][1] != found[1][1]:
        return None
    several = isinstance(right, Sequence) or isinstance(given, Sequence)
    if wanted[1][0] == found[1][0] and not several:
        return None  # in the same unit, which may be dropped
    ratio = found[1][0] / wanted[1][0]
    factor: Node = ("/", ("number", str(ratio.numerator)), ("number", str(ratio.denominator)))
    return same_value(wanted[0], ("*", found[0], factor))


def _amount(answer: Answer) -> tuple[Node, Unit] | None:
    """The number and its unit; of 2 hours 30 minutes the hours in all."""
    if isinstance(answer, Formula):
        unit = unit_of(answer.unit) if answer.unit and not answer.percent else None
        return (answer.node, unit) if unit else None
    if not isinstance(answer, Sequence) or answer.opening != "+":
        return None
    found = [_amount(item.items[0]) if isinstance(item, Sequence) else None for item in answer.items]
    amounts = [amount for amount in found if amount is not None]
    if len(amounts) < len(found) or len({unit[1] for _, unit in amounts}) != 1:
        return None
    largest = amounts[0][1]
    total: Node = amounts[0][0]
    for node, unit in amounts[1:]:
        part = unit[0] / largest[0]
        total = ("+", total, ("*", node, ("/", ("number", str(part.numerator)), ("number", str(part.denominator)))))
    return total, largest


@lru_cache(maxsize=4096)
def unit_of(texts: tuple[str, ...]) -> Unit | None:
    """The unit that words and signs behind a number are, None where a part of it is not known.

    Example:
        >>> unit_of(("km", "/", "h")) == unit_of(("kilometers", "per", "hour")), unit_of(("apples",))
        (True, None)

    """
    factor, exponents = Fraction(1), dict.fromkeys(_BASES, 0)
    turned, power, known = 1, 1, 0
    tokens = [text for text in texts if text not in {"{", "}", "*", "\\cdot", "."}]
    place = 0
    while place < len(tokens):
        text = tokens[place]
        place += 1
        if text in {"/", "per"}:
            turned = -1
            continue
        if text.lower() in _POWERS:
            power = _POWERS[text.lower()]
            continue
        if place < len(tokens) and text in _PREFIXES and _named(text + tokens[place]):  # \mu m
            text += tokens[place]
            place += 1
        unit = _named(text)
        if unit is None:
            return None
        raised, place = _exponent(tokens, place)
        if not raised:
            return None
        power *= raised * turned
        factor *= unit[0] ** power
        for base, exponent in unit[1]:
            exponents[base] += exponent * power
        power, known = 1, known + 1
    return (factor, tuple((base, exponent) for base, exponent in exponents.items() if exponent)) if known else None


def _exponent(tokens: list[str], place: int) -> tuple[int, int]:
    """What a unit is raised to, 0 for what is no small number, and the place behind that."""
    if place < len(tokens) and tokens[place].lower() in _RAISED:
        return _RAISED[tokens[place].lower()], place + 1
    if tokens[place : place + 1] != ["^"]:
        return 1, place
    minus = tokens[place + 1 : place + 2] == ["-"]
    digits = tokens[place + 1 + minus : place + 2 + minus]
    if not digits or not digits[0].isdigit() or len(digits[0]) > 1:
        return 0, len(tokens)
    return -int(digits[0]) if minus else int(digits[0]), place + 2 + minus


def _named(text: str) -> Unit | None:
    """The unit of one word: in singular or plural, small letters or as an abbreviation, with or without a prefix."""
    spellings = [text, text.lower()] if text.istitle() or len(text) > 3 else [text]  # MS are no ms
    spellings += [_PLURALS.get(name) or name.removesuffix("s") for name in spellings if len(name) > 2]
    for name in spellings:
        if name in _UNITS:
            return _UNITS[name]
        for prefix, exponent in _PREFIXES.items():
            rest = name.removeprefix(prefix)
            if rest in _PREFIXED and rest != name and (len(prefix) > 2) == (len(rest) > 3):
                factor, measured = _UNITS[rest]
                return factor * Fraction(10) ** exponent, measured
    return None


def _base_units(words: str) -> tuple[tuple[str, int], ...]:
    exponents = dict.fromkeys(_BASES, 0)
    for word in words.split():
        base, _, exponent = word.partition("^")
        exponents[base] += int(exponent or 1)
    return tuple((base, exponent) for base, exponent in exponents.items() if exponent)


def _fraction(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


_UNITS: dict[str, Unit] = {
    name: (_fraction(number), _base_units(kind))
    for kind, units in _KINDS.items()
    for names, number in units.items()
    for name in names.split()
}
