r"""No answer that a policy can write costs more than a bounded amount of work; counted, not timed."""

from __future__ import annotations

import sys

import pytest

from lit_passk.tasks.math.evaluation import TooLargeError, evaluate
from lit_passk.tasks.math.expressions import parse_expression
from lit_passk.tasks.math.grading import grade
from lit_passk.tasks.math.latex import tokenize
from lit_passk.tasks.math.sampling import same_value

HOSTILE = {
    "a tower of powers": "9^{9^{9^{9}}}",
    "factorials of factorials": "((50!)!)!",
    "a factorial of a tower": r"(x+1)^{3000}+10^{10^{10}}!",
    "a binomial": r"\binom{10^{15}}{5\cdot 10^{14}}",
    "a sine of something large": r"\sin(10^{10^{6}})",
    "a greatest common divisor of large numbers": r"\gcd(10^{30000},7^{30000})",
    "the whole part of something large": r"\lfloor 10^{50000}\rfloor",
    "exponentials": "e^{e^{e^{e^{e}}}}",
    "a number with many digits": "5" * 100_000,
    "an exponent with many digits": "1e999999999",
    "brackets": "(" * 300 + "1+x" + ")" * 300,
    "fractions": r"\frac{" * 200 + "x" + "}{2}" * 200,
    "a long sum": "1" + "+1" * 5000,
    "a long list": ",".join(f"{n}+x" for n in range(2000)),
    "a long list of formulas": ",".join(f"x^2+{n}" for n in range(60)),
    "a long union": r"\cup".join(f"({n},{n + 1})" for n in range(300)),
    "an equation in three variables": r"x^{100}+y^{50}+z^{3}=\sin x\cos y\tan z",
    "an inequality in three variables": r"x^{51}+y^{50}<\sin x\cos y\tan z",
    "alternatives": r"\text{ or }".join(f"x^{{{n}}}<{n + 1}" for n in range(2, 40)),
    "plus or minus": r"\pm 1" * 50,
    "spaces": " " * 50_000 + "5",
    "spaces after a number": "1" + " " * 1900 + "2",
    "prose": "x + y is z and then " * 2000,
    "a long sum of terms": r"\sum_{k=1}^{19000}\frac{k^2+1}{k}",
    "many series": "+".join([r"\sum_{n=1}^\infty\frac{1}{n^2}"] * 25),
    "many integrals": "+".join([r"\int_0^1\sin(x^2)dx"] * 20),
    "integrals within integrals": "+".join([r"\int_0^1\int_0^a\sin(ax^2y)\,dx\,dy"] * 10),
    "an integral that oscillates": r"\int_0^\infty\sin(x^2)dx",
    "a period of many digits": r"0.\overline{" + "5" * 4500 + "}",
    "boxes that are never closed": r"\boxed{1 $ " * 1500,
    "intervals that are never closed": "[1," * 1300,
    "times of the day": "4:30 p.m. " * 2000,
    "formulas that are never closed": r"is not \( " * 2000,
    "a set that is never closed": r"\{" + "x | x = 1, " * 1000,
    "commas": "x" + ", " * 1000 + "k",
    "a residue of something large": r"x \equiv 10^{10^{10}} \pmod 7",
    "a function in pieces": r"\begin{cases} x^{100} & x > \sin x \\ 10^{10^{x}} & \text{otherwise}\end{cases}",
}
REFERENCES = ["5", "x^2+y^2+z=1", "(1,2)", "x<3", "x+y+z<3", r"\frac{\pi}{2}", "C", r"\text{Evelyn}", "1,2,3"]
_MOST_LINES = 3_000_000
"""Lines of Python that a verdict may run: about a second. The answers of MATH need a thousand."""


def lines_run(function) -> int:
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count > _MOST_LINES:
            raise TimeoutError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_no_answer_costs_much(answer):
    for reference in REFERENCES[:: 4 if len(answer) > 10_000 or "sum" in answer else 1]:
        for completion in (f"\\boxed{{{answer}}}", f"The answer is {answer}."):
            assert lines_run(lambda r=reference, c=completion: grade(r, c)) < _MOST_LINES


@pytest.mark.parametrize("name", ["a tower of powers", "factorials of factorials", "a binomial", "exponentials"])
def test_what_is_too_large_is_refused(name):
    node = parse_expression(tokenize(HOSTILE[name]))
    with pytest.raises(TooLargeError):
        evaluate(node)
    assert same_value(node, node)
    assert not same_value(node, ("number", "5"))


def test_small_numbers_do_not_vanish():
    """2003! has six thousand digits: neither 0 nor its neighbour."""
    one, other, zero = (parse_expression(tokenize(text)) for text in (r"\frac{1}{2004!}", r"\frac{1}{2003!}", "0"))
    assert not same_value(one, other)
    assert not same_value(one, zero)
    assert same_value(one, ("/", other, ("number", "2004")))


@pytest.mark.parametrize(
    ("reference", "answer", "correct"),
    [
        # terms that are lost in floats where the variables are about 1
        (r"y = c_1 e^{-2t} + c_2 e^{90t} - 3\sin 2t", r"y = c_1 e^{-2t} + c_2 e^{90t} - 3\cos 2t", False),
        (r"y = c_1 e^{-2t} + c_2 e^{90t} - 3\sin 2t", r"y + 3\sin 2t = \frac{c_1}{e^{2t}} + c_2 e^{90t}", True),
        (r"y = \frac{3}{40}(1-e^{-40t})", r"y = \frac{3}{40}(1+e^{-40t})", False),
        # a pole on one side only, where no zero is found
        (r"s^2 Y + 5sY + 17Y = \frac{1}{s-1}", r"Y = \frac{1}{(s-1)(s^2+5s+17)}", True),
        (r"s^2 Y + 5sY + 17Y = \frac{1}{s-1}", r"Y = \frac{1}{(s-1)(s^2+17s+5)}", False),
    ],
)
def test_equations_of_a_college_course(reference, answer, correct):
    assert grade(reference, f"\\boxed{{{answer}}}")[0] == correct
