"""Parsers of what strangers write, on random text: they refuse or answer, and raise nothing else."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from helpers.fuzz import examples
from hypothesis import example, given
from hypothesis import strategies as st

from lit_passk.errors import Refusal
from lit_passk.functional.answers import normalize_answer, number_answers
from lit_passk.printable import printable
from lit_passk.results import load_results
from lit_passk.tasks.choice.letters import chosen_letters
from lit_passk.tasks.code.sandbox.inside.wire import Closed, decode, encode
from lit_passk.tasks.code.text import function_units, program_units
from lit_passk.tasks.files import load_records
from lit_passk.tasks.math.grading import equal, grade

FEW = examples(60)
PIECES = (
    *("\\frac", "\\sqrt", "\\pi", "\\boxed{", "\\text{", "\\left", "\\right", "\\begin{pmatrix}", "\\end{pmatrix}"),
    *("\\cup", "\\infty", "\\in", "\\pm", "\\mod", "\\pmod", "\\ne", "\\overline{3}", "\\{", "\\}", "\\emptyset"),
    *("$", "\\(", "\\)", "\\[", "\\]", "\\\\", "&", "{", "}", "(", ")", "[", "]", "|", "^", "_", "!", "%", "°", "#"),
    *("+", "-", "*", "/", "=", "<", ">", ",", ";", "1", "2", "x", "0.5", "1,000", "10^{", "9999999", "e9", "\u00bd"),
    *("or", "and", "A", "(B)", "The answer is ", "Answer: ", "Option ", "**", " ", "\n", "\0", "\u202e", "\ud800"),
    *("</think>", "<think>", "```", "```python\n", "def f(x):\n", "    return x\n", "\t", "import os\n", "x**"),
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
WRITTEN = (
    *(r"x \in (-\infty, -2] \cup [3, \infty)", r"\{(1,2), (3,4)\}", r"\frac{\sqrt{3}+i}{2}", "x=1, y=2 or x=3, y=4"),
    *(r"\begin{pmatrix} 1 & -x \\ \frac12 & 0 \end{pmatrix}", r"\log_{2} 5 + \ln|x| + C", r"4210_{5}", "3:4:5"),
    r"f(x)=\begin{cases} x^2 & x<0 \\ 1 & \text{otherwise}\end{cases}",
    *(r"0 \le x < 2\pi", r"x \equiv 3 \pmod{7}", r"\int_0^1 \sin(ax)\,dx", r"\sum_{k=1}^n \binom nk^2", r"1,234.5\%"),
    *(r"\{x \in \mathbb{R} \mid x^2 > 4\}", r"a_n = 2^{n+1} - 3n!", r"\lfloor \frac{n}{3} \rfloor", r"0.\overline{36}"),
    *(r"60^\circ 30'", r"5\,\mathrm{kg\,m^{-3}}", "3 hours and 15 minutes", "no real solutions", "March 5th, 2024"),
    *("3/4 to 5", "all real numbers except 2", "y = 2x + 3, for all x > 0", "**Answer:** (C) 17", "#### 1,000"),
    *(r"The final answer is $\boxed{42}$. I hope it is correct.", "It is not 5, but 6."),
)  # fmt: skip
TOKENS = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]+|\d+|.", re.DOTALL)


@st.composite
def rewritten(draw):
    """Two answers as people write them, cut and joined anywhere, a part of them many times over."""
    parts = []
    for text in draw(st.lists(st.sampled_from(WRITTEN), min_size=1, max_size=2)):
        tokens = TOKENS.findall(text)
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(tokens))] * 2)))
        times = draw(st.sampled_from((1, 1, 1, 2, 3, 40)))
        parts += [*tokens[:first], *tokens[first:last] * times, *tokens[last if draw(st.booleans()) else len(tokens) :]]
    return "".join(parts)


ANSWERS = st.recursive(
    st.sampled_from(["0", "3", "-2", "0.5", "\\frac{2}{3}", "\\sqrt{2}", "\\pi", "5\\%", "2\\frac{1}{3}", "10^{3}"]),
    lambda inner: st.one_of(
        *(
            st.tuples(inner, inner).map(lambda pair, form=form: form.format(*pair))
            for form in ("({}, {})", "\\{{{}, {}\\}}", "[{}, {}]", "\\frac{{{}}}{{{}}}", "({}) + ({})", "{} \\cdot {}")
        )
    ),
    max_leaves=3,
)


@FEW
@given(TEXTS, TEXTS)
@example("\\frac12", "or")
@example("5", "9" * 5000)
@example("x \\in x \\in x \\in A", "x \\in x \\in A")
def test_answers_are_graded_whatever_they_are(reference, text):
    with suppress(Refusal):
        grade(reference, text)
        assert isinstance(equal(reference, text), bool)
    assert chosen_letters(text, ["one", reference, "two"]) is None or text


@FEW
@given(rewritten(), rewritten())
def test_answers_in_the_styles_of_people_are_graded_whatever_became_of_them(reference, text):
    with suppress(Refusal):
        for answer in (text, f"\\boxed{{{text}}}"):
            grade(reference, answer)
        assert equal(reference, reference) or not reference.strip("$ ")
    chosen_letters(text, ["one", reference, "two"])


@FEW
@given(ANSWERS, ANSWERS)
def test_equality_is_reflexive_and_symmetric_for_numbers_and_sets_of_them(one, other):
    assert equal(one, one)
    assert equal(one, other) == equal(other, one)


@FEW
@given(st.integers(-30, 30), st.integers(1, 12), st.integers(-30, 30), st.integers(1, 12))
def test_fractions_are_equal_when_their_cross_products_are(a, b, c, d):
    assert equal(f"\\frac{{{a}}}{{{b}}}", f"{c}/{d}") == (a * d == c * b)


@FEW
@given(TEXTS)
@example("1" * 5000)
@example("1" * 5000 + "/3")
@example("." + "7" * 10_000)
def test_votes_are_counted_whatever_the_answers_are(text):
    assert normalize_answer(normalize_answer(text)) is not None
    assert number_answers([text, None, text]) == [0, -1, 0]


@FEW
@given(TEXTS)
def test_programs_are_found_in_anything(text):
    for units in (program_units(text), program_units(text, ["f"]), function_units("def f(x):\n", "f", text)):
        assert all(isinstance(source, str) for _, source in units)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner) | st.tuples(inner, inner),
    max_leaves=4,
)


@FEW
@given(VALUES)
def test_values_cross_the_wire_as_they_are(value):
    assert decode(encode(value)) == value


@FEW
@given(st.binary(max_size=60), st.sampled_from(b"nyzhisfcbaTltuSdrKVMqx"))
def test_the_wire_reads_anything_or_hangs_up(data, tag):
    with suppress(Closed):
        decode(bytes([tag]) + data)


@FEW
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), VALUES.map(lambda value: repr(value).encode("utf-8", "replace"))), max_size=4
    )
)
@pytest.mark.parametrize("read", [load_records, load_results])
def test_files_of_anything_are_refused(tmp_path_factory, read, lines):
    path = tmp_path_factory.getbasetemp() / f"{read.__name__}.jsonl"
    path.write_bytes(b"\n".join(lines))
    with suppress(Refusal):
        read(str(path))


@FEW
@given(st.text())
def test_what_is_printable_can_be_printed_and_keeps_its_letters(text):
    shown = printable(text)
    assert all(character.isprintable() or character in "\n\t" or not character.isascii() for character in shown)
    assert printable(shown) == shown
    assert shown.encode().decode() == shown
