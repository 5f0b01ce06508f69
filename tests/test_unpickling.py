"""Where the package unpickles, evaluates or parses with more power than data needs: the places are counted."""

from __future__ import annotations

import ast
from pathlib import Path

import lit_passk

PACKAGE = Path(lit_passk.__file__).parent
POWERFUL = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "eval", "exec", "yaml.load",
    "yaml.unsafe_load", "dcp.load", "dcp.FileSystemReader", "dcp.DefaultLoadPlanner", "joblib.load", "__import__",
}  # fmt: skip
ALLOWED = {  # file: what it may do, because what it reads is this run's own or is held by other walls
    "checkpointing/plain.py": {"pickle.Unpickler", "dcp.load", "dcp.FileSystemReader", "dcp.DefaultLoadPlanner"},
    "distributed.py": {"pickle.loads"},  # from the ranks of the run, which run its code anyway
    "scoring/pool.py": {"pickle.loads"},  # from its own workers, over a socket pair
    "scoring/server.py": {"pickle.load", "pickle.loads"},  # from the trainer, over a pipe
    "scoring/worker.py": {"pickle.loads"},  # from the trainer, over a socket pair
    "tasks/code/sandbox/inside/checker.py": {"marshal.load", "exec", "__import__"},
    "tasks/code/sandbox/inside/functions.py": {"exec"},
    "tasks/code/sandbox/inside/stdio.py": {"marshal.load", "exec", "__import__"},
    "tasks/code/sandbox/inside/wire.py": {"__import__"},
}


def uses(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if name in POWERFUL:
            found.add(name)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
            safe = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if safe.get("weights_only") != "True":
                found.add(ast.unparse(node))
    return found


def test_nothing_is_unpickled_that_others_can_write():
    files = {str(path.relative_to(PACKAGE)): uses(path) for path in PACKAGE.rglob("*.py")}
    assert {name: found for name, found in files.items() if found} == ALLOWED


def test_no_remote_code_unless_asked_for():
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    assert not [str(path) for path, text in texts.items() if "trust_remote_code=True" in text]
