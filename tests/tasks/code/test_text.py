"""The program in a completion, as base models and chat models write it."""

from __future__ import annotations

import ast
import textwrap

import pytest

from lit_passk.tasks.code import blocks
from lit_passk.tasks.code.text import function_units, program_units

PROMPT = 'from math import sqrt\n\n\ndef help(x):\n    return x\n\n\ndef root(x):\n    """The root."""\n'


def program(completion, wanted=None):
    return [source for _, source in program_units(completion, wanted)]


@pytest.mark.parametrize(
    ("completion", "source"),
    [
        ("```python\na\n```", "a\n"),
        ("One\n```python\na\n```\ntwo\n```python\nb\n```\nend", "b\n"),
        ("```python\na\n```\n```\noutput\n```", "a\n"),
        ("```py\na\n```", "a\n"),
        ("```Python3 title=x\na\n```", "a\n"),
        ("```{.python .numberLines}\na\n```", "a\n"),
        ("```\na\n```", "a\n"),
        ("~~~python\na\n~~~", "a\n"),
        ("~~~\na\n~~~", "a\n"),
        ("~~~python\n# ``` is no end\na\n~~~", "# ``` is no end\na\n"),
        ("````markdown\n```python\na\n```\n````", "a\n"),
        ("```json\n{}\n```\nThen\n```\na\n```", "a\n"),
        ("```json\n{}\n```\nno code", None),
        ("```cpp\nint x;\n```", None),
        ("```python-repl\n>>> a\n```", None),
        ("Inline ```python\na\n```", "a\n"),
        ("- ```python\n  a\n  ```", "a\n"),
        ("```python\na\nb", "a\nb"),
        ("```python\nprint(1)```", "print(1)"),
        ("```python\r\na\r\n```\r\n", "a\r\n"),
        ("1. Do\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y\n"),
        ("<think>```python\nno\n```</think>```python\nyes\n```", "yes\n"),
        ("<think>```python\nno\n```</think>nothing", "nothing"),
        ("> ```python\n> if x:\n>     y\n> ```", "if x:\n    y\n"),
        ("a = 1", None),
        ("```python\n```", ""),
        ("```python", ""),
    ],
)
def test_the_last_block_or_the_whole_text(completion, source):
    assert program(completion) == [completion if source is None else source]


F, USE = "def f(x):\n    return x + 1\n", "print(f(1))\n"
TEST = "import unittest\n\nclass TestF(unittest.TestCase):\n    def test(self):\n        self.assertEqual(f(1), 2)\n"


@pytest.mark.parametrize(
    "completion",
    [
        f"```python\n{F}```\nUsage:\n```python\n{USE}```",
        f"```python\n{F}```\nA test:\n```python\nassert f(1) == 3\n```",
        f"```python\n{F}```\nA test:\n```python\nfrom solution import f\nassert f(1) == 3\n```",
        f"```python\n{F}```\nA test:\n```python\n{TEST}```",
        f"```python\n{F}```\nUse it:\n```python\nf = f(1)\n```",
        f"```python\n{F}```\nOutput:\n```python\n2\n```",
        f"```\n{F}```\nOutput:\n```\n2\n```",
        f"A sketch:\n```python\nx = 1\n```\n~~~\n{F}~~~",
        f"```python\ndef f(x):\n    return 0\n```\nBetter:\n```python\n{F}```\nSo\n```python\n{USE}```",
        f"```python\n{F}\nUsage:\n```python\n{USE}```",
        f"```python\n{F}\nThat is all.",
        f"Example:\n```python\nx = 1\n\nNow the function.\n```\n{F}```\n",
        f"Here is the function:\n\n{F}",
        f"Solution\n\n{F}",
        f"{F}\nThis works, because it's what was asked for (see above",
        f"# Sure\nI import nothing.\n\n{F}\nf(1) is 2, isn't it?\n",
        f"First attempt:\n\ndef f(x):\n    return 0\n\nThat is wrong. Again:\n\n{F}\nDone!",
        "```python\nclass Solution:\n  def f(self, x):\n    return x + 1\n```\n```python\nprint(Solution().f(1))\n```",
        "```python\nimport math\nONE = 1\n```\nand\n```python\ndef f(x):\n    return x + math.floor(ONE)\n```",
        "```python\ndef f(x):\n    return g(x)\n```\nwith\n```python\ndef g(x):\n    return x + 1\n```",
        "```python\nfrom math import floor\n```\n```python\nfrom __future__ import annotations\n\n"
        "def f(x: int):\n    return floor(x) + 1\n```",
    ],
)
def test_the_last_piece_that_defines_what_is_called(completion):
    namespace = {}
    for source in program(completion, ["f"]):
        exec(compile(source, "completion", "exec", dont_inherit=True), namespace)
    function = namespace["f"] if "f" in namespace else namespace["Solution"]().f
    assert function(1) == 2


def test_a_block_that_is_only_indented():
    code = "    def add(a, b):\n        return a + b\n"
    wanted = "def add(a, b):\n    return a + b"
    assert [one.strip() for one in program(f"The function:\n\n{code}\nIt adds.", ["add"])] == [wanted]
    fenced = f"```python\n{wanted}\n```\nNot:\n\n    def add(a): ..."
    assert [one.strip() for one in program(fenced, ["add"])] == [wanted]


@pytest.mark.parametrize(
    "completion",
    [
        "```python\ndef f(x):\n    return x + 1\nprint 'two'\n```",
        "Here:\n\ndef f(x):\n    if x:\n        return x + 1\n    y = (",
        "```python\ndef f(x):\n    if x:\n        return x + 1\n    y = (",
    ],
)
def test_a_program_that_is_no_python_or_cut_off_is_not_mended(completion):
    (source,) = program(completion, ["f"])
    with pytest.raises(SyntaxError):
        compile(source, "completion", "exec", dont_inherit=True)


SUM = "n = int(input())\nprint(sum(map(int, input().split())))\n"
MAIN = "def main():\n    n = int(input())\n    print(sum(map(int, input().split())))\n"


@pytest.mark.parametrize(
    "completion",
    [
        f"```python\n{SUM}```\nExample:\n```python\nprint(6)\n```",
        f"```python\n{SUM}```\nOutput:\n```python\n6\n```",
        f"```\n{SUM}```\nOutput:\n```\n6\n```",
        f"```python\n{SUM}```\nRun it:\n```bash\npython a.py\n```",
        f"```python\n{MAIN}main()\n```\nSo\n```python\nimport io, sys\nsys.stdin = io.StringIO('1 9')\nmain()\n```",
        f"```python\n{MAIN}main()\n```\nTest:\n```python\nassert main() is None\n```",
        f"```python\n{MAIN}```\nand at the end\n```python\nmain()\n```",
        f"```python\nprint(0)\n```\n```python\n{SUM}```",
        "```python\nimport sys\nd = sys.stdin.read()\nprint(sum(map(int, d.split()[1:])))\n```\n```python\n6\n```",
        "```python\nd = open(0).read().split()\nprint(sum(map(int, d[1:])))\n```\n```python\nassert f(3) == 6\n```",
        "```python\nd = open('/dev/stdin').read().split()\nprint(sum(map(int, d[1:])))\n```\n```python\nprint(6)\n```",
        f'```python\ndef doc():\n    """\n    ```\n    3\n    ```\n    """\n\n{SUM}```',
        f'```python\ndef doc():\n    """\n    ```python\n    >>> 3\n    ```\n    """\n\n{SUM}```\nDone',
        f"Here is the program:\n\n{SUM}",
        f"Program\n\n{SUM}\nIt reads the numbers, adds them up and prints the sum.",
    ],
)
def test_the_last_piece_that_reads_input(completion, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", iter(["3", "1 2 3"]).__next__)
    sources = program(completion)
    if "stdin" in completion or "open(" in completion:
        assert "print(sum(" in sources[-1]
        return
    namespace = {}
    for source in sources:
        exec(compile(source, "completion", "exec", dont_inherit=True), namespace)
    assert capsys.readouterr().out == "6\n"


def test_a_program_without_input_is_the_last_block_that_prints():
    assert program("```python\nprint(1)\n```\nOutput:\n```python\n1\n```") == ["print(1)\n"]
    assert program("```python\nprint(1)\n```\nBetter:\n```python\nprint(2)\n```") == ["print(2)\n"]


@pytest.mark.parametrize(
    "text", ["```\n" * 5000, '```python\n"""\n' * 5000, "def f(\n" * 5000, "a = (\n" * 5000, "~~~py\n" * 5000]
)
def test_hostile_text_does_not_keep_the_parser_busy(text, monkeypatch):
    calls = []
    original = ast.parse
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", lambda source: calls.append(len(source)) or original(source))
        program(text, ["f"])
        program(text)
    assert sum(calls) < 300 * len(text)  # for every line it would be thousands of times


def test_blocks_that_never_end_cost_each_the_same(monkeypatch):
    calls = []
    monkeypatch.setattr(blocks, "parse", lambda source: calls.append(len(source)))
    blocks.code_blocks("```python\nprint('''1)\n" * 500)
    cost = sum(calls)
    calls.clear()
    blocks.code_blocks("```python\nprint('''1)\n" * 1000)
    assert sum(calls) < 2.5 * cost  # twice the text, not four times the work


DEEP = {
    "a sum": "x = " + "+".join(["1"] * 1500) + "\n",
    "attributes": "x = a" + ".b" * 1500 + "\n",
    "cases": "if x == 0:\n    y = 0\n" + "".join(f"elif x == {n}:\n    y = {n}\n" for n in range(1, 1500)),
}


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_programs_that_are_nested_more_deeply_than_functions_can_be(source):
    assert program(source) == program(f"```python\n{source}```") == [source]
    body = textwrap.indent(source, "    ") + "    return x\n"
    assert function_units("def f(x):\n", "f", body) == [("completion", "def f(x):\n" + body)]


def test_a_body_block_is_found_before_an_example():
    example = "```python\n    return sqrt(x)\n```\nUsage:\n```python\nprint(root(9))\n```"
    assert result(example) == 3


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
        "Here is the function:\n\ndef root(x):\n    return sqrt(x)\n",
        "Here's the body:\n\n    return sqrt(x)\n",
        "    return sqrt(x)\n```\n\n```python\nprint(root('no'))\n```",  # a base model writes on
        "```python\ndef root(x):\n    return sqrt(x)\n```\nUsage:\n```python\nprint(root('no'))\n```",
        "```python\ndef root(x):\n    return other(x)\n```\nwith\n```python\nother = sqrt\n```",
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


def test_what_was_typed_in_a_session():
    session = "```python\n>>> def f(x):\n...     return x\n...\n>>> f(1)\n1\n```"
    assert program(session, ["f"]) == ["def f(x):\n    return x\n\nf(1)"]
