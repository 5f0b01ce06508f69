r"""Answers without a box, and letters: each kind that graders err about, with neighbours."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

TEXT = {
    "a formula after the answer is": [
        (r"\sqrt{7}", r"The answer is \sqrt{7}", True), (r"\frac{3\pi}{4}", r"The answer is: \frac{3\pi}{4}.", True),
        ("3", r"The answer is: 3\pi", False), ("3", "The answer is 3^{4}.", False),
        ("(2,5)", "The answer is: (2,5).", True), ("2", "The answer is: (2,5).", False),
        ("x^2+1", "The answer is x^2 + 1.", True), (r"\{1,2\}", "The answer is {1, 2}.", True),
        ("2", "The answer is 2/3.", False), (r"\frac{2}{3}", "The answer is 2/3.", True),
        ("5", "So the answer is: x = 5.", True), (r"2\sqrt{3}", r"The answer is 2\sqrt{3} units.", True),
        ("-1", "The answer is -1, since 2-3=-1", True), ("0.5", "The answer is .5", True),
        ("0.5", "The answer is 1/2.", True), ("x=5", "The answer is x = 5.", True),
        ("y = 2x+3", "The answer is y = 2x + 3.", True), ("[0,1)", "The answer is [0, 1).", True),
    ],
    "words after the answer is": [
        (r"\text{Tuesday}", "The answer is Tuesday.", True), (r"\text{Tuesday}", "The answer is Monday.", False),
        ("No", "The answer is No.", True), ("No", "The answer is Yes.", False),
        ("False", "The answer is **False**.", True), (r"\text{even}", r"The function is \boxed{even}", True),
        (r"\text{Yes}", "The answer is: Yes, because 5 > 3.", True), ("Yes", "Final Answer: Yes", True),
    ],
    "the last statement": [
        ("12", "The answer is 11. Wait, no. The answer is 12.", True),
        ("11", "The answer is 11. Wait, no. The answer is 12.", False),
        ("8", 'The answer is not obvious.\n5+3=8\nHence the final answer is: 8', True), ("10", "Answer: 10", True),
        ("10", "**Answer**: 10", True), ("10", "**Final Answer:** 10", True), ("10", 'Final answer:\n\n10', True),
        ("10", 'The final answer is\n$$10$$', True),
    ],
    "signs": [
        ("-7", "The answer is –7.", True), ("7", "The answer is +7", True), ("-7", "The answer is 7.", False),
        ("-7", "The answer is - 7.", True), (r"-\frac12", "The answer is −1/2.", True),
    ],
    "tags": [
        ("5", '<think>hmm 4</think>\n<answer>5</answer>', True),
        ("5", "<answer>4</answer> no <answer>5</answer>", True),
        ("5", r"<think>a</think><answer>\boxed{5}</answer>", True), ("5", "<answer>x = 5</answer>", True),
        ("5", '<answer>\n5\n</answer>', True), ("5", "<answer>The answer is 5.</answer>", True),
        (r"\frac{1}{2}", r"<answer>$\frac{1}{2}$</answer>", True), ("5", "<answer>6</answer>", False),
    ],
    "money": [
        ("250", "The total is $150 + $100 = $250.", True),
        ("250", "She paid $150 and then $100, so in all $250.", True), ("1250", "The answer is $1,250.", True),
        ("1250.5", r"The answer is \$1,250.50", True), ("5", "The answer is 5 dollars.", True),
        ("5", "The answer is €5.", True), ("12.50", "It costs $12.50", True),
    ],
    "letters": [
        ("C", "So the answer is (B) and (C).", False), ("C", r"The answer is \textbf{(C)}.", True),
        ("C", "**(C)**", True), ("C", "(C)", True), ("C", "C.", True), ("C", "The correct option is C", True),
        ("C", r"The area is \boxed{12}. So the answer is C.", True),
        ("C", r"The area is \boxed{12}. So the answer is D.", False), ("C", r"\boxed{12}", False),
        ("C", r"The answer is $\text{C}$.", True), ("C", "Answer: C", True),
        ("C", "Therefore the answer is (C) 12.", True), ("C", r"\boxed{\text{C. } 12}", True),
        ("C", r"The answer is \mathrm{(C)}", True),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "completion", "correct"),
    [pytest.param(*case, id=f"{kind}-{number}") for kind, cases in TEXT.items() for number, case in enumerate(cases)],
)
def test_an_answer_in_a_text(reference, completion, correct):
    assert grade(reference, completion)[0] == correct
