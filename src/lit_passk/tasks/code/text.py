"""Finds the program in what a policy wrote."""

from __future__ import annotations

import ast
import re
import textwrap

from lit_passk.tasks.code.judge import Unit

_CODE = r"[^\n`]*\n(.*?)(?:^[ \t]*```|```[ \t]*$"
_PYTHON_BLOCK = re.compile(
    r"(?:^([ \t]*))?```[ \t]*(?:python3?|py)\b" + _CODE + r"|\Z)", re.MULTILINE | re.DOTALL | re.IGNORECASE
)
_CLOSED_BLOCK = re.compile(r"^([ \t]*)```[ \t]*([\w+#.-]*)" + _CODE + ")", re.MULTILINE | re.DOTALL)
# Where the paper that published HumanEval ends a completion, and a closed fence.
_STOPS = re.compile(r"\n(?=class|def|@|#|if|print|```)")


def last_block(completion: str) -> str | None:
    r"""The last fenced block of Python, or else the last block without a language; None when there is none.

    A block of Python that is never closed goes to the end. What stands before ``</think>`` does not count.

    Example:
        >>> last_block("First ```python\nold\n```\nbut better:\n```python\nnew()\n```\nDone.")
        'new()\n'

    """
    text = _after_thinking(completion)
    plain = [(margin, code) for margin, language, code in _CLOSED_BLOCK.findall(text) if not language]
    blocks = _PYTHON_BLOCK.findall(text) or plain
    if not blocks:
        return None
    margin, code = blocks[-1]
    return textwrap.dedent(code) if margin else code


def program_text(completion: str) -> str:
    """The last block of Python, or the whole text."""
    block = last_block(completion)
    return _after_thinking(completion) if block is None else block


def function_units(prompt: str, entry_point: str, completion: str) -> list[Unit]:
    r"""The program made of a function's beginning and its completion, which may hold the body or the whole function.

    Args:
        prompt: Source that ends with the function's signature and docstring, perhaps after imports and helpers.
        entry_point: Name of the function.
        completion: A body as continuation of the prompt, or an answer that defines the function itself.

    Returns:
        Units to execute one after the other.

    Example:
        >>> function_units("def f(x):\n    '''Double.'''\n", "f", "    return 2 * x\n")[0][1]
        "def f(x):\n    '''Double.'''\n    return 2 * x\n"
        >>> function_units("def f(x):\n    '''Double.'''\n", "f", "```python\ndef f(x): return 2 * x\n```")[1][1]
        'def f(x): return 2 * x\n'

    """
    block = last_block(completion)
    text = _after_thinking(completion) if block is None else block
    continues = block is None and text.lstrip("\n")[:1] in (" ", "\t")
    defines = re.search(rf"^(?:(?:async\s+)?def\s+{entry_point}\b|{entry_point}\s*=)", text, re.MULTILINE)
    if defines and not continues:
        return [("prompt", prompt), ("completion", text)]
    body = _STOPS.split(text, maxsplit=1)[0] if block is None else text
    return [("completion", prompt + _indented(prompt, body)), *_later_helpers(prompt, entry_point, text)]


def _after_thinking(completion: str) -> str:
    return completion.rpartition("</think>")[2]


def _indented(prompt: str, body: str) -> str:
    """The body of a function, where its first line or all of it lacks the indentation (tokenizers eat it)."""
    first = next((line for line in body.splitlines() if line.strip()), "")
    missing = " " * (4 - len(first) + len(first.lstrip()))
    if first[:1] == "\t" or not missing:
        return body
    for candidate in (body.replace(first, missing + first, 1), textwrap.indent(body, missing)):
        if _parse(prompt + candidate):
            return candidate
    return body


def _parse(source: str) -> list[ast.stmt]:
    """The statements of a source, none if it is no Python."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _later_helpers(prompt: str, entry_point: str, text: str) -> list[Unit]:
    """Functions and classes that follow the body: definitions do no harm, statements are the policy running on."""
    source = prompt + text
    lines = source.splitlines(keepends=True)
    helpers = [
        "".join(lines[min([node.lineno, *(mark.lineno for mark in node.decorator_list)]) - 1 : node.end_lineno])
        for node in _parse(source)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.lineno > prompt.count("\n")
        and node.name != entry_point
    ]
    return [("helpers", "\n".join(helpers))] if helpers else []
