r"""Functions in pieces, lists with dots, whole numbers, residues and constants, with what only looks like them."""

from __future__ import annotations

from lit_passk.tasks.math.grading import grade

PIECES = r"f(x)=\begin{cases} x^2 & x\ge 0\\ -x & x<0\end{cases}"
IN_ARRAY = r"a_n=\left\{\begin{array}{ll} 1, & n=1 \\ 2n, & n \geq 2 \end{array}\right."
CASES = [
    # functions in pieces
    (PIECES, r"\begin{cases} x^2, & x \geq 0 \\ -x, & x < 0\end{cases}", True),
    (PIECES, r"f(x)=\begin{cases} -x, & \text{if } x<0 \\ x^2, & \text{if } x\geq 0\end{cases}", True),
    (PIECES, r"f(x)=\begin{cases} x^2 & x\ge 0 \\ -x & \text{otherwise}\end{cases}", True),
    (PIECES, r"f(x)=\begin{cases} x^2 & \text{for } x\ge 0 \\ x & \text{for } x<0\end{cases}", False),
    (PIECES, r"f(x)=\begin{cases} x^2 & x> 0\\ -x & x\le 0\end{cases}", False),
    (PIECES, r"f(x)=\begin{cases} x^2 & x\ge 0\\ -x & x<0\\ 1 & x=5\end{cases}", False), (PIECES, "x^2", False),
    (IN_ARRAY, r"a_n=\begin{cases}1,&n=1\\2n,&n\ge2\end{cases}", True),
    (IN_ARRAY, r"a_n=\begin{cases}1,&n=1\\2n+1,&n\ge2\end{cases}", False),
    (r"\left\{\begin{array}{l}x=1\\y=2\end{array}\right.", "x=1,y=2", True),
    (r"\begin{cases}x&=1\\y&=2\end{cases}", "(1,2)", True), (r"\begin{cases}x&=1\\y&=2\end{cases}", "(2,1)", False),
    # lists with dots
    (r"1,2,\ldots,10", r"1, 2, 3, \dots, 10", True), (r"1,2,\ldots,4", "1,2,3,4", True),
    (r"1,2,\ldots,10", r"1,2,\ldots,11", False), (r"1,3,\ldots,9", "1,3,5,7,9", True),
    (r"1,3,\ldots,9", r"1,2,\ldots,9", False), (r"\{1,2,\ldots,n\}", r"\{1,2,3,\dots,n\}", True),
    (r"\{1,2,\ldots,n\}", r"\{1,2,\ldots,n+1\}", False), (r"1,2,4,\ldots,64", r"1,2,3,\ldots,64", False),
    (r"0,1,\ldots,2024", r"0,1,2,3,\ldots,2024", True), (r"0,1,\ldots,2024", r"1,2,\ldots,2024", False),
    # sets of whole numbers
    (r"\{n\in\mathbb{Z}: 1\le n\le 3\}", r"\{1,2,3\}", True),
    (r"\{n\in\mathbb{Z}: 1\le n\le 5\}", r"\{1,2,4,5\}", False),
    (r"\{n\in\mathbb{Z}: 1\le n\le 3\}", "[1,3]", False), (r"\{x\in\mathbb{R}: 1\le x\le 3\}", "[1,3]", True),
    (r"\{n \in \mathbb{Z} \mid n^2 < 5\}", r"\{-2,-1,0,1,2\}", True), (r"(2,3)\cup(3,4)", r"(2,4)-\{3\}", True),
    (r"(2,3)\cup(3,4)", r"(2,4)-\{2\}", False), (r"\{\pm 1, \pm 2\}", "-2,-1,1,2", True),
    (r"\{\pm 1, \pm 2\}", "1,2", False), (r"-3 \text{ or } 5", "(-3,5)", False), (r"-3 \text{ or } 5", "5,-3", True),
    # letters for whole numbers
    (r"\lceil n/2\rceil", r"\lfloor (n+1)/2\rfloor", True), (r"\lceil n/2\rceil", r"\lfloor n/2\rfloor", False),
    (r"\lceil x/2\rceil", r"\lfloor (x+1)/2\rfloor", False), ("(-1)^n", r"\cos(n\pi)", True),
    ("(-1)^n", r"\sin(n\pi)", False), (r"\frac{2(-1)^{n+1}}{n}", r"-\frac{2\cos n\pi}{n}", True),
    ("(-1)^n", "(-1)^{n+1}", False), ("(-1)^{n-1}", "(-1)^{n+1}", True), (r"\cos(\pi x)", "(-1)^x", False),
    (r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}", r"\frac{\pi}{4}+n\pi", True), (r"x=k\pi\ (k\in\mathbb{Z})", r"n\pi", True),
    (r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}", r"\frac{\pi}{4}+2n\pi", False), (r"k\pi (k \in Z)", r"x = k\pi, k∈Z", True),
    # residues, numerals, letters
    (r"2 \pmod{5}", r"7 \pmod 5", True), (r"2 \pmod{5}", r"8 \pmod 5", False), ("2", r"7 \pmod 5", False),
    (r"-1 \pmod 7", r"6 \pmod 7", True), ("1011_2", "1101_2", False), ("3A_{16}", r"3\text{A}_{16}", True),
    ("A,C", "AC", True), ("AC", "A, C", True), ("A,C", "ABC", False), ("AC", "A,D", False), ("ACD", "A and C", False),
    # constants of integration
    (r"\frac{1}{2}\sin^2 x+C", r"-\frac12\cos^2x+C", True), (r"\frac{1}{2}\sin^2 x+C", r"\frac12\cos^2x+C", False),
    (r"\frac{1}{2}\sin^2 x", r"-\frac12\cos^2x", False), (r"\frac{(x+1)^2}{2}+C", r"\frac{x^2}{2}+x+C", True),
    (r"\frac{(x+1)^2}{2}+C", r"\frac{x^2}{2}+C", False), ("xC+1", "xC+2", False), ("x+C", "x+2C", False),
    # counting
    ("C_{10}^{3}", "120", True), ("C_{10}^{3}", "720", False), ("A_5^2", "20", True),
    (r"\mathrm{C}_{6}^{2}", "15", True),
    ("C_{2n}^{n}", r"\binom{2n}{n}", True), ("C_1^2", "1", False), ("C_1^2 x", "C_1 x", False),
    ("aC_5^2", "10a", False),
    # digits, ordinals, odds
    (r"1-\frac{1}{2^{100}}", "1", False), (r"1-\frac{1}{2^{100}}", r"\frac{2^{100}-1}{2^{100}}", True),
    (r"1-\frac{1}{2^{200}}", r"1-\frac{1}{2^{201}}", False), (r"\sqrt{2}+10^{-40}", r"\sqrt{2}", False),
    (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2", True), (r"\sin(10^{30}\pi)", "0", True), ("0.1+0.2", "0.3", True),
    (r"n \equiv 1, 4 \pmod 5", r"1,4 \pmod{5}", True), (r"n \equiv 1, 4 \pmod 5", r"1,3 \pmod{5}", False),
    ("13", r"13^{\text{th}}", True), ("4", "4th", True), ("4", "5th", False), ("2nd", "2n", False),
    (r"\frac14", r"1\text{ in }4", True), (r"\frac35", r"\text{3 out of 5}", True),
    (r"\frac14", r"1\text{ in }5", False),
    (r"60^\circ 30'", r"60.5^\circ", True), (r"60^\circ 30'", r"60.3^\circ", False), ("5", "5\\ ", True),
    # vectors, degrees, integrals
    (r"3\mathbf{i}-4\mathbf{j}", r"\begin{pmatrix}3\\-4\end{pmatrix}", True), (r"2\hat{x}+\hat{y}", "(2,1)", True),
    (r"2\hat{x}+\hat{y}", "(1,2)", False),
    (r"\begin{pmatrix}3\\4\end{pmatrix}", r"\begin{pmatrix}3&4\end{pmatrix}", False),
    ("2k+1", "(0,0)", False), (r"45^\circ", r"45^{\mathrm{o}}", True), ("45", "45^o", True), ("45", "44^o", False),
    (r"2\text{cis}60^\circ", r"1+i\sqrt{3}", True), (r"2\text{cis}60^\circ", r"\sqrt{3}+i", False),
    (r"\frac14", r"\int_0^1\int_0^1 xy\,dx\,dy", True), (r"\frac13", r"\int_0^1\int_0^x y\,dy\,dx", False),
    (r"\frac16", r"\int_0^1\int_0^x y\,dy\,dx", True), (r"2\pi", r"\int_0^{2\pi}\int_0^1 2r\,dr\,d\theta", True),
]  # fmt: skip


def test_pieces_counts_and_constants():
    assert [case for case in CASES if grade(case[0], f"So it is $\\boxed{{{case[1]}}}$.")[0] != case[2]] == []
