r"""Units that can be converted, parts with labels, and the ways in which texts of 2025 and 2026 end."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade
from lit_passk.tasks.math.text import boxed_answers
from lit_passk.tasks.math.units import unit_of

BOXED = [
    # one dimension: amounts; another one or no unit at all: the unit is dropped
    (r"12\text{ cm}", r"120 \text{ mm}", True), (r"12\text{ cm}", r"12\text{ mm}", False),
    (r"12\text{ cm}", "12", True), ("12", r"12\text{ mm}", True), (r"12\text{ cm}", r"12\text{ cm}^2", True),
    (r"12\text{ cm}", "0.12 m", False), (r"12\text{ cm}", r"0.12\text{ m}", True),
    (r"x = 12\text{ cm}", r"x = 12\text{ mm}", False), (r"x = 12\text{ cm}", r"120\,\mathrm{mm}", True),
    (r"1.5\text{ hours}", r"90 \text{ minutes}", True), (r"90 \text{ min}", r"1.5 \text{ h}", True),
    (r"90 \text{ minutes}", r"2 \text{ hours}", False), ("1.5", r"90 \text{ minutes}", False),
    (r"2 \mathrm{~m} / \mathrm{s}", r"7.2 \text{ km/h}", True), (r"15 \text{ mph}", r"15 \text{ km/h}", False),
    (r"60 \text{ miles per hour}", r"88 \text{ ft/s}", True), (r"60\text{ mph}", r"60\text{ miles per hour}", True),
    (r"3 \mathrm{~kg}", r"3000 \mathrm{~g}", True), (r"3 \mathrm{~kg}", r"3 \mathrm{~g}", False),
    (r"1 \text{ km}^2", r"1000000 \text{ m}^2", True), (r"1 \text{ km}^2", r"1000 \text{ m}^2", False),
    (r"9 \text{ square feet}", r"1 \text{ square yard}", True), (r"9 \text{ sq ft}", r"1 \text{ yd}^2", True),
    (r"500 \text{ nm}", r"5 \times 10^{-7} \text{ m}", True), (r"500 \text{ nm}", r"0.5\,\mathrm{\mu m}", True),
    (r"500 \text{ nm}", r"5 \times 10^{-6} \text{ m}", False), (r"2\text{ kJ}", r"2000\text{ J}", True),
    (r"2\text{ kJ}", r"2\text{ J}", False), (r"1 \text{ L}", r"1000 \text{ cm}^3", True),
    (r"1 \text{ m}^3", r"1000\text{ liters}", True), (r"5\text{ g/cm}^3", r"5000\text{ kg m}^{-3}", True),
    (r"0.05 \text{ dollars}", r"5 \text{ cents}", True), (r"5 \text{ cents}", "0.05", False),
    (r"5 \text{ apples}", r"5 \text{ pears}", True),
    (r"12 \text{ months}", r"1 \text{ year}", True),
    (r"2\pi \text{ m}", r"200\pi \text{ cm}", True), (r"3x \text{ meters}", r"300x \text{ cm}", True),
    (r"2 \text{ hours } 30 \text{ minutes}", r"2.5 \text{ hours}", True),
    (r"2 \text{ hours } 30 \text{ minutes}", r"150 \text{ minutes}", True),
    (r"2 \text{ hours } 30 \text{ minutes}", r"2 \text{ hours } 3 \text{ minutes}", False),
    (r"5 \text{ feet } 6 \text{ inches}", r"66 \text{ inches}", True),
    (r"5 \text{ feet } 6 \text{ inches}", r"5.6 \text{ feet}", False),
    # of what there are so many
    (r"3\text{ red}, 2\text{ blue}", r"2\text{ blue}, 3\text{ red}", True),
    (r"3\text{ red}, 2\text{ blue}", r"2\text{ red}, 3\text{ blue}", False),
    (r"3\text{ red}, 2\text{ blue}", "3, 2", True),
    (r"10\text{ cm}, 20\text{ cm}", r"20\text{ cm}, 10\text{ cm}", True),
    # times
    ("3:00", r"3 \text{ o'clock}", True), (r"3\text{ o'clock}", "3:00", True), ("4:00", r"3 \text{ o'clock}", False),
    (r"3\text{ o'clock}", "15:00", False),
    # labels of parts and of options
    ("3, 5", r"\text{(i) } 3 \quad \text{(ii) } 5", True), ("3, 5", r"(a)\ 3 \quad (b)\ 5", True),
    ("3, 5", r"\text{(a) } 3, \text{ and (b) } 6", False), ("f(a)", "f(b)", False),
    (r"\textbf{(D)}\ 14", r"\textbf{(B)}\ 14", False), (r"\textbf{(D)}\ 14", r"\textbf{(D) } 14", True),
    (r"\textbf{(D)}\ 14", "14", True), ("A: 3, B: 5", "B: 5, A: 3", True),
    # chains
    ("(0, 0, 0)", "x = y = z = 0", True), ("(0, 0)", "x = y = z = 0", False), ("x = y = 2", "(2, 2)", True),
    ("(2, 3)", "x = y = 2", False), ("0", "x = y = 0", True),
    # words in boxes
    ("1", r"1 \text{ (only } n = 1)", True), ("1", r"1 (n + 1)", False), (r"2r", r"2 (\text{r} + 1)", False),
    ("2", r"\text{Minimum value is } 2", True), ("2", r"\text{The minimum is not } 2", False),
    (r"\infty", r"\text{diverges to } \infty", True), (r"-\infty", r"\text{negative infinity}", True),
    (r"\infty", r"\text{minus infinity}", False), (r"\text{even}", r"\text{an even function}", True),
    (r"\text{even}", r"\text{odd function}", False), (r"\text{isosceles}", r"\text{isosceles triangle}", True),
    (r"\text{two}", r"\text{two triangles}", False),
    # formulas
    (r"\ln|x+1| + C", r"\ln|x+1| + \text{constant}", True), (r"\ln|x+1| + C", r"\ln|x| + \text{constant}", False),
    (r"\frac12", r"{}^{1}/_{2}", True), (r"\frac12", r"{}^{1}/_{3}", False),

    (r"\begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix}", "2I", True),
    (r"\begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix}", "I", False),
    (r"\begin{pmatrix} 2 & 1 \\ 0 & 2 \end{pmatrix}", "2I", False),
    (r"3\vec{a}-2\vec{b}", r"3\mathbf{a} - 2\mathbf{b}", True),
    (r"3\vec{a}-2\vec{b}", r"2\mathbf{a} - 3\mathbf{b}", False),
    ("a_n = 2^n", r"a_n = 2^{n}, n\ge 1", True), ("a_n = 2^n", r"a_n = 2^{n+1}, n\ge 1", False),
    (r"f(x)=0 \text{ and } f(x)=x^2", r"f \equiv 0 \text{ or } f(x) = x^2", True),
    (r"f(x)=0 \text{ and } f(x)=x^2", r"f \equiv 1 \text{ or } f(x) = x^2", False),
    ("4", r"\lim_{x\to 2} f(x) = 4", True), (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^n k = \frac{n(n+1)}{2}", True),
    ("24", r"\Gamma(5)", True), (r"\sqrt{\pi}", r"\Gamma\left(\frac12\right)", True), ("120", r"\Gamma(5)", False),
    # derivatives left to do
    ("2x", r"\frac{d}{dx}(x^2)", True), ("2x", r"\frac{d}{dx} x^3", False), ("2x", r"\frac{d}{dx}(x^2) = 2x", True),
    (r"\cos x", r"\frac{d}{dx}\sin x", True), (r"-2x e^{-x^2}", r"\frac{d}{dx}\left(e^{-x^2}\right)", True),
    ("y", r"\frac{d}{dx} y", False), ("0", r"\frac{d}{dx} y", False),
    (r"\frac{d}{dx}(xy)", r"y", False), (r"x + 2x", r"x + \frac{d}{dx}(x^2)", True),
]  # fmt: skip
TEXTS = [
    ("104", r"The value is $\boxed{104}$, not $\boxed{103}$.", True),
    ("103", r"It is $\boxed{104}$, not $\boxed{103}$.", False),
    ("103", r"It is not $\boxed{104}$ but $\boxed{103}$.", True), ("17", "There are 17 ways rather than 16.", True),
    (r"\frac{1}{4}", "So the probability is 1 in 4.", True), ("4", "So the probability is 1 in 4.", False),
    (r"\frac{7}{10}", "She wins in 7 out of 10 games, so 7 out of 10.", True),
    ("7", "There are seven such integers.", True), ("7", "There are **seven** such integers.", True),
    ("8", "There are seven such integers.", False), ("3,-1", "The roots are 3 and -1. So there are two roots.", True),
    ("7", "There are exactly 7 such integers: 1, 2, 4, 8, 16, 32, 64.", True),
    ("1, 2, 4", "There are 3 such integers: 1, 2, 4.", True), ("64", "There are 2 such integers: 1, 64.", False),
    ("3", "So the only solution is $x = 3$, because $x=-3$ is extraneous.", True),
    ("-3", "So the only solution is $x = 3$, because $x=-3$ is extraneous.", False),
    ("7", "Since 2 is even, we have x = 7.", True), ("7", "We need x > 3 because 2 fails, so x = 7.", True),
    (r"\frac{7}{12}", r"The probability is $\dfrac{7}{12}$ (approximately $0.583$).", True),
    ("0.583", r"The probability is $\dfrac{7}{12}$ (approximately $0.583$).", False),
    (r"12\text{ cm}", "The answer is 12 mm.", False), (r"12\text{ cm}", "The answer is 120 mm.", True),
    ("5", "(a) It is \\boxed{3}.\n\n(b) It is \\boxed{5}.", True),
    ("3, 5", "(a) It is \\boxed{3}.\n\n(b) It is \\boxed{5}.", True),
    ("3, 6", "(a) It is \\boxed{3}.\n\n(b) It is \\boxed{5}.", False),
    ("3, 5", "(a) Easy.\n\n(b) It is \\boxed{3}. So it is \\boxed{5}.", False),
]  # fmt: skip


@pytest.mark.parametrize("case", BOXED)
def test_an_answer_in_a_box(case):
    reference, answer, correct = case
    assert grade(reference, f"So it is $\\boxed{{{answer}}}$.")[0] is correct


@pytest.mark.parametrize("case", TEXTS)
def test_an_answer_in_a_text(case):
    reference, completion, correct = case
    assert grade(reference, completion)[0] is correct


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("km / h", "kilometers per hour"), ("kg m ^ { - 3 }", "kg / m ^ 3"), ("sq ft", "feet squared"),
        ("N", "kg m / s ^ 2"), ("kWh", "kWh"), ("mL", "cc"), ("J s ^ - 1", "watts"), ("Hz", "per second"),
    ],
)  # fmt: skip
def test_units_in_several_spellings(words, same):
    assert unit_of(tuple(words.split())) == unit_of(tuple(same.split())) is not None


@pytest.mark.parametrize("words", ["apples", "apples per hour", "per", "/", "m ^ x", "", "^", "MS", "Hours of sleep"])
def test_other_words_are_no_unit(words):
    assert unit_of(tuple(words.split())) is None


def test_a_text_in_parts_answers_with_its_last_box_or_with_one_of_each():
    assert boxed_answers("(a) \\boxed{3}\n(b) \\boxed{4} so \\boxed{5}") == ["5", "3,5"]
