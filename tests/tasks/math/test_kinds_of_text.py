r"""Answers without a box, and letters: each kind that graders err about, with neighbours."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

TEXT = {
    "numbers among words and marks": [
        ("180", "which gives **180** as the result", True), ("4", "First 8 - 1 = 7.\n\n- Total: **4**", True),
        ("22", "it's 22", True), ("9", "So, 9 is the answer.", True), ("24", "The answer is 24 m^2.", True),
        ("24", "The answer is 24 m.", True), ("24", "The answer is 24m.", False), ("4", "So the answer is `4`.", True),
        (r"34\text{ sq. units}", r"The answer is **34\text{ sq. units}**.", True), ("-5", "we get -5", True),
    ],
    "sentences": [
        ("12", "The final answer is the sum of 3 and 9, which is 12.", True), ("12", "The answer is 12!", True),
        ("12", "The answer is that the total is 12 apples.", True), ("12!", "The answer is 12!", True),
        ("7", "The answer is obtained by adding 3 and 4, giving 7.", True),
        (r"\frac{3}{4}", r"The answer is $\frac{3}{4}$ or $0.75$.", True), ("3,4", "The answer is $3$ or $4$.", True),
        ("3", "The answer is $3$ or $4$.", False),
    ],
    "several formulas": [
        ("$69$,$84$", "<answer>$69$,$84$</answer>", True), ("84", "<answer>$69$,$84$</answer>", False),
        ("69,84", "So the numbers are $69$ and $84$.", True), ("3", "We have $a=1$, $b=2$ and $c=3$.", True),
        ("$f(n)=n$, $g(n)=1$", "<answer>$f(n)=n$, $g(n)=1$</answer>", True),
    ],
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
        (r"\sqrt{3}", r"The answer is: \sqrt{3}", True), (r"5\sqrt{2}", r"The answer is: 5\sqrt{2}.", True),
        ("5", r"The answer is: 5\sqrt{2}.", False), ("3", "The answer is 3^{2}.", False),
        (r"\frac{1}{2}", r"The answer is: \frac12", True),
        ("(3,-2)", 'Thus the point is (3, -2).\n\nThe answer is: (3,-2).', True),
        ("3", "The answer is: (3,-2).", False), ("1.5", "The answer is 1,2,3.", False),
        ("[1, 2, 4]", "The answer is [1, 2, 4].", True), ("2^{5}", "The answer is 32", True),
        ("x-1", "The answer is: x - 1", True), (r"\frac{3}{8}", "The answer is 3/8", True),
        ("3", "The answer is 3/8", False), (r"-\frac{1}{3}", r"The answer is: -\frac{1}{3}", True),
        (r"3\pi", r"the final answer is 3\pi", True), ("3", r"the final answer is 3\pi cm", False),
        ("10", "Hence the answer is 10%.", True), ("720", "The answer is $6!$.", True),
        ("2x+3", "The answer is: 2x+3", True), ("2", "The answer is: 2x+3", False), ("2", "The answer is 2:3", False),
        (r"\infty", r"The answer is \infty.", True), (r"\{2,3\}", r"The answer is: \{2,3\}", True),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"The answer is: \begin{pmatrix}1\\2\end{pmatrix}.", True),
        ("x=3", "The answer is: x=3", True), (r"1+\sqrt{2}", r"The answer is: 1+\sqrt{2}", True),
        ("1", r"The answer is: 1+\sqrt{2}", False),
    ],
    "words after the answer is": [
        (r"\text{Tuesday}", "The answer is Tuesday.", True), (r"\text{Tuesday}", "The answer is Monday.", False),
        ("No", "The answer is No.", True), ("No", "The answer is Yes.", False),
        ("False", "The answer is **False**.", True), (r"\text{even}", r"The function is \boxed{even}", True),
        (r"\text{Yes}", "The answer is: Yes, because 5 > 3.", True), ("Yes", "Final Answer: Yes", True),
        (r"\text{Monday}", "Final Answer: The final answer is Monday. I hope it is correct.", True),
        ("False", "The answer is False.", True), ("No", "The answer is no.", True),
        (r"\text{blue}", "The answer is blue.", True), (r"\text{blue}", "The answer is red.", False),
        ("True", "The answer is False.", False), (r"\text{odd}", "The answer is: odd", True),
        (r"\text{right}", "The answer is **right**.", True), ("Yes", "The answer is No.", False),
        (r"\text{Alice}", "So the answer is Alice.", True),
        (r"\text{isosceles}", r"The answer is $\text{isosceles}$.", True),
    ],
    "the last statement": [
        ("12", "The answer is 11. Wait, no. The answer is 12.", True),
        ("11", "The answer is 11. Wait, no. The answer is 12.", False),
        ("8", 'The answer is not obvious.\n5+3=8\nHence the final answer is: 8', True), ("10", "Answer: 10", True),
        ("10", "**Answer**: 10", True), ("10", "**Final Answer:** 10", True), ("10", 'Final answer:\n\n10', True),
        ("10", 'The final answer is\n$$10$$', True),
        ("12", 'Final Answer: Each of the 3 kids gets 4.\n\nThe answer is: 12.', True),
        ("3", 'Final Answer: Each of the 3 kids gets 4.\n\nThe answer is: 12.', False),
        ("30", 'We have our answer:\n10+20=30\nThus the answer is 30.', True),
        ("9", "The answer is 8. Actually, the answer is 9.", True),
        ("42", 'Answer: 41\n\nCorrection. Answer: 42', True), ("14", r"\boxed{13} is wrong. \boxed{14}", True),
    ],
    "signs": [
        ("-7", "The answer is –7.", True), ("7", "The answer is +7", True), ("-7", "The answer is 7.", False),
        ("-7", "The answer is - 7.", True), (r"-\frac12", "The answer is −1/2.", True),
        ("9", "Therefore, the answer is +9.", True), ("-9", "Therefore, the answer is −9.", True),
        ("9", "The answer is -9.", False), ("-9", "The answer is: $-9$", True), ("-9", "#### -9", True),
    ],
    "tags": [
        ("5", '<think>hmm 4</think>\n<answer>5</answer>', True),
        ("5", "<answer>4</answer> no <answer>5</answer>", True),
        ("5", r"<think>a</think><answer>\boxed{5}</answer>", True), ("5", "<answer>x = 5</answer>", True),
        ("5", '<answer>\n5\n</answer>', True), ("5", "<answer>The answer is 5.</answer>", True),
        (r"\frac{1}{2}", r"<answer>$\frac{1}{2}$</answer>", True), ("5", "<answer>6</answer>", False),
        ("25", "<think>5*5</think><answer>25</answer>", True), ("-2", "<answer>-2</answer>", True),
        ("25", '<think>\\boxed{24}</think>\n<answer>\\boxed{25}</answer>', True),
        (r"\frac{3}{4}", r"<answer>\frac{3}{4}</answer>", True), ("7", "<ANSWER>7</ANSWER>", True),
        ("x+1", "<answer>x+1</answer>", True), ("B", "<answer>B</answer>", True), ("B", "<answer>(B)</answer>", True),
        (r"\text{Yes}", "<answer>Yes</answer>", True), ("1000", "<answer>$1,000</answer>", True),
        ("2", "<answer>1</answer>", False),
    ],
    "money": [
        ("250", "The total is $150 + $100 = $250.", True),
        ("250", "She paid $150 and then $100, so in all $250.", True), ("1250", "The answer is $1,250.", True),
        ("1250.5", r"The answer is \$1,250.50", True), ("5", "The answer is 5 dollars.", True),
        ("5", "The answer is €5.", True), ("12.50", "It costs $12.50", True),
        ("90", "So she has $120 - $30 = $90.", True), ("90", "So the final answer is $120 - $30 = $90 left.", True),
        ("90", "The answer is $90.00.", True), ("90.5", "The total cost is $90.50.", True),
        ("3", "It costs $3 per kg, so the answer is $3.", True), ("120", "The answer is 120 dollars", True),
        ("1500", "Her total income is $1,000 + $500 = $1,500.", True),
        ("18", 'She makes 9 * 2 = $<<9*2=18>>18 every day.\n#### 18', True),
        ("18", "She makes 9 * 2 = $18 every day.", True), ("18", "In total that is 18 eggs.", True),
        ("5", "5 apples remain.", True),
    ],
    "letters": [
        ("C", "So the answer is (B) and (C).", False), ("C", r"The answer is \textbf{(C)}.", True),
        ("C", "**(C)**", True), ("C", "(C)", True), ("C", "C.", True), ("C", "The correct option is C", True),
        ("C", r"The area is \boxed{12}. So the answer is C.", True),
        ("C", r"The area is \boxed{12}. So the answer is D.", False), ("C", r"\boxed{12}", False),
        ("C", r"The answer is $\text{C}$.", True), ("C", "Answer: C", True),
        ("C", "Therefore the answer is (C) 12.", True), ("C", r"\boxed{\text{C. } 12}", True),
        ("C", r"The answer is \mathrm{(C)}", True), ("D", "So the answer is (B) or (D).", False),
        ("D", "The answer is (D).", True), ("D", r"The answer is \text{(D)}.", True),
        ("D", r"The answer is $\textbf{(D)}$.", True), ("D", "Answer: **D**", True), ("D", "**D.**", True),
        ("D", r"We get $\boxed{7}$, so the answer is (D).", True),
        ("D", r"We get $\boxed{7}$, so the answer is (A).", False), ("D", "The correct answer is option D.", True),
        ("D", "The answer is D: 12", True), ("D", r"\textbf{(D)}", True),
        ("D", r"The answer is \boxed{(D)\ 12}.", True), ("A", "The answer is (A), (B).", False),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "completion", "correct"),
    [pytest.param(*case, id=f"{kind}-{number}") for kind, cases in TEXT.items() for number, case in enumerate(cases)],
)
def test_an_answer_in_a_text(reference, completion, correct):
    assert grade(reference, completion)[0] == correct
