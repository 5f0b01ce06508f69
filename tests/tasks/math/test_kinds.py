r"""Answers of every kind that graders err about: each kind with neighbours on both sides of the line."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

BOXED = {
    "units and variables": [
        (r"\frac{5s}{2}", r"\frac{5}{2}s", True), ("3m", "3", False), ("2h+1", "2+1", False), ("7g", "7", False),
        (r"\frac{m}{s}", "1", False), ("5d", "5", False), ("l w h", "h l w", True), (r"12\text{ m}", "12", True),
        ("12", r"12\text{ m}", True), (r"12\ \mathrm{m/s}", "12", True), (r"9.8\,\mathrm{m/s^2}", "9.8", True),
        ("9.8", r"9.8 \text{ m/s}^2", True), ("12", "12 cm^2", True), ("12", r"12\,\text{cm}^{2}", True),
        ("x", r"x\text{ cm}", True), ("3x", r"3x\text{ meters}", True), (r"20 \text{ square units}", "20", True),
        ("5", "5 apples", True), ("100", "100 degrees", True), ("4h", "4", False), (r"2 \pi r h", r"2\pi r", False),
        ("c^2", "1", False), ("15", r"15\text{ years old}", True),
    ],
    "capitals": [
        ("T", "t", False), ("A b", "a B", False), (r"\frac{V}{v}", "1", False), ("N-n", "0", False),
        ("X", "x", False),
    ],
    "factors side by side": [
        ("12", "3(4)", True), ("7", "3(4)", False), ("(2)(5)", "10", True), (r"3\binom{4}{2}", "18", True),
        (r"\binom{6}{3}\binom{3}{1}", "60", True), (r"6!\cdot 2", "2(6!)", True), ("2^3(5)", "40", True),
        (r"\frac{1}{2}(6)", "3", True), (r"5\left(\frac{1}{2}\right)", "2.5", True), (r"5\frac{1}{2}", "5.5", True),
        (r"5\frac12", r"\frac{5}{2}", False),
    ],
    "a part that can be read": [
        (r"\frac{1}{4}", r"\sqrt[4]3+\frac{1}{4}", False), (r"\frac{2}{3}", r"\frac\pi3 + \frac{2}{3}", False),
    ],
    "equations": [
        ("x^2+y^2=4", "x^2+y^2=2", False), ("g(3)=1", "g(3)=2", False), ("y=2x+1", "2x-y+1=0", True),
        ("y=2x+1", "y=2x-1", False), ("x^2-4=0", "x^2=4", True), ("x^2-4=0", "(x-2)(x+2)=0", True),
        ("0", "x^2-1=0", False), ("x+y=5", "y=5-x", True), (r"y=\frac{1}{x}", "xy=1", True),
        (r"\frac{x^2}{4}+\frac{y^2}{9}=1", "9x^2+4y^2=36", True),
        (r"\frac{x^2}{4}+\frac{y^2}{9}=1", "4x^2+9y^2=36", False), ("x^2=1", "x=1", False),
        ("y^2=4x", r"y=2\sqrt{x}", False), ("f(x)=x^2", "x^2", True), ("y=e^{2x}", r"\ln y=2x", True),
        ("x=3", "x=3.0", True), ("x=1", "y=1", False), ("g(2)=7", "7", True), ("x=-1", "x=1", False),
        ("x^2+1=0", "x^2=-1", True), ("2x+3y=6", r"\frac{x}{3}+\frac{y}{2}=1", True),
        ("(x-1)^2+(y+2)^2=9", "x^2+y^2-2x+4y-4=0", True),
    ],
    "sets and inequalities": [
        ("1,3", "1<x<3", False), (r"\{0,2\}", "[0,2]", False), (r"\{0,2\}", "(0,2)", False), ("(0,2)", "0<x<2", True),
        ("[0,2)", r"0\le x<2", True), ("[0,2)", "0<x<2", False), ("x<3", r"(-\infty,3)", True),
        ("x>3", r"x\ge 3", False), ("x>3", "3<x", True), ("-2x>4", "x<-2", True), ("x^2<4", "(-2,2)", True),
        ("|x|<3", "-3<x<3", True), (r"x\neq 2", r"x\ne 3", False), (r"x\neq 2", r"(-\infty,2)\cup(2,\infty)", True),
        (r"x \neq 2", r"\mathbb{R}\setminus\{2\}", True), (r"\mathbb{R}", r"(-\infty,\infty)", True),
        (r"\mathbb{R}", r"\text{all real numbers}", True), (r"\text{all real numbers except }2", r"x\neq 2", True),
        (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup(3,\infty)", True), (r"x<1 \text{ or } x>3", "x<1, x>3", True),
        (r"x>1 \text{ and } x<3", "(1,3)", True), ("a<b", "b>a", True), ("x+y<1", "2x+2y<2", True),
        ("x+y<1", r"x+y\le 1", False), (r"x \in (1,2)", "1<x<2", True), (r"x\in\{1,2\}", r"\{1,2\}", True),
        (r"\{x \in \mathbb{R} : x>2\}", r"(2,\infty)", True), (r"\{x : x \geq 2\}", r"[2,\infty)", True),
        (r"[1,2] \text{ union } [3,4]", r"[1,2]\cup[3,4]", True),
        (r"[1,2] \text{ or } [3,4]", r"[3,4]\cup[1,2]", True), (r"(1,2]\cup(2,3)", "(1,3)", True),
        (r"\text{no solution}", r"\text{No solution}", True), (r"\emptyset", r"\varnothing", True),
        (r"\varnothing", r"\{\}", True), (r"\varnothing", r"\text{empty set}", True),
    ],
    "gcd and lcm": [
        (r"\operatorname{lcm}(a,b)", "ab", False), (r"\gcd(a,b)", "1", False), (r"\gcd(12,18)", "6", True),
        (r"\lcm(4,6)", "12", True), (r"a b/\gcd(a,b)", r"\operatorname{lcm}(a,b)", True),
        (r"\gcd(a,b)", r"\gcd(b,a)", True),
    ],
    "shorthand": [
        (r"\frac\pi3", r"\frac{\pi}{3}", True), (r"\frac34", "0.75", True), (r"\frac{x}2", "x/2", True),
        (r"\frac1{x}", "1/x", True), (r"\sqrt2", r"\sqrt{2}", True), (r"\sqrt[4]5", r"\sqrt[4]{5}", True),
        (r"{1 \over 2}", "0.5", True), (r"{x+1 \over 2}", r"\frac{x+1}{2}", True),
        (r"{n \choose 2}", r"\frac{n(n-1)}{2}", True), (r"\mathbb Z", r"\mathbb{Z}", True),
        (r"\tfrac12", r"\frac{1}{2}", True), (r"\sqrt\pi", r"\sqrt{\pi}", True),
        (r"\frac{\sqrt3}2", r"\frac{\sqrt{3}}{2}", True), (r"2^\frac12", r"\sqrt{2}", True),
        (r"\dfrac{1}{2}", ".5", True), (r"e^{\frac12}", r"\sqrt e", True),
    ],
    "thousands": [
        (r"\frac{1}{1,000}", "0.001", True), (r"12,\!345\pi", r"12345\pi", True), ("1{,}234{,}567", "1234567", True),
        (r"10\,000", "10000", True), (r"10\ 000", "10000", True), (r"\frac{5{,}525}{12}", r"\frac{5525}{12}", True),
        (r"2,500\sqrt{3}", r"2500\sqrt3", True), (r"\$1,000", "1000", True), ("1,000.50", "1000.5", True),
        ("(1,000, 2,000)", "(1000,2000)", True),
    ],
    "percent": [
        (r"25\%", "25", True), ("25", r"25.0 \%", True), (r"12.5\%", r"12.50\%", True), ("0.25", r"25\%", True),
        (r"25\%", r"2.5\%", False), (r"25\%", r"25\text{ percent}", True), ("25", "25 percent", True),
        (r"\frac{1}{4}", r"25\%", True), (r"50\%", r"0.5\%", False), (r"33\frac{1}{3}\%", r"\frac{100}{3}\%", True),
    ],
    "right sides": [
        ("3+4i", "z=3+4i", True), ("5", r"m_{\max}=5", True), ("10", r"\text{Total}=10", True),
        ("7", r"\text{Area} = 7\text{ cm}^2", True), ("0.5", r"P(A\cap B)=0.5", True), ("6", "|AB|=6", True),
        ("6", "AB=6", True), ("60", r"\angle ABC=60^\circ", True), ("4", "x=2+2=4", True), ("2x", "f'(x)=2x", True),
        ("5", "(B) 5", True), ("5", r"\textbf{(B)}\ 5", True), ("5", "C) 5", True), ("1", "2x+3y=1", False),
        ("4", "x_{min} = 4", True),
    ],
    "roots": [
        ("√5", r"\sqrt{5}", True), ("5", "√25", True), ("3", "√13", False), (r"2\sqrt{3}", "2√3", True),
        (r"\sqrt{x+1}", "√(x+1)", True),
    ],
    "tiny numbers": [
        (r"\frac{1}{100!}", r"\frac{1}{99!}", False), ("10^{-400}", "10^{-401}", False),
        (r"\frac{1}{2^{2000}}", "2^{-2000}", True), ("10^{-400}", "0", False),
        (r"\frac{2004}{2004!}", r"\frac{1}{2003!}", True), ("e^{-1000}", "e^{-1001}", False),
    ],
    "words that count": [
        (r"3 \text{ hours } 20 \text{ minutes}", "3", False), (r"5\text{ feet }6\text{ inches}", "5", False),
        (r"x \text{ is any integer}", "x", False), (r"2 \text{ hours}", "2", True),
        (r"5 \text{ million}", "5", False), (r"5\text{ million}", "5000000", True),
        (r"2 \text{ hours } 15 \text{ minutes}", r"2 \text{ hours and } 15 \text{ minutes}", True),
        (r"2 \text{ hours } 15 \text{ minutes}", r"2 \text{ hours } 15 \text{ minutes}.", True),
        (r"3 \text{ or more}", "3", False), (r"\text{at least }3", "3", False),
    ],
    "lists": [
        ("2,2", "2", False), ("1,2,2", "1,2", False), ("1,2", "1,2,2", False), ("1,1,2", "1,2,1", True),
        ("3", "x^2+y^2=3", False), ("(1,1)", "1", False), (r"\{1,2\}", r"\{1,1,2\}", True), ("2,3", "x=2,3", True),
        ("2,3", r"x=2 \text{ or } x=3", True), ("(1,2)", "x=1,y=2", True), ("1,-1", r"\pm1", True),
        (r"2\pm\sqrt3", r"2+\sqrt{3},2-\sqrt{3}", True), (r"\pm 2", "2", False), (r"3\mp 2i", r"3\pm 2i", True),
        ("(1,2),(3,4)", "(3,4),(1,2)", True),
    ],
    "times": [
        ("4:30", "4:30", True), (r"\text{4:30 PM}", r"4:30\text{ p.m.}", True),
        (r"4:30\text{ p.m.}", "4:30 a.m.", False), ("4:30", "2:15", False), ("5:00", "05:00", True),
        (r"\text{10 a.m.}", r"10:00 \text{ AM}", True), ("1:2", r"\frac{1}{2}", True), ("3:5", "6:10", True),
        (r"4:30\text{ p.m.}", r"4:31\text{ p.m.}", False),
    ],
    "letters": [
        ("B", "A, B", False), ("A", "(A) and (B)", False), ("C", r"\text{(C)}", True),
    ],
    "no verdict": [
        (r"x \neq 3", r"x \neq 4", False), (r"x\ne 3", r"x\neq 3", True), (r"x \neq 3", "5", False),
        ("5", r"x\neq 5", False), ("x>1", "5", False), (r"\{1\}", r"\infty", False), (r"\infty", r"\infty", True),
        (r"\infty", r"+\infty", True), (r"x\ge 1", r"\frac{1}{0}", False),
    ],
    "algebra": [
        (r"f^{-1}(x)=\frac{x-1}{2}", r"\frac{x-1}{2}", True), (r"\log_2 3", r"\frac{\ln 3}{\ln 2}", True),
        (r"\ln 2", r"\log 2", False), (r"\sin^2 x", r"1-\cos^2 x", True), (r"\tan^{-1}(1)", r"\frac\pi4", True),
        ("2^{10}", "1024", True), (r"\lfloor x\rfloor", "x", False), (r"5\times10^{-3}", "0.005", True),
        (r"3\times 10^8", "3e8", True),
        (r"\begin{bmatrix}1&2\end{bmatrix}", r"\begin{pmatrix}1 & 2\end{pmatrix}", True),
        (r"\vec{a}+\vec b", r"\vec b+\vec a", True), (r"\cos(\omega t)", r"\cos\omega t", True),
        ("e^{-t}(1+t)", "e^{-t}+te^{-t}", True), ("y=Ce^{x}", "y=C e^{x}", True),
        (r"\int_0^1 f(x)dx", r"\int_0^1 f(x) \, dx", True), (r"\frac{dy}{dx}=x", r"\frac{y}{x}=x", False),
        ("C_1e^x+C_2", "C_{1} e^{x}+C_{2}", True), (r"\text{4 feet}", "4", True), (r"\text{(2,3)}", "(2,3)", True),
        ("n^2-n", "n(n-1)", True), ("P(1+r)^t", "P(r+1)^t", True), (r"1,2,\ldots,10", r"1,2,\dots,10", True),
        (r"\frac{a}{b+c}", "a/(b+c)", True), ("a/bc", r"\frac{a}{bc}", True), (r"-\frac{1}{2}x+3", "3-x/2", True),
        ("|x-1|", "|1-x|", True), ("x'", "x", False), (r"\dot{x}", "x", False), (r"\bar{x}", r"\overline{x}", True),
        ("3.14", r"\pi", False), (r"\sqrt{-1}", "i", True), (r"120^\circ", "120", True),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "answer", "correct"),
    [pytest.param(*case, id=f"{kind}-{number}") for kind, cases in BOXED.items() for number, case in enumerate(cases)],
)
def test_an_answer_in_a_box(reference, answer, correct):
    assert grade(reference, f"So it is $\\boxed{{{answer}}}$.")[0] == correct
