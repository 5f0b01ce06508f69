"""Imports run downwards only, and `import lit_passk` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lit_passk

PACKAGE = Path(lit_passk.__file__).parent
FLOORS = [
    {"credentials", "errors", "inputs", "logged", "outputs", "printable"}
    | {"types", "functional", "distributed", "hub", "memory"},
    {"advantages", "losses", "metrics", "tasks", "rewards", "results"},
    {"engines", "scoring", "policy", "checkpointing", "report", "bridges"},
    {"data", "rollout"},
    {"modules"},
    {"callbacks"},
    {"commands"},
    {"cli"},
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported_parts(path: Path) -> set[str]:
    """First-level parts of the package that a file imports when it runs (not those under TYPE_CHECKING)."""
    parts = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lit_passk."):
            parts.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            parts.update(a.name.split(".")[1] for a in node.names if a.name.startswith("lit_passk."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return parts


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = {part for part in imported_parts(path) if FLOOR_OF[part] > FLOOR_OF[here]}
    assert not above, f"{path.name} on floor {FLOOR_OF[here]} ({here}) imports {above} from above"


def test_vllm_is_named_in_its_engine_files_alone():
    def imports_vllm(path):
        names = [
            n.module if isinstance(n, ast.ImportFrom) else a.name
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, (ast.Import, ast.ImportFrom))
            for a in n.names
        ]
        return any(name and name.split(".")[0] == "vllm" for name in names)

    assert {p.name for p in FILES if imports_vllm(p)} <= {
        "vllm_compat.py",
        "vllm_engine.py",
        "vllm_models.py",
        "vllm_transfer.py",
        "vllm_weights.py",
    }


@pytest.mark.seconds
def test_importing_the_package_is_light():
    code = (
        "import sys, lit_passk, lit_passk.tasks, lit_passk.rollout, lit_passk.types, lit_passk.tasks.base;"
        "heavy = {'vllm', 'torch', 'lightning', 'transformers'} & set(sys.modules); assert not heavy, heavy;"
        "lit_passk.PassKRLModule; assert 'vllm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_every_public_name_exists():
    for name in lit_passk.__all__:
        assert getattr(lit_passk, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'PassAtX'"):
        lit_passk.PassAtX  # noqa: B018
