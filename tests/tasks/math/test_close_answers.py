r"""Answers that look like the reference and are not, beside those that look different and are the same."""

from __future__ import annotations

from lit_passk.tasks.math.grading import grade

BOXED = [
    ("30", r"\frac{\pi}{6}", False), ("y=kx", "y=Cx", False), ("y=C x", "y=kx", True), ("E=mc^2", "E=mC^2", False),
    ("f(x)=x+a", "f(a)=a+x", False), ("f(x)=ax+b", "f(t)=at+b", True), ("f(x)=ax+b", "f(t)=bt+a", False),
    ("y=C_1x+C_2", "y=C_1x+C_1", False), ("C_1e^x+C_2xe^x", "Ae^x+Bxe^x", True),
    ("C_1e^x+C_2xe^x", "Ae^x+Ae^{x}x", False), (r"x=\frac{\pi}{4}+k\pi", r"x=\frac{\pi}{4}+2n\pi", False),
    ("2n+1", "2k+1", False), (r"n\pi", r"k\pi", True), (r"n\pi", r"x\pi", False), ("1.234", "1,234", False),
    ("1234", "1.234", False), ("1.5", "1,5", True), ("15", "1,5", False), ("0.05", "0,5", False),
    ("(1,5)", "1.5", False), ("12345", "12.345", False), ("1.234.567", "1234567", True), ("3,5", "3.5", True),
    ("(1,2)", "A(2,1)", False), ("(1,2)", "A(1,2), B(3,4)", False), ("(1,2)", "N(1,2)", False),
    ("10", "C(5,3)", True), ("10", "C(5,1)", False), (r"\binom{n}{2}", "C(n,2)", False),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2,1)", False), (r"\begin{pmatrix}1\\2\end{pmatrix}", "1,2", False),
    (r"\langle1,2\rangle", r"\mathbf{i}+2\mathbf{j}", True), (r"\langle1,2\rangle", r"2\mathbf{i}+\mathbf{j}", False),
    (r"\langle1,2,0\rangle", r"\mathbf{i}+2\mathbf{j}", True),
    (r"\langle1,2,3\rangle", r"\mathbf{i}+2\mathbf{j}", False), ("2i+3j", "2i-3j", False),
    ("3+2i", r"2\mathbf{i}+3", False), ("[1,2]", r"\begin{pmatrix}1\\2\end{pmatrix}", True),
    ("[1,2]", "(1,2)", False), ("]1,2[", "[1,2]", False), ("]1,2]", "(1,2]", True), ("[1,2[", "[1,2)", True),
    (r"\mathbb{R}^+", r"[0,\infty)", False), (r"\mathbb{R}^2", r"\mathbb{R}", False),
    (r"\mathbb{R}^*", r"\mathbb{R}", False), (r"\mathbb{Z}^+", r"\mathbb{N}", True),
    (r"\mathbb{Z}", r"\mathbb{N}", False), (r"\mathbb{Q}", r"\mathbb{R}", False),
    (r"\mathbb{C}", r"\mathbb{R}", False), ("1:2:3", "1:3:2", False), ("2:3", "3:2", False), ("3:4", "3,4", False),
    ("15:00", "3:00", False), (r"3:00\text{ pm}", "3:00", True), (r"12:00\text{ am}", "0:00", True),
    (r"12:30\text{ pm}", "0:30", False), (r"\text{12 a.m.}", r"\text{12 p.m.}", False),
    (r"\text{May 5}", r"\text{May 15}", False), (r"\text{May 5}", r"\text{March 5}", False),
    (r"\text{May 5}", "5", False), ("5", r"\text{May 5}", False),
    (r"\text{June 3, 2020}", r"\text{June 3, 2021}", False), ("20", "twenty-one", False), ("21", "twenty one", True),
    ("120", "one hundred twenty", True), ("120", "one hundred and twenty", True), ("1200", "twelve hundred", True),
    ("2000", "two thousand", True), (r"\frac{3}{4}", "three quarters", True), (r"\frac{3}{4}", "three fourths", True),
    (r"\frac{3}{4}", "three fifths", False), ("0.5", "one half", True), ("2", "half", False), ("1", "one", True),
    ("3", "one two three", False), ("12", "one two", False), ("first", "1", False),
    (r"\text{no solution}", "0", False), (r"\text{none}", r"\text{no}", False),
    (r"\emptyset", r"\text{one solution}", False), (r"\text{no solution}", r"\text{two solutions}", False),
    (r"\infty", r"\text{finite}", False), (r"\text{does not exist}", r"\infty", False),
    (r"\text{a circle}", "circle", True), (r"\text{a circle}", r"\text{a sphere}", False),
    (r"\text{the origin}", "origin", True), ("a", r"\text{a b}", False), ("1011_2", "1011_{10}", False),
    ("1011_2", "10110", False), ("FF_{16}", "EF_{16}", False), ("AB_{12}", "BA_{12}", False),
    ("2A_{16}", "2A_{12}", False), ("2a_{n}", "2a", False), ("a_2", "a", False), ("x_{10}", "x", False),
    (r"\frac{1}{3}", "0.3...", False), (r"\frac{1}{3}", r"0.333\ldots", True),
    (r"\frac{4}{33}", r"0.1212\ldots", True), (r"\frac{4}{33}", r"0.\overline{12}", True),
    (r"\frac{4}{33}", r"0.1\overline{2}", False), ("0.54", "0.5(4)", False), ("2", "0.5(4)", True),
    (r"\sqrt[3]{-27}", "-3", True), (r"\sqrt[3]{-27}", "3", False), (r"\sqrt[4]{16}", "2", True),
    (r"\sqrt[4]{16}", "-2", False), (r"\sqrt{-4}", "2i", True), (r"\sqrt{-4}", "-2", False), ("5", r"5\%", True),
    ("0.05", r"5\%", True), ("0.5", r"5\%", False), (r"5\text{ m/s}", "5", True), ("5", "5 m/s", True),
    ("5", "6 m/s", False), (r"\frac{m}{s}", "1", False), ("5m/s", "5", False), ("5 km/h", "5", True),
    ("2 g/h", "2", False), (r"\det A", "A", False), (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", "ad-bc", True),
    (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", "ad+bc", False),
    (r"\sum_{k=1}^{n}k^2", r"\frac{n(n+1)(2n+1)}{6}", True), (r"\sum_{k=1}^{n}k^2", r"\frac{n(n+1)(2n-1)}{6}", False),
    (r"\sum_{k=1}^{n}a_k", r"\sum_{k=1}^{n}b_k", False), (r"\sum_{k=1}^{n}a_k", r"\sum_{j=1}^{n}a_j", True),
    (r"\int f(x)dx", r"\int g(x)dx", False), (r"\int_a^b f(x)\,dx", r"\int_a^b f(t)\,dt", True),
    (r"\int_a^b f(x)\,dx", r"\int_b^a f(x)\,dx", False), (r"\int_0^{\pi}\sin^2x\,dx", r"\frac{\pi}{2}", True),
    (r"\int_0^{\pi}\sin^2x\,dx", r"\pi", False), (r"\prod_{k=2}^{n}(1-\frac1k)", r"\frac1n", True),
    (r"\lim_{x\to\infty}\frac{2x+1}{x}", "2", True), (r"\lim_{x\to0}\frac1x", r"\infty", False),
    ("1", r"\sum_{n=1}^\infty\frac{1}{n(n+1)}", True), (r"\zeta(3)", r"\sum_{n=1}^\infty\frac{1}{n^3}", False),
    (r"\frac{\pi^4}{90}", r"\sum_{n=1}^\infty n^{-4}", True), ("e^x", r"\sum_{n=0}^\infty\frac{x^n}{n!}", True),
    (r"\frac{1}{1-x}", r"\sum_{n=0}^\infty x^n", False), ("y'", "y''", False), ("y'=2x", r"\frac{dy}{dx}=3x", False),
    (r"\frac{dy}{dt}=y", r"\frac{dy}{dx}=y", False), (r"\ln x", r"\log x", False), ("f'(x)", "f(x)", False),
    ("x=2", "x=-2", False), ("x=2", r"x=2 \text{ or } x=3", False), ("2", r"\pm2", False), (r"x=\pm2", "x=2", False),
    ("(3,4)", "x=3,y=5", False), ("(3,4)", "y=4,x=3", True), ("(3,4)", "y=3,x=4", False),
    ("12", r"12\text{ dozen}", True), ("3", r"3\text{ thousand}", False), ("3000", r"3\text{ thousand}", True),
    (r"1.2 \times 10^6", r"1.2\text{ million}", True), ("5", "5x10^0", True), ("500", "5 x 10^2", True),
    ("500", "5x10^3", False), ("17", "**18**", False), ("x^2", "x**2", True), ("x^2", "x**3", False),
    ("a*b", "ab", True), ("17", "17**", True), (r"\text{(A) }5", r"\boxed{A}", True), (r"\text{(A) }5", "5", True),
    (r"\text{(A) }5", "B", False), (r"\text{(A) }5", "6", False), ("A.", "A", True),
    (r"\begin{cases}x+1&x>0\\x-1&x\le0\end{cases}", r"\begin{cases}x+1&x>0\\x-1&x\le0\end{cases}", True),
    (r"\begin{cases}x+1&x>0\\x-1&x\le0\end{cases}", r"\begin{cases}x-1&x>0\\x+1&x\le0\end{cases}", False),
    ("2^{31}-1", "2147483647", True), ("2^{31}-1", "2147483648", False),
    (r"\frac{2}{\sqrt{3}}", r"\frac{2\sqrt{3}}{3}", True), (r"\frac{2}{\sqrt{3}}", r"\frac{\sqrt{3}}{2}", False),
    (r"\tan 75^\circ", r"2+\sqrt{3}", True), (r"\tan 75^\circ", r"2-\sqrt{3}", False),
    (r"e^{i\theta}", r"\cos\theta+i\sin\theta", True), (r"e^{i\theta}", r"\operatorname{cis}\theta", True),
    (r"e^{i\theta}", r"\cos\theta-i\sin\theta", False), (r"\arg z", r"\arg w", False), (r"\Re(z)", r"\Im(z)", False),
    (r"a \equiv 1 \pmod 3", r"a\equiv 2\pmod 3", False), (r"n \equiv 1 \pmod 3", "n=3k+1", True),
    (r"p \mid q", r"q\mid p", False), (r"A \cup B", r"A\cap B", False), (r"A\cup B", r"B\cup A", True),
    (r"\neg p", "p", False), (r"x \in A", r"x\notin A", False), (r"a \perp b", r"a\parallel b", False),
]  # fmt: skip
TEXT = [
    ("17", "The answer is 17, not 16.", True), ("16", "The answer is 17, not 16.", False),
    ("17", r"So there are 17 ways, i.e. \(\boxed{17}\) ways in 2024.", True), ("17", "I get 17.0", True),
    ("3", "$x=1$, $y=2$, so the answer is $x+y=3$.", True), ("3", "答案：$x=3$，检验成立。", True),
    ("3", "答案是 4。", False), ("12", "所以一共有12种。", True), ("12", "答案为 12，不是 13。", True),
    ("B", "Reasoning... **Answer: B) 12**", True), ("B", "The answer is **C) 12**", False),
    ("B", "A is wrong. B is wrong. So C.", False), ("D", "Answer: D.\nExplanation: because A, B and C fail.", True),
    ("D", "<answer>D</answer>", True), ("D", "{\"answer\": \"D\"}", True),
    ("D", r"\boxed{\text{D. None of the above}}", True), ("17", "{\"answer\": 17}", True),
    ("17", "answer = 17", True), ("17", "Final answer → 17", True),
    ("17", "Therefore, 17 is our final answer.", True), ("17", "The final answer is 17 (mod 100).", True),
    ("17", r"\boxed{17} (mod 100)", True), ("17", r"The answer is \boxed{17}$.", True),
    ("17", "Answer:\n\n\\[\n\\boxed{17}\n\\]\n\nLet me double check: 3+14=17. Yes.", True),
    ("5", "Answer: 5 (five)", True), ("-5", "Answer: −5", True), ("1,000", "1000", True), ("1000", "$1{,}000$", True),
    ("0.75", "75%", True), (r"\frac{3}{4}", "Answer: 3 / 4", True), ("x=5", "Answer: 5", True),
    ("5", "### Final Answer: **5**\n\nNote that 6 is too large.", True), ("5", "**Final Answer**\n5", True),
    ("5", r"Final answer: \(5\) units", True), ("5", r"The value is \( \boxed{5} \) ✅", True), ("5", "= 5 ✓", True),
    ("5", "x ≈ 5", True), ("5", "The answer is 5&deg;", True), (r"2\pi", "The answer is 2π.", True),
    (r"2\pi", "The answer is 2 pi.", True), ("2", "The answer is 2π.", False),
]  # fmt: skip


def test_answers_in_a_box():
    assert [case for case in BOXED if grade(case[0], f"So it is $\\boxed{{{case[1]}}}$.")[0] != case[2]] == []


def test_answers_in_a_text():
    assert [case for case in TEXT if grade(case[0], case[1])[0] != case[2]] == []


def test_steps_of_a_function_that_is_named():
    right = r"N(n)=\left\lfloor\frac{2 n}{3}\right\rfloor+1"
    assert grade(right, r"\boxed{N(n) = 1 + \lfloor 2n/3 \rfloor}")[0]
    assert not grade(right, r"\boxed{N(n)=\left\lfloor\frac{2 n}{4}\right\rfloor+1}")[0]


def test_the_number_that_is_denied_is_not_the_answer():
    assert grade("12", "There are 12 ways, not 13.")[0]
    assert not grade("13", "There are 12 ways, not 13.")[0]
