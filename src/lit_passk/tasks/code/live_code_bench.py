"""The rows of LiveCodeBench (arXiv 2403.07974): its prompt, and tests that are published packed.

``private_test_cases`` is base64 of zlib of a pickle of a JSON text. A pickle can run anything when it is read, so this
one may hold a text and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from lit_passk.errors import Refusal

# The prompt of its own runner for chat models (lcb_runner/prompts/code_generation.py), without the system turn.
_WITH_STARTER = (
    "### Format: You will use the following starter code to write the solution to the problem and enclose your code "
    "within delimiters.\n```python\n{}\n```"
)
_WITHOUT_STARTER = (
    "### Format: Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on "
    "the sample inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it "
    "reads the inputs, runs the algorithm and writes output to STDOUT.\n```python\n# YOUR CODE HERE\n```\n\n"
)
_ANSWER = "### Answer: (use the provided format with backticks)\n\n"


def prompt(question: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """The question with its starter code, and the instruction that follows it."""
    question = f"### Question:\n{question}"
    if starter := str(fields.get("starter_code") or ""):
        return f"{question}\n\n{_WITH_STARTER.format(starter)}", _ANSWER
    return question, _WITHOUT_STARTER + _ANSWER


def tests(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The public and the private tests of a row, each with ``input``, ``output`` and ``testtype``."""
    public, private = fields["public_test_cases"], fields.get("private_test_cases")
    return [*(json.loads(public) if public else []), *(unpacked(private) if private else [])]


def call(test: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Arguments and accepted values of a functional test, whose input has one JSON value a line."""
    return [json.loads(line) for line in test["input"].split("\n")], [json.loads(test["output"])]


def unpacked(text: str) -> list[Mapping[str, Any]]:
    r"""The tests in a ``private_test_cases`` column, packed or as plain JSON.

    Raises:
        Refusal: If it is neither, or what is packed is more than a text.

    Example:
        >>> unpacked('[{"input": "1", "output": "1", "testtype": "stdin"}]')[0]["input"]
        '1'
        >>> packed = base64.b64encode(zlib.compress(pickle.dumps('[{"input": "2"}]'))).decode()
        >>> unpacked(packed)
        [{'input': '2'}]

    """
    if text.lstrip().startswith("["):
        return json.loads(text)
    try:
        packed = zlib.decompress(base64.b64decode(text, validate=True))
        found = _TextUnpickler(io.BytesIO(packed)).load()
    except Refusal:
        raise
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise Refusal(
            f"its private tests are neither JSON nor base64 of zlib of a pickled text ({type(error).__name__}: {error})"
        ) from None
    if not isinstance(found, str):
        raise Refusal(f"its private tests must be a pickled text, but are a pickled {type(found).__name__}")
    return json.loads(found)


class _TextUnpickler(pickle.Unpickler):
    """Reads a text, and refuses a pickle that asks for any class, function or object from outside."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise Refusal(f"its private tests must be a pickled text, but the pickle asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise Refusal(f"its private tests must be a pickled text, but the pickle asks for the object {pid!r}")
