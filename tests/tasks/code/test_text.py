"""The program in a completion, as base models and chat models write it."""

from __future__ import annotations

import pytest

from lit_passk.tasks.code.text import function_units, last_block, program_text

PROMPT = 'from math import sqrt\n\n\ndef help(x):\n    return x\n\n\ndef root(x):\n    """The root."""\n'


@pytest.mark.parametrize(
    ("completion", "block"),
    [
        ("```python\na\n```", "a\n"),
        ("One\n```python\na\n```\ntwo\n```python\nb\n```\nend", "b\n"),
        ("```python\na\n```\n```\noutput\n```", "a\n"),
        ("```py\na\n```", "a\n"),
        ("```Python3 title=x\na\n```", "a\n"),
        ("```\na\n```", "a\n"),
        ("```json\n{}\n```\nThen\n```\na\n```", "a\n"),
        ("```json\n{}\n```\nno code", None),
        ("```cpp\nint x;\n```", None),
        ("Inline ```python\na\n```", "a\n"),
        ("```python\na\nb", "a\nb"),
        ("```python\nprint(1)```", "print(1)"),
        ("1. Do\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y\n"),
        ("<think>```python\nno\n```</think>```python\nyes\n```", "yes\n"),
        ("<think>```python\nno\n```</think>nothing", None),
        ("a = 1", None),
        ("```python\n```", ""),
    ],
)
def test_last_block(completion, block):
    assert last_block(completion) == block


def test_without_a_block_the_whole_text_is_the_program():
    assert program_text("print(1)\n") == "print(1)\n"
    assert program_text("<think>hm</think>print(1)\n") == "print(1)\n"


def result(completion):
    """Run the units as the sandbox does, and call the function."""
    namespace = {}
    for name, source in function_units(PROMPT, "root", completion):
        exec(compile(source, name, "exec", dont_inherit=True), namespace)
    return namespace["root"](9)


@pytest.mark.parametrize(
    "completion",
    [
        "    return sqrt(x)\n",
        "    y = x\n    return sqrt(y)",
        "\n    return sqrt(x)\n\n",
        "   return sqrt(x)\n",  # a tokenizer ate one space
        "return sqrt(x)\n",
        "if x > 0:\n        return sqrt(x)\n    return 0\n",  # the first line lost its indentation
        "if x > 0:\n    return sqrt(x)\nreturn 0\n",  # every line did
        "    return sqrt(x)\n\n\ndef other(\n",  # a base model runs on until it is cut
        "    return sqrt(x)\n\nprint(root('no'))\n",
        "    return sqrt(x)\n\nif __name__ == '__main__':\n    1 / 0\n",
        "    return sqrt(x)\n```\nThat is it.",
        "    return helper(x)\n\n\ndef helper(x):\n    return sqrt(x)\n",
        "    return helper(x)\n\n\n@staticmethod\ndef helper(x):\n    return sqrt(x)\n\nprint(1 / 0)\n",
        "    return sqrt(x)\n\n\ndef root(x):\n    return -1\n",  # the function asked for is the first one
        "```python\ndef root(x):\n    return sqrt(x)\n```",
        "def root(x):\n    return sqrt(x)\n",
        "from math import sqrt as s\n\ndef root(x):\n    return s(x)\n",
        "```python\nroot = lambda x: sqrt(help(x))\n```",
        "Sure:\n```python\nfrom __future__ import annotations\ndef root(x: int):\n    return sqrt(x)\n```\nDone.",
        "The body is\n```python\n    return sqrt(x)\n```",
        "The body is\n```python\nfor i in range(9):\n    if i * i == x:\n        return i\n```",
        "<think>\n    return 0\n</think>```python\ndef root(x):\n    return sqrt(x)\n```",
    ],
)
def test_bodies_and_whole_functions(completion):
    assert result(completion) == 3


@pytest.mark.parametrize("completion", ["", "\n", "```python\n```", "    pass\n"])
def test_an_empty_completion_is_the_bare_prompt(completion):
    assert result(completion) is None


@pytest.mark.parametrize(
    "completion", ["    return (", "no code at all", "```python\ndef root(x:\n```", "\0", "(" * 9999]
)
def test_what_is_no_python_fails_when_it_is_run(completion):
    with pytest.raises((SyntaxError, ValueError, MemoryError, RecursionError)):
        result(completion)
