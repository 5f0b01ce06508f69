r"""Marks around answers and words for mathematics, each kind with neighbours that have to be refused."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

BOXED = {
    "products that look like units": [
        (r"\frac{m g}{k}", "mg/k", True), (r"\frac{m g}{k}", r"\frac{mg}{k}", True), ("-m g", "-mg", True),
        ("m g", "g", False), ("1", "mg", False), ("5", "5 mg", True),
        ("60", r"60 \frac{km}{hr}", True), ("60", r"50 \frac{km}{hr}", False), ("12", "12 cm", True),
        ("k m x", "km x", True),
    ],
    "one number over another with a slash of its own": [
        ("0.5", r"\sfrac{1}{2}", True), (r"\frac{3}{4}", r"\nicefrac{3}{4}", True), ("0.5", r"\sfrac{1}{3}", False),
    ],
    "what lays an answer out": [
        ("5", r"\ensuremath{5}", True), ("5", r"\bbox[5px,border:2px solid red]{5}", True), ("5", "5?", True),
        ("5", r"\colorbox{yellow}{5}", True), ("5", "``5''", True), ("5", "'5'", True),
        ("7", r"\colorbox{7}{5}", False),
        ("5", "``6''", False),
    ],
    "names of Greek letters": [
        (r"\theta", "theta", True), (r"2\alpha", r"2 \text{ beta}", False), (r"\alpha+\beta", "alpha + beta", True),
        (r"\alpha", "beta", False),
    ],
    "numbers of combinations with the upper index first": [
        ("120", "C^{3}_{10}", True), ("120", "C^{4}_{10}", False), ("60", "A^3_5", True), ("60", "A^2_5", False),
        ("C_1^2", "C_1^2", True),
    ],
    "complex numbers in polar form": [
        (r"1+i\sqrt3", r"2 \angle 60^\circ", True), (r"1+i\sqrt3", r"2\angle \frac{\pi}{3}", True),
        (r"1+i\sqrt3", r"2 \angle 30^\circ", False), (r"3-3i", r"3\sqrt{2} \angle -45^\circ", True),
        (r"\angle ABC", r"\angle ABC", True), (r"\angle ABC", r"\angle ABD", False),
    ],
    "sets in words": [
        (r"(-\infty, 4)", r"\text{all real numbers less than } 4", True),
        (r"(-\infty, 4)", r"\text{all real numbers less than or equal to } 4", False),
        (r"[4, \infty)", r"\text{all numbers greater than or equal to } 4", True),
        (r"\mathbb{N}", r"\text{all positive integers}", True), (r"\text{all integers}", r"\mathbb{Z}", True),
        (r"\text{all integers}", r"\text{all positive integers}", False), ("(3,4)", r"\text{the point }(3,4)", True),
        ("(3,4)", r"\text{the point }(4,3)", False),
    ],
    "sentences that say one word": [
        (r"\text{diverges}", r"\text{The series diverges}", True), (r"\text{diverges}", r"\text{divergent}", True),
        (r"\text{diverges}", r"\text{The series converges}", False), (r"\text{Friday}", r"\text{It is a Friday}", True),
        (r"\text{Friday}", r"\text{It is not a Friday}", False), (r"\text{Player A wins}", r"\text{Player A}", True),
        (r"\text{Alice}", r"\text{Alice wins}", True), (r"\text{Alice}", r"\text{Bob wins}", False),
        (r"\text{12:00 pm}", r"\text{noon}", True), (r"\text{12:00 am}", r"\text{noon}", False),
        (r"\frac12", r"\text{half}", True),
        (r"\text{all odd integers}", r"\text{odd integers}", True),
        (r"\text{all odd integers}", r"\text{all even integers}", False),
    ],
    "and, or in other languages": [
        ("3,5", r"3 \text{ 和 } 5", True), ("3,5", r"3\text{和}5", True), ("3,5", r"3 \text{ und } 5", True),
        ("3,5", r"3 \text{ et } 5", True), ("3,5", r"3 \text{ y } 5", True), ("3,5", r"5 \text{ oder } 3", True),
        ("3,5", r"3 \text{ und } 6", False), ("3", r"3 \text{ et } 5", False),
    ],
    "what is left of a division, places in a row": [
        (r"2 \text{ R } 3", r"2 \text{ remainder } 3", True), ("2 R 3", r"2 \text{ with a remainder of } 3", True),
        (r"2 \text{ R } 3", "2", False), (r"2 \text{ R } 3", r"3 \text{ R } 2", False),
        ("3^{rd}", r"3\text{rd}", True), ("3^{rd}", r"4\text{th}", False),
    ],
    "one thing in two commands": [
        ("A^T", r"A^{\top}", True), ("A^T", r"A^\mathsf{T}", True), ("A^T", "A", False), (r"\lnot p", r"\neg p", True),
        (r"\lnot p", "p", False), (r"p \to q", r"p \Rightarrow q", True), (r"p \to q", r"q \implies p", False),
        (r"p \iff q", r"p \leftrightarrow q", True), (r"p \iff q", r"p \to q", False),
    ],
    "chemistry": [
        (r"\text{CO}_2", "CO_2", True), (r"\text{CO}_2", r"\text{CO}", False), (r"\text{CO}_2", "CO_3", False),
        (r"\ce{H2O}", r"\text{H}_2\text{O}", True), (r"\ce{H2O}", r"\mathrm{H_2O_2}", False),
    ],
    "intervals and single numbers": [
        (r"(0,1) \cup \{2\}", r"0<x<1 \text{ or } x=2", True), (r"(0,1) \cup \{2\}", r"0<x<1 \text{ or } x=3", False),
        (r"x \le 1 \text{ or } x=3", r"(-\infty,1] \cup \{3\}", True), (r"x \le 1 \text{ or } x=3", r"x \le 1", False),
    ],
    "several assignments": [
        (r"x=1,y=2 \text{ or } x=2,y=1", "(1,2),(2,1)", True), (r"x=1,y=2 \text{ or } x=2,y=1", "(1,2),(2,2)", False),
        ("(1,2),(3,4)", r"x=3, y=4 \text{ or } x=1, y=2", True),
        ("(1,2),(3,4)", r"x=3, y=2 \text{ or } x=1, y=4", False),
    ],
    "a number and what it is in percent": [
        ("0.6", r"\frac{3}{5}, \text{ or } 60\%", True), ("0.6", r"\frac{3}{5} \text{ or } 50\%", False),
    ],
}  # fmt: skip

TEXT = [
    ("-4", r"Hence $-\boxed{4}$.", True), ("4", r"Hence $x = -\boxed{4}$.", False), ("4", r"- \boxed{4}", True),
    ("x+1", r"Hence $y = -\boxed{x+1}$.", True),
    ("3,5", r"$\boxed{3}$ 和 $\boxed{5}$", True), ("3,5", r"$\boxed{3}$ und $\boxed{6}$", False),
    ("B", "故选:B", True), ("B", "故选：C。", False), ("B", "答案为B", True),
    ("D", "So it's D.", True), ("D", "So it's C.", False),
    ("5", "Thus the number of solutions is five.", True), ("5", "Thus the number of solutions is six.", False),
    (r"\text{Monday}", "In 7 days it is **Monday** again.\n\nSo the day is **Monday**.", True),
    (r"\text{Monday}", "So the day is **Sunday**.", False), ("No", "So it is **false**, by 3 < 5: **no**", True),
    ("12", "Not **two**, in all 12.", True),
    ("12", "He needs 3 x 4 = 12", True), ("13", "He needs 3 x 4 = 12", False), ("0.6", "It is 3/5, or 60%.", True),
]  # fmt: skip


@pytest.mark.parametrize("kind", BOXED)
def test_kinds_in_a_box(kind):
    wrong = [case for case in BOXED[kind] if grade(case[0], f"So it is $\\boxed{{{case[1]}}}$.")[0] != case[2]]
    assert wrong == []


def test_kinds_in_a_text():
    assert [case for case in TEXT if grade(case[0], case[1])[0] != case[2]] == []


def test_a_computed_matrix_is_named_by_what_was_computed():
    right = r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"
    assert grade(right, rf"\boxed{{A^{{-1}} = {right}}}")[0]
    assert not grade(right, r"\boxed{A^{-1} = \begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}}")[0]
