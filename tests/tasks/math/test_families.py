r"""General solutions of differential equations: other names, signs and orders of constants, implicit and explicit."""

from __future__ import annotations

import pytest

from lit_passk.tasks.math.grading import grade

_CASES = [
    (r"y = c_1 e^{x} + c_2 e^{-x}", r"y = C_1 e^{-x} + C_2 e^{x}", True),
    (r"y = c_1 e^{x} + c_2 e^{-x}", r"y = A\cosh x + B\sinh x", True),
    (r"y = c_1 e^{x} + c_2 e^{-x}", r"y = C_1 e^{-x} + C_2 e^{2x}", False),
    (r"y = c_1 e^{x} + c_2 e^{-x}", r"y = C_1 e^{x}", False),
    (r"y = c_1 e^{x} + c_2 e^{-x}", r"y = C_1 e^{x} + C_2 e^{-x} + 1", False),
    (r"y(x) = c_1 \cos x + c_2 \sin x", r"y = A\cos x + B \sin x", True),
    (r"y(t) = c_1 \cos 2t + c_2 \sin 2t", r"y = A\cos(2t + B)", True),
    (r"y(t) = c_1 \cos 2t + c_2 \sin 2t", r"y = A\cos(3t + B)", False),
    (r"y(t) = c_1 \cos 2t + c_2 \sin 2t", r"y(t) = A\cos(2t + B)", True),
    (r"y(t) = c_1 \cos 2t + c_2 \sin 2t", r"y(t) = A\cos(3t + B)", False),
    (r"y = (A + Bx)e^{-x}", r"y = (c_1 x + c_2) e^{-x}", True),
    (r"y = (A + Bx)e^{-x}", r"y = (c_1 x + c_2) e^{x}", False),
    (r"y = c_1 + c_2 x + c_3 x^2", r"y = c_1 x^2 + c_2 x + c_3", True),
    (r"y = \frac{1}{C - x}", r"y = -\frac{1}{x + C}", True),
    (r"y = \frac{1}{C - x}", r"y = \frac{1}{2x + C}", False),
    (r"y = C e^{-x^2}", r"\ln y = -x^2 + C", True),
    (r"y = C e^{-x^2}", r"\ln y = x^2 + C", False),
    (r"x^2 + y^2 = C", r"x^2 + y^2 = c^2", True),
    (r"x^2 + y^2 = C", r"x^2 - y^2 = C", False),
    (r"y = \frac{x^2}{2} + \frac{C}{x}", r"2xy = x^3 + C", True),
    (r"y = x^2 + C e^x", r"y = x^2 + 1 + C e^x", False),
    (r"y = kx", r"y = 2kx", False),
    (r"y = C e^{kx}", r"y = C e^{2kx}", False),
    (r"V = \frac{Q}{C}", r"V = \frac{2Q}{C}", False),
    (r"y = c_1 e^{-2t} + c_2 e^{90t} - 3\sin 2t", r"y = c_2 e^{-2t} + c_1 e^{90t} - 3\sin 2t", True),
    (r"y = c_1 e^{-2t} + c_2 e^{90t} - 3\sin 2t", r"y = c_2 e^{-2t} + c_1 e^{90t} - 3\cos 2t", False),
]


@pytest.mark.parametrize(("reference", "answer", "correct"), _CASES)
def test_a_family_of_curves(reference, answer, correct):
    assert grade(reference, f"\\boxed{{{answer}}}")[0] == correct
