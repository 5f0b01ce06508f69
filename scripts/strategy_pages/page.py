"""The page of one strategy, out of its docstring."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from textwrap import dedent

from lit_passk.advantages import AdvantageStrategy

from .members import ARGUMENTS, SIZE

ROOT = Path(__file__).parents[2]


def page(cls: type[AdvantageStrategy], facts: dict[str, str]) -> str:
    """The page of one strategy; one without ``facts`` is made of other strategies, and has no plot and no line."""
    summary, body, sections = read_docstring(cls)
    source = f"src/{cls.__module__.replace('.', '/')}.py"
    parts = [f"# {cls.__name__}", summary]
    if facts:
        parts.append(f"![advantage and total weight against the number of correct answers]({cls.__name__}.svg)")
    parts += body
    if facts:
        parts.append(f"```yaml\nadvantage: {_yaml(cls)}\n```")
    if "Args" in sections:
        parts += ["## Arguments", _bullets(sections["Args"])]
    if facts:
        rows = [f"| {name} | {value} |" for name, value in facts.items()]
        header = f"| tried on all groups of {SIZE} | |\n|---|---|\n"
        parts += ["## What it does", header + "\n".join(rows)]
    if "Example" in sections:
        parts += ["## Example", "```python\n" + inspect.cleandoc(sections["Example"]) + "\n```"]
    if "References" in sections:
        parts += ["## References", inspect.cleandoc(sections["References"])]
    parts.append(f"[All strategies](README.md) · [source](../../{source})")
    return "\n\n".join(part if part.startswith("```") else to_markdown(part) for part in parts) + "\n"


def read_docstring(cls: type) -> tuple[str, list[str], dict[str, str]]:
    """First sentence, paragraphs as Markdown, and the sections that follow them."""
    text = inspect.getdoc(cls) or ""
    pieces = re.split(r"^(Args|Raises|Example|References|Returns):\n", text, flags=re.M)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    paragraphs = re.split(r"\n\n(?! )", pieces[0].strip())
    body: list[str] = []
    for paragraph in paragraphs[1:]:
        head, _, block = paragraph.partition("::\n\n")
        body.append(head if head.startswith("- ") else " ".join(head.split()) + (":" if block else ""))
        if block:
            language = "yaml" if "class_path" in block else "text"
            body.append(f"```{language}\n{dedent(block).strip()}\n```")
    return " ".join(paragraphs[0].split()), body, sections


def to_markdown(text: str) -> str:
    """Double backquotes to single ones, formulas to GitHub's, the words that open a paragraph in bold."""
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text).replace("``", "`")
    return re.sub(r"^(Use it when|Scale|Edge cases|Ties|Instances|The same up to a factor)\b", r"**\1**", text)


def _bullets(arguments: str) -> str:
    """The arguments of a docstring as a list."""
    entries = re.split(r"\n(?=\w)", inspect.cleandoc(arguments))
    return "\n".join(re.sub(r"^(\w+): ", r"- `\1`: ", " ".join(entry.split())) for entry in entries)


def _yaml(cls: type[AdvantageStrategy]) -> str:
    """How it is written in a configuration, with its defaults."""
    if cls.__name__ in ARGUMENTS:
        return f"{{class_path: {cls.__name__}, init_args: {ARGUMENTS[cls.__name__][1]}}}"
    defaults = {p.name: p.default for p in inspect.signature(cls).parameters.values() if p.default is not p.empty}
    if not defaults:
        return f"{{class_path: {cls.__name__}}}"
    shown = ", ".join(f"{name}: {'null' if value is None else value}" for name, value in defaults.items())
    return f"{{class_path: {cls.__name__}, init_args: {{{shown}}}}}"
