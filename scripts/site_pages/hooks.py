"""What the site needs beyond its pages: the API reference, KaTeX, and links to code that lead into that reference."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
KATEX = ROOT / "src/lit_passk/report/assets/katex"
API = {
    "lightning": ("Modules, data, callbacks", ["modules", "modules.policies", "policy.lora", "data", "callbacks"]),
    "types": ("What travels", ["types", "errors"]),
    "advantages": ("Advantage strategies", ["advantages", "advantages.examine", "advantages.trial"]),
    "losses": ("Losses and corrections", ["losses"]),
    "tasks": ("Tasks", ["tasks"]),
    "rewards": ("Rewards", ["rewards"]),
    "samplers": ("Prompt samplers", ["data.samplers"]),
    "rollouts": (
        "Rollout sources and results",
        [
            *("rollout.source", "rollout.step", "rollout.on_policy", "rollout.dynamic_sampling"),
            *("rollout.one_step_off_policy", "rollout.parity", "results", "results.save_rollouts"),
        ],
    ),
    "engines": (
        "Engines",
        ["engines.base", "engines.transformers_engine", "engines.vllm_engine", "engines.vllm_server_engine"],
    ),
    "metrics": ("Metrics", ["metrics"]),
    "functional": ("Functions", ["functional", "bridges"]),
}
"""Page of the API reference: its title, and the modules whose public names it describes."""
LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)]*)?\)")


def public_names(module: str) -> list[str]:
    """``__all__`` of a module of this project; without one, the classes and functions that it defines.

    Read from the source: importing all of it would take longer than building the site.
    """
    path = ROOT / "src/lit_passk" / module.replace(".", "/")
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [name for name in defined if not name.startswith("_")]


def paths_of(page: str) -> list[str]:
    """Dotted paths of the public names of a page."""
    return [f"lit_passk.{module}.{name}" for module in API[page][1] for name in public_names(module)]


def api_page(page: str) -> str:
    """Markdown of a page of the API reference; docstrings are put in by mkdocstrings."""
    return "\n\n".join([f"# {API[page][0]}", *(f"::: {path}" for path in paths_of(page))]) + "\n"


def on_config(config: Any) -> Any:
    """Put the pages of a folder in the place of its name in the navigation, and new pages under Reference."""
    strategies = sorted(path.name for path in (ROOT / "docs/strategies").glob("*.md") if path.stem != "README")
    folders = {
        "strategies/": ["strategies/README.md", *(f"strategies/{name}" for name in strategies)],
        "api/": [{title: f"api/{page}.md"} for page, (title, _) in API.items()],
    }
    placed = str(config.nav)
    config.nav = [
        {title: folders.get(entry, entry) if isinstance(entry, str) else entry}
        for part in config.nav
        for title, entry in part.items()
    ]
    (reference,) = (part["Reference"] for part in config.nav if "Reference" in part)
    pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    reference += [page for page in pages if page not in placed and not page.startswith("strategies/")]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the API reference and KaTeX."""
    for page in API:
        files.append(File.generated(config, f"api/{page}.md", content=api_page(page)))
    for path in KATEX.rglob("*"):
        if path.is_file() and path.suffix != ".md":
            name = f"assets/katex/{path.relative_to(KATEX).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links to files of the repository that are on no page lead to the API reference, or be plain text."""
    here = page.file.src_uri

    def replaced(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        inside = normpath(f"docs/{here}/../{target}")
        if inside.startswith("docs/"):
            return match[0]
        described = page_of(inside)
        return f"[{text}]({relpath(described, normpath(f'{here}/..'))})" if described else text

    return LINK.sub(replaced, markdown)


def page_of(file: str) -> str | None:
    """The page of the API reference that describes a file of the source, if one does."""
    module = file.removeprefix("src/lit_passk/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = [
        (len(name), page) for page, (_, names) in API.items() for name in names if f"{module}.".startswith(f"{name}.")
    ]
    return f"api/{max(found)[1]}.md" if found and file.startswith("src/") else None
