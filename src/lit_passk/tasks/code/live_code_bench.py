"""The rows of LiveCodeBench (arXiv 2403.07974): its prompt, and tests that are published packed.

``private_test_cases`` is base64 of zlib of a pickle of a JSON text. A pickle can run anything when it is read, so this
one is not: the text is found by the pickle's instructions, and any but those around a text are refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Mapping
from typing import Any

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
_MOST_BYTES = 1 << 30
_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_AROUND_A_TEXT = ("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP")
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
        >>> import pickle
        >>> packed = base64.b64encode(zlib.compress(pickle.dumps('[{"input": "2"}]'))).decode()
        >>> unpacked(packed)
        [{'input': '2'}]

    """
    if not text.lstrip().startswith("["):
        try:
            text = _pickled_text(_decompressed(base64.b64decode(text, validate=True)))
        except (binascii.Error, zlib.error, ValueError) as error:
            if isinstance(error, Refusal):
                raise
            raise Refusal(
                f"its private tests are neither JSON nor base64 of zlib of a pickled text ({error})"
            ) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"its private tests are no JSON ({error})") from None


def _decompressed(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, _MOST_BYTES)
    if unpacking.unconsumed_tail:
        raise Refusal(f"its private tests are more than {_MOST_BYTES >> 20} MiB when they are unpacked")
    return data


def _pickled_text(pickled: bytes) -> str:
    """The text that a pickle is, found without unpickling: a pickle of anything else is refused."""
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _TEXT:
            texts.append(str(argument))
        elif opcode.name not in _AROUND_A_TEXT:
            raise Refusal(
                f"its private tests must be a pickled text, but the pickle says {opcode.name} {argument!r:.80}"
            )
    if len(texts) != 1:
        raise Refusal(f"its private tests must be one pickled text, but the pickle holds {len(texts)}")
    return texts[0]
