r"""Answers that say the same by convention: other letters, residues, derivatives, sets; and what a text denies."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

BOXED = {
    "yes, no, true, false and why": [
        (r"\text{Yes}", r"\text{Yes, such a set exists}", True),
        (r"\text{No}", r"\text{Yes, such a set exists}", False), (r"\text{Yes}", r"\text{Yes, No}", False),
        (r"\text{Yes}", r"\textbf{Yes}, \text{ for } n=3", True), (r"\text{No}", r"\text{no solution}", False),
        (r"\text{Yes, it does}", r"\text{Yes}", True), (r"\text{Yes, } n=5", r"\text{Yes}", False),
        (r"\text{True}", r"\text{False, since } 2<3", False), (r"\text{True}", r"\text{True (by symmetry)}", True),
        (r"\text{No}", r"\text{No. It is bounded.}", True), ("Yes", "No, yes would be wrong", False),
        (r"\text{Alice}", r"\text{Alice, Bob}", False),
    ],
    "letters": [
        ("p(x)=x^2+1", "P(x)=x^2+1", True), ("p(x)=x^2+1", "P(x)=x^2-1", False), ("f(x)=x^2", "y=x^2", True),
        (r"y(t)=\frac{5}{17}(1-e^{-17t})", r"17\,y(t)+5e^{-17t}=5", True), ("y(t)=5t", "y(t)-5t=1", False),
        (r"y(t)=\frac{5}{17}(1-e^{-17t})", r"17\,y(t)-5e^{-17t}=5", False), ("y(t)=5t", "2y(t)=10t", True),
        ("y=5x^2", "y(x)-5x^2=0", True), ("y=5x^2", "y(x)-5x^2=x", False), ("y=5x(t)", "5x(t)=y", True),
        ("y=3x(x+1)", "y=3x^2+3x", True), ("xy(x)=1", r"y(x)=\frac{1}{x}", True),
        ("f(x)=x^2", "y=x^3", False), ("f(x)=x^2", "x=y^2", False), ("y=x^2", "f(x)=x^2", True),
        ("y=x^2", "f(x)=x^2+1", False), ("f(x)=x^2", "g(x)=x^2", False), ("y=2x+1", "g(x)=2x+1", True),
        (r"\lambda=1,3", r"\lambda_1=1,\lambda_2=3", True), (r"\lambda=1,3", r"\lambda_1=1,\lambda_2=4", False),
        (r"\lambda=1,3", r"\lambda_1=1", False), ("x=1,2", "x_1=2, x_2=1", True),
        ("a_1=1, a_2=2", "a_1=2, a_2=1", False), ("3+4i", "3+4j", True), ("3+4i", "3-4j", False),
        ("3+4i", "4+3j", False), ("4i", "4j", False), ("2i+3j", "2j+3i", False),
        (r"f(x)=kx \text{ for any real } k", r"f(x)=ax \text{ for any real } a", True),
        (r"f(x)=kx \text{ for any real } k", r"f(x)=ax+1 \text{ for any real } a", False),
        (r"f(x)=kx, \text{ where } k \text{ is a constant}", "f(x)=cx", True), ("f(x)=kx", "f(x)=ax", False),
        (r"2k+1, k \in \mathbb{Z}", "2n+1", True), (r"f(x)=kx, k \in \mathbb{R}", "y=ax", True),
        (r"f(x)=kx, k \in \mathbb{R}", "y=ax^2", False),
        ("f(x)=kx", "y=ax", False), (r"m, n \in \mathbb{Z}", "m", False),
        (r"2x \in \mathbb{R}", "2", False), (r"x = k\pi\ (k \in \mathbb{Z})", r"n\pi", True),
        (r"x = 2k+1 \left(k \in \mathbb{Z}\right)", "2n+1", True), (r"3k \text{ (}k\in\mathbb{Z}\text{)}", "3m", True),
        (r"3k,\; k\in \mathbb{N}", "3m", True), (r"3k,\; k\in \mathbb{N}", "4m", False),
        (r"2k+1, k \in \mathbb{Z}", "2n", False), ("2k+1", "2n+1", False),
        (r"n=2^k \text{ for some integer } k", "n=2^m", True), (r"n=2^k \text{ for some integer } k", "n=3^m", False),
        (r"x^2, x \in \mathbb{R}", "y^2", True), (r"(n,n) \text{ for all } n", "(k,k)", True),
        (r"(n,n) \text{ for all } n", "(k,2k)", False), (r"(n,n+m) \text{ for all } n", "(m,m+n)", False),
    ],
    "residues": [
        (r"x \equiv 3 \pmod 7", r"x \equiv 10 \pmod 7", True), (r"x \equiv 3 \pmod 7", r"x \equiv 10 \pmod 8", False),
        (r"x \equiv 3 \pmod 7", r"x \equiv 4 \pmod 7", False), (r"x \equiv 3 \pmod 7", "x=7k+3", True),
        (r"x \equiv 3 \pmod 7", r"x=7k+3, k\in\mathbb{Z}", True), (r"x \equiv 3 \pmod 7", "x=7k+4", False),
        (r"x \equiv 3 \pmod 7", "x=14k+3", False), (r"x \equiv 3 \pmod 7", "x=7k-4", True),
        (r"x \equiv 3 \pmod 7", "x=3-7k", True), (r"x \equiv 3 \pmod 7", "x=7k^2+3", False),
        (r"x \equiv 3 \pmod 7", "x=7y+3", False), (r"x \equiv 3 \pmod 7", r"y \equiv 3 \pmod 7", False),
        ("x=7k+3", r"x\equiv 3 \pmod 7", True), ("x=7k+3", r"x\equiv 3 \pmod 8", False),
        (r"n \equiv 1, 2 \pmod 3", r"n \equiv 1, 2 \pmod 3", True),
        (r"n \equiv 1, 2 \pmod 3", r"n \equiv 2, 4 \pmod 3", True),
        (r"n \equiv 1, 2 \pmod 3", r"n \equiv 1, 3 \pmod 3", False), (r"x \equiv 3 \pmod 7", "3", True),
        ("3", r"x\equiv 3 \pmod 7", True), (r"x \equiv 3 \pmod 7", r"x \equiv -4 \pmod{7}", True),
        (r"a \equiv b \pmod p", r"a\equiv b \pmod q", False), (r"a \equiv b \pmod p", r"a \equiv b \pmod p", True),
        (r"x \equiv 3 \pmod 7", "7k+3", True), (r"x \equiv 3 \pmod{7}", r"x \equiv 3 \pmod 0", False),
    ],
    "derivatives": [
        (r"\frac{d^2y}{dx^2}=0", "y''=0", True), (r"\frac{d^2y}{dx^2}=0", "y'=0", False),
        ("y''+y'=x", r"\frac{d^2y}{dx^2}+\frac{dy}{dx}=x", True),
        ("y''+y'=x", r"\frac{d^2y}{dx^2}-\frac{dy}{dx}=x", False), (r"\dot{x}=v", r"\frac{dx}{dt}=v", True),
        (r"\dot x=v", r"\frac{dx}{ds}=v", False), (r"\dot{x}=v", r"\frac{dy}{dt}=v", False),
        (r"m\ddot{x}+kx=0", r"m\frac{d^2x}{dt^2}=-kx", True), (r"m\ddot{x}+kx=0", r"m\frac{d^2x}{dt^2}=kx", False),
        (r"m\ddot{x}+kx=0", r"m\frac{dx}{dt}=-kx", False), (r"\dot x = x", "x' = x", True),
        (r"\frac{\partial u}{\partial t}=k\frac{\partial^2 u}{\partial x^2}", "u_t=ku_{xx}", True),
        (r"\frac{\partial u}{\partial t}=k\frac{\partial^2 u}{\partial x^2}", "u_t=ku_{tt}", False),
        ("y''", r"\frac{d^2y}{dx^2}", True),
    ],
    "sets of all values": [
        (r"\{k\pi : k \in \mathbb{Z}\}", r"k\pi, k\in\mathbb{Z}", True),
        (r"\{k\pi : k \in \mathbb{Z}\}", r"x=n\pi, n \in \mathbb{Z}", True),
        (r"\{k\pi : k \in \mathbb{Z}\}", r"2k\pi, k\in\mathbb{Z}", False),
        (r"x=k\pi, k\in\mathbb{Z}", r"\{x \mid x=k\pi, k\in\mathbb{Z}\}", True),
        (r"x=k\pi, k\in\mathbb{Z}", r"\{x \mid x=2k\pi, k\in\mathbb{Z}\}", False),
        (r"\{x : x \in \mathbb{R}\}", r"\mathbb{R}", True), (r"\{k : k \in \mathbb{Z}\}", r"\mathbb{Z}", True),
        (r"\{x \mid x > 2\}", r"(2,\infty)", True), (r"\{x \mid x > 2\}", r"[2,\infty)", False),
        (r"\left\{ \frac{\pi}{2}+k\pi \mid k\in\mathbb{Z} \right\}", r"\frac{\pi}{2}+n\pi", True),
    ],
    "functions in pieces": [
        (r"\begin{cases} x & x \ge 0 \\ -x & x<0 \end{cases}", "|x|", True),
        (r"\begin{cases} x & x \ge 0 \\ -x & x<0 \end{cases}", "x", False),
        (r"\begin{cases} x & x \ge 0 \\ -x & x<0 \end{cases}", "-|x|", False),
        (r"f(x)=\begin{cases} x & x \ge 0 \\ -x & x<0 \end{cases}", "f(x)=|x|", True),
        ("|x-3|", r"\begin{cases} x-3 & x > 3 \\ 3-x & x\le3 \end{cases}", True),
        ("|x-3|", r"\begin{cases} x-3 & x > 2 \\ 3-x & x\le2 \end{cases}", False),
        (r"|x-\sqrt2|", r"\begin{cases} x-\sqrt2 & x > \sqrt2 \\ \sqrt2-x & \text{otherwise} \end{cases}", True),
        (r"\begin{cases} x+1 & x \ge 0 \\ x & x<0 \end{cases}", "x", False),
        (r"\begin{cases} x & x \ne 2 \\ 5 & x=2 \end{cases}", "x", False),
        ("|x|+|x-1|", r"\begin{cases} 1-2x & x<0 \\ 1 & 0\le x\le 1 \\ 2x-1 & x>1\end{cases}", True),
        ("|x|+|x-1|", r"\begin{cases} 1-2x & x<0 \\ 2 & 0\le x\le 1 \\ 2x-1 & x>1\end{cases}", False),
        (r"\max(x,0)", r"\begin{cases} x & \text{if } x>0 \\ 0 & \text{otherwise}\end{cases}", True),
        ("a|x|", r"\begin{cases} ax & x \ge 0 \\ -ax & x<0 \end{cases}", True),
    ],
    "functions that are constant": [
        ("f(x)=0", r"f \equiv 0", True), ("f(x)=0", r"f \equiv 1", False), ("f(x)=0", r"f(x) \equiv 0", True),
        (r"f \equiv 0", "f(x)=0", True), ("f(x)=0", r"g \equiv 0", False),
    ],
    "permutations": [
        ("60", "P(5,3)", True), ("60", "P(5,2)", False), ("10", "C(5-3)", False), ("(5,3)", "P(5,3)", True),
        ("P(5,3)", "60", True), (r"\frac12", "P(X=2)", False),
    ],
    "rows that are to be columns": [
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "[1,2]^T", True),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "[2,1]^T", False),
        (r"\begin{pmatrix} 1&3 \\ 2&4 \end{pmatrix}", "[[1,3],[2,4]]^T", False),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{bmatrix} 1 & 2 \end{bmatrix}^T", True),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"[1,2]^{\top}", True),
    ],
    "numerals with a prefix": [
        ("1011_2", "0b1011", True), ("1011_2", "0b1010", False), ("1011_3", "0b1011", False),
        ("3C_{16}", r"\text{0x3C}", True), ("3C_{16}", "0x3c", True), ("3C_{16}", "0x3D", False),
        ("3C_{12}", "0x3C", False), ("17_8", "0o17", True), ("60", "0x3C", False), (r"\text{3C}_{16}", "0x3C", True),
    ],
    "what the box denies": [
        ("42", r"\text{not } 42", False), ("B", r"\text{not B}", False), ("42", "not 42", False),
    ],
}  # fmt: skip
TEXT = {
    "what a text denies": [
        ("42", "The answer is not 42.", False), ("42", "The answer is not $42$.", False),
        ("42", r"The answer is not \boxed{42}.", False), ("43", "The answer is not 42. It is 43.", True),
        ("42", "The answer is not 42. It is 43.", False), ("43", "The answer is not 42 but 43.", True),
        ("42", "The answer is not 42 but 43.", False), ("15", "The answer is not 15 but 16.", False),
        ("16", "The answer is not 15, but 16.", True), ("42", "The answer isn't 42.", False),
        ("42", "The answer cannot be 42.", False), ("42", "42 is not the answer.", False),
        ("42", "42 is not correct.", False), ("B", "The answer is not B.", False),
        ("B", "The answer is not (B).", False), ("C", "The answer is not (B). It is (C).", True),
        ("B", "So (B) is not right. The answer is C.", False), ("C", "So (B) is not right. The answer is C.", True),
        ("42", "It is definitely not 42.", False), ("12", "The answer is not 10 or 11. It is 12.", True),
        ("11", "The answer is not 10 or 11.", False), ("3", "Since 4 is not prime, the answer is 3.", True),
        ("3", "x is not 0, so x = 3", True), ("3.5", "The answer is not 3. The answer is 3.5", True),
        ("12", "There are 12 ways, not 13.", True),
    ],
    "a last clause in words": [
        ("no solution", "Therefore there is no solution.", True), ("5", "Therefore there is no solution.", False),
        ("no solution", "x^2 = -1. Therefore there is no solution.", True),
        (r"\emptyset", "The discriminant is -3, so there are no real solutions.", True),
        (r"\emptyset", "The discriminant is -3, so there are two real solutions.", False),
        ("no solution", "Therefore, the equation has no solution.", True),
        ("-3", "The discriminant is -3, so there are no real solutions.", False),
        (r"\text{does not exist}", "Hence the limit does not exist.", True), (r"\text{odd}", "So it is odd.", True),
        (r"\text{odd}", "So it is even.", False), ("12", "There are 12 of them. So it is done.", True),
        (r"\text{diverges}", "By comparison with $1/n$, the series diverges.", True),
        (r"\text{diverges}", "By comparison with $1/n^2$, the series converges.", False),
    ],
    "yes or no and why": [
        ("Yes", "Yes, because 2+2=4.", True), ("No", "Yes, because 2+2=4.", False),
        ("Yes", "The answer is yes, since 2<3.", True), ("No", "The answer is yes, since 2<3.", False),
        ("Yes", "No.", False),
    ],
    "a text that is one of the options": [
        ("B", "B) 12", True), ("12", "B) 12", True), ("B", "C) 12", False), ("B", "**B**. 2", True),
        ("B", "B. 12", True), ("A", "A) is wrong. So C.", False), ("B", "(B) 12", True), ("A", "A. B. C. D.", False),
        ("13", "B) 12", False), ("B", "B) twelve apples", True),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", BOXED)
def test_kinds_in_a_box(kind):
    wrong = [case for case in BOXED[kind] if grade(case[0], f"So it is $\\boxed{{{case[1]}}}$.")[0] != case[2]]
    assert wrong == []


@pytest.mark.parametrize("kind", TEXT)
def test_kinds_in_a_text(kind):
    assert [case for case in TEXT[kind] if grade(case[0], case[1])[0] != case[2]] == []


def test_what_was_never_said_is_reported_as_no_answer():
    assert grade("42", "The answer is not 42.") == (False, None)
