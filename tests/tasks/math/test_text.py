"""Where the final answer of a text is."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.text import boxed_answers, boxes, chosen_letter, concluding_answer, final_text, letter, plain


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (r"\boxed{5}", ["5"]),
        (r"\boxed {5} \fbox{6 }", ["5,6"]),
        (r"It is \boxed{3}. Wait: \boxed{4}.", ["4"]),
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{\left\{1\right.}", [r"\left\{1\right."]),  # braces that are escaped need not balance
        (r"\boxed{x = \boxed{3}}", ["3"]),
        (r"\boxed{\boxed{1}, \boxed{2}}", ["1,2"]),
        (r"{ { \boxed{5} } } }", ["5"]),
        (r"$\boxed{1}$, $\boxed{2}$ and $\boxed{3}$.", ["1,2,3"]),
        (r"\boxed{7} \text{ or } \boxed{8}", ["7,8"]),
        (r"\boxed{1} papers and \boxed{2} bins", ["2", "1,2"]),  # the last one, or all of them
        (r"\boxed{840}, so the answer is \boxed{840}", ["840"]),
        (r"\boxed{3} " + "x " * 50 + r"and \boxed{4}", ["4"]),
        (r"so \boxed{5}. Put your answer in \boxed{}.", ["5"]),
        (r"so \boxed{5} or \boxed{12", ["5"]),  # cut off: it could have been 12 or 123
        (r"\boxed{12", []),
        ("no box", []),
    ],
)
def test_the_last_boxes_are_the_answer(text, answers):
    assert boxed_answers(text) == answers


@pytest.mark.parametrize("loop", ["\\boxed{", "\\boxed{1} and ", "{", "}", "\\", "$\\boxed{$ "])
def test_a_policy_in_a_loop_is_read_in_one_pass(loop):
    """A quadratic reader would need hours for this, and the test would run into pytest's time limit."""
    assert len(boxes(loop * 300_000)) in (0, 300_000)


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("<think>\\boxed{1}</think> It is 2.", " It is 2."),
        ("<think>a</think>b</think>c", "c"),
        ("<think>\\boxed{1}</think>\n", "<think>\\boxed{1}</think>\n"),
        ("<think>never ends", "<think>never ends"),
    ],
)
def test_thinking_is_no_answer(completion, text):
    assert final_text(completion) == text


def test_a_conclusion_is_found():
    text = "The final answer is 3. No: Final Answer: The final answer is $10,455$. I hope it is correct."
    assert concluding_answer(text) == "final answer is $10,455$. I hope"
    assert concluding_answer("The final answer is 3.") is None


@pytest.mark.parametrize("answer", ["C", "(C)", r"\text{C}", r"\text{(C)}", r"\textbf{(C)}.", r"$\mathrm{(C)}$", "C."])
def test_a_letter_is_known_however_it_is_wrapped(answer):
    assert letter(answer) == "C"


@pytest.mark.parametrize("answer", ["c", "CD", "12", r"\text{C, D}", "C_1", "", "x = C"])
def test_other_answers_are_no_letter(answer):
    assert letter(answer) is None


@pytest.mark.parametrize(
    ("text", "boxed", "choice"),
    [
        ("", r"\text{(C) } 12", "C"),
        ("", r"\textbf{(C)}\ 12", "C"),
        ("", "C) 12", "C"),
        ("", "C. twelve", "C"),
        ("Hence, the answer is (B)", "12", "B"),  # the text is what follows the box
        ("Hence, (B) is wrong", "12", None),
        ("", r"(A),(B),(C)", "A,B,C"),
        ("So the answer is (A), (B), and (C).", None, "A,B,C"),
        ("**D**", None, "D"),
        ("", "C = 12", None),
        ("The answer is (B).", None, "B"),
        ("Final answer: **D**", None, "D"),
        ("Options (A) and (B) are wrong. So the answer is E", None, "E"),
        ("(A) is wrong, which leaves (C).", None, "C"),
        ("The answer is Clearly wrong", None, None),
        ("A good answer is hard to give", None, None),
    ],
)
def test_the_letter_chosen(text, boxed, choice):
    assert chosen_letter(text, boxed) == choice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\left( 3, \dfrac{\pi}{2} \right)", r"(3,\tfrac{\pi}{2})"),
        (r"\text{Evelyn}", "evelyn."),
        (r"10{,}000", "10,000"),
        (r"\$32", "32"),
        ("\N{MINUS SIGN}5", "-5"),
        ("60\N{DEGREE SIGN}", r"60^\circ"),
        (r"1,\!000", "1,000"),
    ],
)
def test_typography_does_not_matter(one, other):
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("one", "other"), [("1 1/2", "11/2"), ("1 2", "12"), ("x", "X"), ("[1,2)", "[1,2]"), ("0.5", "05"), ("a_1", "a1")]
)
def test_what_may_differ_in_meaning_is_spelled_differently(one, other):
    assert plain(one) != plain(other)
