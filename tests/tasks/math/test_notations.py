r"""Notations of other countries, schools and packages, words for numbers, and what is left to be worked out."""

from __future__ import annotations

import pytest
from math_verify import parse, verify

from lit_passk.tasks.math.grading import grade, math_verify_grade
from lit_passk.tasks.math.text import boxed_answers

BOXED = {
    "numbers of other countries and in words": [
        ("42", "42,0", True), ("42", "forty-two", True), ("42", "402", False), ("42", "4 2", False),
        ("1234567", "1.234.567", True), ("1234567", "1'234'567", True), ("1234567", "12,34,567", True),
        ("1234567", "1_234_567", True), ("1234567", "1,234,576", False), ("1234.5", "1.234,5", True),
        ("0.125", "0,125", True), ("0.125", "1/7", False), ("2", "two", True), ("7", "seven", True),
        ("7", "Seven", True), ("7", "eight", False), ("12", r"\text{twelve}", True), ("12", r"\text{a dozen}", False),
        ("0", "zero", True), ("-3", r"\minus 3", True), ("-3", "minus 3", True), ("-3", "negative 3", True),
        ("-3", "3", False), ("1.5", "3⁄2", True), ("1.5", "1-1/2", False), (r"\frac{1}{3}", "0.333...", True),
        (r"\frac{1}{3}", "0.(3)", True), (r"\frac{1}{3}", r"0.3333\ldots", True), (r"\frac{1}{3}", "0.33", False),
        (r"\frac{1}{6}", "0.1(6)", True), (r"\frac{1}{6}", r"0.\overline{16}", False),
        (r"\frac{41}{333}", r"0.\dot{1}2\dot{3}", True), (r"\frac{2}{3}", r"0.6\overline6", True),
        (r"1.6\times10^{-19}", "1.6 x 10^{-19}", True), (r"1.6\times10^{-19}", r"1.6\times10^{-18}", False),
        ("3e8", r"3\times10^8 m/s", True), ("3.5", "３．５", True), ("-7", "－７", True), ("42", "②", False),
        (r"\frac12", "１／２", True), ("10", "2 + 8 = 11", False), ("10", "C(5,2)", True), ("10", "{}_5C_2", True),
        ("10", "^5C_2", True), ("20", "{}^5P_2", True), ("20", r"\binom{5}{2}", False),
    ],
    "units": [
        ("5", "5°C", True), ("5", "USD 5", True), ("5", "5 USD", True), ("5", "Rs. 5", True), ("5", "₹5", True),
        ("5", "6 cm", False), ("5", r"5 \text{ m} + 2", False), ("30", r"\ang{30}", True),
        (r"\frac{\pi}{6}", r"30^\circ", True), (r"30^\circ", r"\frac{\pi}{6}", True),
        (r"30^\circ", r"\frac{\pi}{3}", False), (r"\frac{\pi}{6}", "30", False),
        ("10", r"10\frac{\text{m}}{\text{s}}", True), ("4", "4''", True), ("10", r"10 \Omega", True),
        ("10", r"10\,\mu\text{m}", True), ("10", r"10\,\mu m", True), ("10", r"10\,\AA", True),
    ],
    "what stands around": [
        ("17", "**17**", True), ("17", "`17`", True), ("17", r"\framebox{17}", True), ("17", "&17", True),
        ("17", "N=18", False),
        ("17", "答案是17", True), ("17", "17个", True), ("17", "17元", True), ("17", "第17个", False),
        ("17", r"\text{共}17\text{种}", True), ("17", r"x = 17 \text{ and } y = 3", False),
        ("17", r"17 \text{ or } 18", False), ("17", r"\overline{17}", False), ("17", r"17\ \square", False),
        ("17", r"17\blacksquare", False),
    ],
    "algebra": [
        ("f(x)=x^2-1", "f(t)=t^2-1", True), ("f(x)=x^2-1", "f(t)=t^2+1", False), ("f(x)=x^2-1", "g(x)=x^2-1", False),
        (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^n k", True), (r"\frac{n(n+1)}{2}", r"\frac{n(n-1)}{2}", False),
        ("n!", r"\prod_{k=1}^{n}k", True), (r"\sqrt[3]{2}", r"\sqrt{2}", False),
        (r"\sqrt[3]{2}", r"\root 3 \of 2", True), (r"\sqrt[3]{-8}", "-2", True),
        (r"\operatorname{arctg} 2", r"\arctan 2", True), ("3x^2+2x+C", "3x^2+2x+c", True),
        ("3x^2+2x+C", "3x^2+2x", False),
    ],
    "complex": [
        (r"\frac{1}{2}+\frac{\sqrt3}{2}i", r"\operatorname{cis}\frac\pi3", True), ("3-4i", r"\overline{3+4i}", True),
    ],
    "sets and lists": [
        ("1,2", r"x_1=1,\ x_2=3", False), ("1,2", r"1 \quad 2", False), ("(1,2)", "(2,1)", False),
        ("(1,2)", r"\begin{pmatrix}1\\2\end{pmatrix}", True), ("(1,2)", "(1, 2, 0)", False),
        ("(1,2)", r"\{1,2\}", False), ("(1,2)", "y=2, x=1", True), ("(1,2)", "x=2,y=1", False),
        ("(1,2)", "P(1,2)", True), (r"(2,\frac{\pi}{3})", r"(2, 60^\circ)", True),
        (r"(2,\frac{\pi}{3})", r"(2,\frac{\pi}{6})", False), (r"\emptyset", "no solution", True),
        (r"\emptyset", r"\text{No solutions}", True), (r"\emptyset", "0", False), (r"\emptyset", r"\{0\}", False),
        (r"\text{no solution}", r"\emptyset", True), (r"\text{no solution}", r"\text{none}", True),
        (r"\text{no solution}", r"\text{does not exist}", False),
        (r"\text{no real solutions}", r"\text{no real solution}", True),
        (r"\text{DNE}", r"\text{does not exist}", True), (r"1,2,\ldots,10", r"1,2,\ldots,11", False),
    ],
    "intervals": [
        ("(1,3)", "]1,3[", True), ("(1,3)", "]1;3[", True), ("[1,3)", "[1,3[", True),
        (r"(-\infty,2]", r"(-\infty,2)", False), (r"(-\infty,2]", r"]-\infty,2]", True),
        ("x>0", r"x\in\mathbb{R}^+", True), (r"\mathbb{R}", r"-\infty<x<\infty", True),
        (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}-\{0\}", True),
        (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}^*", True),
    ],
    "equations": [
        ("y = C e^{2x}", "y(x)=Ce^{2x}", True), ("y = C e^{2x}", "y=C_1e^{2x}", True),
        ("y = C e^{2x}", "y=Ae^{2x}", True), ("y = C_1e^{x}+C_2e^{-x}", "y=Ae^{x}+Be^{-x}", True),
        ("y = C_1e^{x}+C_2e^{-x}", "y=C_1e^{x}+C_2e^{-2x}", False), (r"x=k\pi", r"x=n\pi", True),
        (r"x=k\pi, k\in\mathbb{Z}", r"x = n\pi, n\in\mathbb{Z}", True), (r"x=k\pi", r"x=2k\pi", False),
        (r"\frac{dy}{dx}=2x", "y'=2x", True),
    ],
    "matrices": [
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", False),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]", True),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "(1,2,3)", True),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", r"\langle1,2,3\rangle", True),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", r"\begin{pmatrix}1&2&3\end{pmatrix}", False),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "(1,2,3)^T", True),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", r"\begin{pmatrix}1&2&3\end{pmatrix}^T", True),
        (r"\begin{pmatrix}1\\2\\3\end{pmatrix}", r"\begin{pmatrix}1\\2\\4\end{pmatrix}", False),
        ("-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", True),
        ("-2", r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}", True),
        (r"2\mathbf{i}+3\mathbf{j}", r"\langle2,3\rangle", True),
        (r"2\mathbf{i}+3\mathbf{j}", r"2\hat{i}+3\hat{j}", True),
        (r"2\mathbf{i}+3\mathbf{j}", r"2\mathbf i-3\mathbf j", False),
        (r"\langle 1,2,3\rangle", r"\mathbf{i}+2\mathbf{j}+3\mathbf{k}", True),
    ],
    "ratios, times, dates, bases": [
        ("3:4", "4:3", False), ("3:4", r"3\text{ to }4", True), ("1:2:3", "2:4:6", True), ("1:2:3", "1:2:4", False),
        ("1:2:3", "3:2:1", False), (r"\text{3:00 pm}", "15:00", True), (r"\text{March 5}", r"\text{March 5th}", True),
        (r"\text{March 5}", r"\text{5 March}", True), (r"\text{March 5}", r"\text{March 6}", False),
        (r"\text{July 4, 1776}", r"\text{July 4 1776}", True), ("2A_{16}", "2A", True), ("2A_{16}", "2B_{16}", False),
        (r"\text{1A}_{16}", "1A_{16}", True), ("101_2", "(101)_2", True),
    ],
    "words": [
        (r"\text{ellipse}", r"\text{an ellipse}", True), (r"\text{ellipse}", r"\text{hyperbola}", False),
        (r"\text{II and III}", "II, III", True), (r"\text{II and III}", r"\text{I and III}", False),
        (r"\text{infinitely many}", r"\infty", True), (r"\infty", r"\text{infinite}", True),
    ],
    "boxes that do not close": [
        (r"\frac{1}{2}", r"\frac{1}{2", True), (r"\sqrt{3}", r"\sqrt{3", True),
        (r"\frac{\pi}{4}", r"\frac{\pi}{4", True),
    ],
    "calculus": [
        (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty}\frac{1}{n^2}", True),
        (r"\frac{\pi^2}{6}", r"\sum_{n=1}^\infty 1/n^2", True),
        (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty}\frac{1}{n^3}", False),
        (r"\sum_{n=1}^{\infty}\frac{1}{n^2}", r"\frac{\pi^2}{6}", True),
        (r"\sum_{n=1}^{\infty}\frac{1}{n^2}", r"\frac{\pi^2}{8}", False),
        (r"\sum_{n=1}^{\infty}\frac{1}{n^2}", r"\sum_{k=1}^{\infty}\frac{1}{k^2}", True),
        ("2", r"\sum_{n=0}^{\infty}\frac{1}{2^n}", True), ("2", r"\sum_{n=0}^{\infty}2^{-n}", True),
        ("1", r"\sum_{n=0}^{\infty}2^{-n}", False), ("e", r"\sum_{n=0}^\infty\frac{1}{n!}", True),
        (r"\ln 2", r"\sum_{n=1}^\infty\frac{(-1)^{n+1}}{n}", True),
        (r"\ln 2", r"\sum_{n=1}^\infty\frac{(-1)^{n}}{n}", False),
        (r"\frac{\pi}{4}", r"\sum_{n=0}^\infty\frac{(-1)^n}{2n+1}", True), ("5050", r"\sum_{k=1}^{100}k", True),
        ("5050", r"\sum_{k=1}^{99}k", False), ("385", r"\sum_{i=1}^{10} i^2", True),
        ("120", r"\prod_{k=1}^5 k", True), (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k", True),
        (r"\frac{n(n+1)}{2}", r"\sum_{k=0}^{n-1} k", False), ("2^n", r"\sum_{k=0}^{n}\binom{n}{k}", True),
        ("n!", r"\prod_{k=1}^n k", True), (r"\frac13", r"\int_0^1 x^2\,dx", True),
        (r"\frac13", r"\int_0^1 x^2 dx", True), (r"\frac13", r"\int_{0}^{1}x^3\,\mathrm{d}x", False),
        (r"\frac13", r"\int_0^1 t^2\,dt", True), ("2", r"\int_0^\pi\sin x\,dx", True),
        (r"\sqrt{\pi}", r"\int_{-\infty}^{\infty}e^{-x^2}\,dx", True),
        (r"\frac{\sqrt{\pi}}{2}", r"\int_0^\infty e^{-x^2}dx", True), ("1", r"\int_0^\infty e^{-x}\,dx", True),
        (r"\ln 2", r"\int_1^2\frac{1}{x}\,dx", True), (r"\ln 2", r"\int_1^2\frac{dx}{x}", True),
        (r"\frac{\pi}{2}", r"\int_0^\infty\frac{dx}{1+x^2}", True), (r"\int_0^1 x^2\,dx", r"\frac13", True),
        (r"\int_0^1 x^2\,dx", r"\int_0^1 t^2\,dt", True), (r"\int_0^1 x^2\,dx", r"\int_0^1 x^3\,dx", False),
        (r"\frac{x^3}{3}", r"\int_0^x t^2\,dt", True), (r"\frac{x^3}{3}", r"\int_0^x t\,dt", False),
        (r"\pi", r"2\int_{-1}^{1}\sqrt{1-x^2}\,dx", True), (r"\frac{1}{3}+1", r"1+\int_0^1x^2\,dx", True),
        ("1", r"\lim_{x\to0}\frac{\sin x}{x}", True), ("e", r"\lim_{n\to\infty}\left(1+\frac1n\right)^n", True),
        ("2", r"\lim_{x\to 1}\frac{x^2-1}{x-1}", True), ("0", r"\lim_{n\to\infty}\frac{1}{n}", True),
        (r"\lim_{x\to0}\frac{\sin x}{x}", "1", True), (r"\lim_{x\to0}\frac{\sin x}{x}", "0", False),
        (r"\frac12", r"\lim_{x\to0}\frac{1-\cos x}{x^2}", True), (r"\infty", r"\sum_{n=1}^\infty\frac1n", True),
    ],
}  # fmt: skip
TEXT = {
    "boxes": [
        ("17", r"\boxed{17", False), ("17", r"So $\boxed{17$.", True), ("17", r"So \[\boxed{17\] done", True),
        ("17", r"\boxed{}", False), ("17", r"\boxed{\begin{aligned}x&=17\end{aligned}}", True),
        (r"\frac{1}{2}", r"So $\boxed{\frac{1}{2}$.", True), (r"\frac{1}{2}", r"So $\boxed{\frac{1}{3}$.", False),
    ],
    "unboxed": [
        ("17", "There are seventeen apples.", False), ("17", "The answer is seventeen.", True),
        ("17", "Answer: seventeen", True), ("17", "The answer is 16, not 17.", False),
        ("17", "The answer is not 16 but 17.", True), ("17", "答案是17。", True), ("17", "答案：17", True),
        ("17", "因此，答案是 **17**。", True), ("17", "所以答案为17个。", True), ("17", "答えは17です。", True),
        ("17", "The answer is <b>17</b>.", True), ("x<5", "The answer is x &lt; 5", True),
        ("x>5", "The answer is x &gt; 5.", True),
    ],
    "letters": [
        ("B", r"\boxed{12}", False), ("B", r"\boxed{C}", False), ("B", r"\boxed{AB}", False),
        ("B", r"\boxed{B, C}", False), ("B", "I think B is wrong, so the answer is C.", False),
        ("B", "answer: b", False), ("B", r"\boxed{\text{Option B}}", True), (r"\textbf{(B) }12", r"\boxed{B}", True),
        (r"\textbf{(B) }12", r"\boxed{C}", False),
    ],
}  # fmt: skip


def wrong_verdicts(cases, completion):
    return [case for case in cases if grade(case[0], completion % case[1])[0] != case[2]]


@pytest.mark.parametrize("kind", BOXED)
def test_notations_in_a_box(kind):
    assert wrong_verdicts(BOXED[kind], "So it is $\\boxed{%s}$.") == []


@pytest.mark.parametrize("kind", TEXT)
def test_notations_in_a_text(kind):
    assert wrong_verdicts(TEXT[kind], "%s") == []


@pytest.mark.parametrize(
    ("reference", "completion"),
    [
        ("1/2", r"So it is $\boxed{\frac12}$."), ("42", r"\boxed{４２}"), ("4", r"\boxed{4t}"), ("5", r"\boxed{2(3)}"),
        (r"\\frac{1}{2}", r"\boxed{\frac{1}{2}}"), ("$x=5$", "The answer is 5."), ("3.5", r"\boxed{3,5}"),
        ("x<5", "The answer is x &lt; 5"), (r"\frac{1}{2}", r"So $\boxed{\frac{1}{2}$."), ("½", r"\boxed{0.5}"),
    ],
)  # fmt: skip
def test_math_verify_gets_what_was_written(reference, completion):
    gold = parse(reference if "$" in reference else f"\\boxed{{{reference}}}", parsing_timeout=None)
    alone = verify(gold, parse(completion, parsing_timeout=None), timeout_seconds=None)
    assert math_verify_grade(reference, completion)[0] == alone


def test_systems_of_equations_and_aligned_lines():
    assert grade("x=1,y=2", r"\boxed{\begin{cases} x=1 \\ y=2 \end{cases}}")[0]
    assert not grade("x=1,y=2", r"\boxed{\begin{cases} x=2 \\ y=1 \end{cases}}")[0]
    assert grade("17", r"\boxed{\begin{aligned} x &= 16+1 \\ &= 17 \end{aligned}}")[0]


@pytest.mark.parametrize("box", [r"\boxed{12", r"\boxed{\frac{1}{2", r"$x = \boxed{12"])
def test_a_box_that_breaks_off_with_the_text_is_no_box(box):
    """12 may have been the beginning of 123."""
    assert boxed_answers(box) == []
