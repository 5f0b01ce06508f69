"""No doctest and no test hangs on a float's last bit, in which CPUs differ.

What a machine may round otherwise is rounded or compared with ``pytest.approx`` or ``torch.testing.assert_close``. A
comment ``# exact: why`` marks the few that are meant to the last bit. This reads the code; the tests also run under
another machine's rounding (``helpers/other_cpu.py``), which finds what cannot be read.
"""

import ast
import doctest
import re
from pathlib import Path

import pytest
import torch
from helpers.other_cpu import nudge

import lit_passk

PACKAGE = Path(lit_passk.__file__).parent
TESTS = Path(__file__).parent
QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
NUMBER = re.compile(r"(?<![\w.])\d+\.\d*(?:e[+-]?\d+)?")
FOUR_DECIMALS = re.compile(r"\d+\.\d{4}")
ROUNDED = re.compile(r"\bround\(|\bapprox\(|:\.\d+[efg%]|# exact\b")


def unrounded(source: str, want: str) -> bool:
    """Whether a doctest prints floats as they come; torch prints four decimals, but whole numbers only if all are."""
    printed = QUOTED.sub("", want)
    numbers = NUMBER.findall(printed)
    if printed.lstrip("([").startswith("tensor("):
        numbers = [number for number in numbers if not FOUR_DECIMALS.fullmatch(number)]
    return bool(numbers) and not ROUNDED.search(source)


def decimal(node: ast.AST) -> bool:
    """Whether an expression holds a float that has no short binary form, such as 0.1; settings count as well."""
    values = [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, float)]
    return any(value * 1024 != int(value * 1024) for value in values if abs(value) < 1e12)


def last_bit_comparisons(code: str) -> list[int]:
    """Lines with ``==`` or ``!=`` of something computed and a decimal float, or of a text with all its digits."""
    lines, found = code.splitlines(), []
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Compare) and any(isinstance(op, (ast.Eq, ast.NotEq)) for op in node.ops)):
            continue
        text = ast.unparse(node)
        whole = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        computed = any(isinstance(part, (ast.Call, ast.BinOp)) for part in ast.walk(node))
        every_digit = any(
            re.search(r"\d\.\d{9,}", part.value)
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        if ((decimal(node) and computed) or every_digit) and not ROUNDED.search(text) and "# exact" not in whole:
            found.append(node.lineno)
    return found


def doctests(path: Path) -> list[doctest.Example]:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, nodes)]
    return [example for text in texts if text for example in doctest.DocTestParser().get_examples(text)]


def test_doctests_print_rounded_floats():
    found = [
        f"{path.relative_to(PACKAGE)}: {example.source.strip()}"
        for path in PACKAGE.rglob("*.py")
        for example in doctests(path)
        if unrounded(example.source, example.want)
    ]
    assert not found, "round what these doctests print, or say '# exact: why' beside it:\n" + "\n".join(found)


def test_tests_compare_computed_floats_with_a_tolerance():
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in TESTS.rglob("*.py")
        for line in last_bit_comparisons(path.read_text())
    ]
    assert not found, "use pytest.approx, or say '# exact: why' on the line:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "want", "caught"),
    [
        ("maj_at_k(votes, k=1)", "0.5", True),
        ("{name: float(v) for name, v in metric.compute().items()}", "{'maj@1': 0.5}", True),
        ("weights", "tensor([1., 2.])", True),
        ("weights.tolist()", "[1.0, 2e-05]", True),
        ("round(maj_at_k(votes, k=1), 4)", "0.5", False),
        ("weights", "tensor([0.2500, 1.0000])", False),
        ("weights  # exact: a cap", "tensor([1., 2.])", False),
        ("task.score(completion).answer", "'0.5'", False),
    ],
)
def test_a_doctest_that_hangs_on_the_last_bit_is_caught(source, want, caught):
    assert unrounded(source, want) is caught


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("assert maj_at_k(votes, 3) == 0.6", True),
        ("assert [f(x) for x in y] == [0.1, 0.2]", True),
        ("assert text(x) == 'about 0.49999999999999994'", True),
        ("assert a + b != 0.3", True),
        ("assert maj_at_k(votes, 3) == pytest.approx(0.6)", False),
        ("assert module.clip_low == 0.2", False),
        ("assert len(x) == 2", False),
        ("assert f(x) == 0.1  # exact: handed through", False),
    ],
)
def test_a_comparison_by_the_last_bit_is_caught(code, caught):
    assert bool(last_bit_comparisons(code)) is caught


def test_the_other_rounding_moves_inexact_numbers_by_one_float_and_no_other():
    for dtype in (torch.float32, torch.float64):
        values = torch.rand(1000, dtype=dtype, generator=torch.Generator().manual_seed(0)) - 0.5
        moved = nudge(values)
        assert 0.3 < (moved != values).double().mean() < 0.7
        step = torch.nextafter(values, values.sign() * torch.inf)
        assert ((moved == values) | (moved == step)).all()
        assert torch.equal(nudge(values), moved)
        exact = torch.tensor([0.0, 0.5, -3.0, 0.375, float("inf"), float("-inf")], dtype=dtype)
        assert torch.equal(nudge(exact), exact)
        assert nudge(torch.tensor([float("nan")], dtype=dtype)).isnan().all()
