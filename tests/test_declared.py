"""Every package that is imported by name is declared in pyproject.toml, with a lower bound."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"lit_passk", "helpers", "processes", *(path.stem for path in (ROOT / "scripts").iterdir())}
PEERS = {"verl", "trl"}
"""Compared with in the tests where somebody has them; nothing here asks for them."""
OWNERS = packages_distributions()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Top-level names of the packages of others that these statements import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - OURS - PEERS - set(sys.stdlib_module_names)


def undeclared(folder: str, requirements: list[str]) -> dict[str, str]:
    declared = names(requirements)
    return {
        module: str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        for module in imported(ast.walk(ast.parse(path.read_text())))
        if not {canonical(name) for name in [module, *OWNERS.get(module, [])]} & declared
    }


@pytest.mark.parametrize(("folder", "extras"), [("src", EXTRAS.keys() - {"dev"}), ("tests", EXTRAS.keys())])
def test_every_import_is_declared(folder, extras):
    requirements = [*PROJECT["dependencies"], *(name for extra in extras for name in EXTRAS[extra])]
    assert not undeclared(folder, requirements)


def test_what_an_extra_brings_is_imported_where_it_is_used():
    """`import lit_passk.x` works without extras, but for the engine that an extra is about."""
    needed = names(PROJECT["dependencies"])
    for path in (ROOT / "src").rglob("*.py"):
        top = imported(ast.parse(path.read_text()).body)
        modules = {m for m in top if not {canonical(n) for n in [m, *OWNERS.get(m, [])]} & needed}
        assert modules <= ({"vllm"} if path.name.startswith("vllm_") else set()), path


@pytest.mark.parametrize("group", ["dependencies", *EXTRAS])
def test_every_requirement_has_a_lower_bound(group):
    requirements = PROJECT["dependencies"] if group == "dependencies" else EXTRAS[group]
    assert all(re.search(r"(>=|==)\d", requirement) for requirement in requirements)
