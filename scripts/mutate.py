"""Mutation testing: change one operator, number or branch of a module at a time, and see whether a test notices.

    python scripts/mutate.py src/lit_passk/functional/*.py --tests tests/functional src/lit_passk/functional --sample 20

The tests run once to learn which of them reach which line. For every mutant those that reach its line run, the
quickest first, in a forked process, until one fails. What survives is printed: a test is missing, or the code has no
effect, or the mutant is equivalent. What messages of errors say, defaults, annotations and module-level constants are
not mutated. Needs `coverage`, and Linux.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import os
import pickle
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import hypothesis
import pytest

SWAPPED = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn},
    **{ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}


def places(tree: ast.AST) -> Iterator[ast.AST]:
    """What can be mutated: nodes within functions, in the order of the source."""

    def visit(node: ast.AST, within: bool) -> Iterator[ast.AST]:
        if isinstance(node, ast.Raise):
            return
        if isinstance(node, ast.FunctionDef):
            for statement in node.body:
                yield from visit(statement, True)
            return
        if within and kind(node):
            yield node
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and name != "annotation":
                    yield from visit(child, within)

    return visit(tree, False)


def kind(node: ast.AST) -> bool:
    """Whether ``mutate`` knows what to do with a node."""
    if isinstance(node, ast.BinOp | ast.BoolOp):
        return type(node.op) in SWAPPED
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in SWAPPED
    if isinstance(node, ast.Constant):
        return type(node.value) in (bool, int, float)
    return isinstance(node, ast.UnaryOp | ast.IfExp | ast.If)


def mutate(node: ast.AST) -> str:
    """Change a node in place; returns what it was and what it is."""
    before = shown(node)
    if isinstance(node, ast.BinOp | ast.BoolOp):
        node.op = SWAPPED[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPPED[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.UnaryOp):  # becomes its operand
        node.__class__, node.__dict__ = type(node.operand), vars(node.operand)
    else:
        assert isinstance(node, ast.IfExp | ast.If)
        node.test = ast.UnaryOp(ast.Not(), node.test)
    return f"{before}  ->  {shown(node)}"


def shown(node: ast.AST) -> str:
    """One line of source."""
    return ast.unparse(node).splitlines()[0]


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def put_in_place(path: str, mutant: ast.AST) -> None:
    """Give every function of a file its code in the mutated tree."""
    trees = (ast.parse(Path(path).read_text()), ast.fix_missing_locations(mutant))
    pairs = zip(*(codes(compile(tree, path, "exec")) for tree in trees), strict=True)
    new = {old: code for old, code in pairs if old != code}
    functions = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__ in new]
    assert functions, f"no function of {path} is loaded, or Python optimised the mutation away"
    for function in functions:
        function.__code__ = new[function.__code__]


class Mutants:
    """A pytest plugin: what runs instead of the tests.

    Args:
        files: Modules to mutate.
        sample: Mutants of each; None takes all.
        seed: Of the sample.
    """

    def __init__(self, files: list[str], sample: int | None, seed: int) -> None:
        self.files, self.sample, self.random = files, sample, random.Random(seed)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what the tests reach, then try the mutants."""
        if session.testsfailed or not session.items:
            raise session.Interrupted("the tests cannot be collected")
        reached, seconds, failed = self.in_child(lambda: self.observe(session))
        for number in failed:
            print(f"left out, it fails without any mutant: {session.items[number].nodeid}")
        killed = total = 0
        for path in self.files:
            tree = ast.parse(Path(path).read_text())
            numbers = list(range(len(list(places(tree)))))
            chosen = sorted(self.random.sample(numbers, min(self.sample or len(numbers), len(numbers))))
            alive = []
            for number in chosen:
                mutant = copy.deepcopy(tree)
                node = list(places(mutant))[number]
                tests = sorted(reached[path].get(node.lineno, ()), key=lambda i: seconds[i])  # type: ignore[attr-defined]
                what = f"  {node.lineno}: {mutate(node)}  ({len(tests)} tests)"  # type: ignore[attr-defined]
                if not tests or self.survives(session, path, mutant, tests):
                    alive.append(what)
            killed, total = killed + len(chosen) - len(alive), total + len(chosen)
            lines = [f"{path}: {len(chosen) - len(alive)} of {len(chosen)} killed, {len(numbers)} possible", *alive]
            print("\n".join(lines), flush=True)
        print(f"killed {killed} of {total}: {killed / max(1, total):.1%}")
        return True

    def survives(self, session: pytest.Session, path: str, tree: ast.AST, tests: list[int]) -> bool:
        """Whether no test fails; one that takes a minute of CPU time does."""

        def run() -> bool:
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            os.dup2(1, 2)
            put_in_place(path, tree)
            self.run(session, tests)
            return session.testsfailed == 0

        return bool(self.in_child(run))

    def observe(self, session: pytest.Session) -> tuple[dict[str, dict[int, set[int]]], list[float], set[int]]:
        """Which tests reach which line of which file, the CPU time of each test, and which tests fail."""
        measured = coverage.Coverage(data_file=None, include=self.files, config_file=False)
        measured.start()
        seconds, failed = [], set()
        for number, item in enumerate(session.items):
            measured.switch_context(str(number))
            start = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=[*session.items, None][number + 1])
            seconds.append(time.process_time() - start)
            if session.testsfailed:
                failed.add(number)
                session.testsfailed = 0
        measured.stop()
        reached: dict[str, dict[int, set[int]]] = {}
        for path in self.files:
            lines = measured.get_data().contexts_by_lineno(path)
            reached[path] = {line: {int(c) for c in contexts if c} - failed for line, contexts in lines.items()}
        return reached, seconds, failed

    def run(self, session: pytest.Session, tests: list[int]) -> None:
        """Run tests in their order until one fails."""
        for number, following in zip(tests, [*tests[1:], None], strict=True):
            item, then = session.items[number], None if following is None else session.items[following]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=then)
            if session.testsfailed:
                return

    def in_child(self, function: Callable[[], Any]) -> Any:
        """Call in a forked process that prints nothing, and return what it returns; None if it is killed."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            with open(write, "wb") as file:
                try:
                    file.write(pickle.dumps(function()))
                except BaseException:
                    traceback.print_exc()
                    os._exit(70)
            os._exit(0)
        os.close(write)
        with open(read, "rb") as file:
            answer = file.read()
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 70:
            raise RuntimeError("see above")
        return pickle.loads(answer) if answer else None


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="modules to mutate")
    parser.add_argument("--tests", nargs="+", required=True, help="what pytest is given")
    parser.add_argument("--sample", type=int, help="mutants of each module; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    files = [str(Path(file).resolve()) for file in options.files if Path(file).name != "__init__.py"]
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # a failure need not be made small
    hypothesis.settings.register_profile("mutate", phases=phases, database=None, deadline=None)
    hypothesis.settings.load_profile("mutate")
    quiet = [
        "-s",
        "-q",
        "--no-header",
        "-m",
        "not slow and not gpu and not vllm and not processes",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:faulthandler",
    ]
    return pytest.main([*quiet, *options.tests], plugins=[Mutants(files, options.sample, options.seed)])


if __name__ == "__main__":
    sys.exit(main())
