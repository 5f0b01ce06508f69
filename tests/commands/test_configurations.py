"""Files of options: what is no text, no options, or has an option twice is refused with its name."""

import os

import pytest

from lit_passk.commands.configurations import find, with_files
from lit_passk.errors import Refusal

GOOD = """
model: &model {policy: a}
data: {train: {class_path: A, init_args: {path: a}}}
trainer:
  callbacks:
  - {class_path: B, init_args: {path: a}}
  - {class_path: B, init_args: {path: b}}
other: *model
merged: {<<: *model, <<: {b: 1}}
? [1, 2]
: [x, x]
"""


@pytest.fixture
def write(tmp_path):
    def write_one(content):
        path = tmp_path / "own.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_one


@pytest.mark.parametrize("content", [GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), '{"model": {"policy": "a"}}'])
def test_what_is_taken(write, content):
    path = write(content)
    assert with_files(["--config", path, f"--config={path}"]) == ["--config", path, f"--config={path}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: {policy: a}\nmodel: {loss: b}\n", "has `model` twice"),
        ("data:\n  train:\n    init_args: {path: a, split: b, path: c}\n", r"`data\.train\.init_args\.path` twice"),
        ("trainer:\n  callbacks:\n  - {class_path: a, class_path: b}\n", r"`trainer\.callbacks\.class_path` twice"),
        ('{"seed_everything": 1, "seed_everything": 2}', "`seed_everything` twice"),
        ("", "but holds nothing"),
        ("# a comment alone\n", "but holds nothing"),
        ('trainer: "a\\0"', "has a NUL"),
        ('trainer: {a: {b\\: "\\x00"}}', "has a NUL"),
        ("- 1\n- 2\n", "but holds a sequence"),
        ("words", "but holds a scalar"),
        (GOOD.encode("utf-16"), r"is no UTF-8 text \(invalid start byte at byte 0\)"),
        ("# caf\u00e9".encode("latin-1"), "is no UTF-8 text"),
    ],
)
def test_what_is_refused(write, content, message):
    path = write(content)
    with pytest.raises(Refusal, match=message) as refused:
        find(path)
    assert path in str(refused.value)


@pytest.mark.parametrize("content", ["a: b: c", "\ta: 1", "a: \0", "[" * 5000])
def test_what_the_parser_refuses_is_left_to_it(write, content):
    assert str(find(write(content)))


def test_a_pipe_is_not_emptied():
    """``--config <(envsubst < own.yaml)``."""
    read, write = os.pipe()
    os.write(write, GOOD.encode())
    os.close(write)
    assert find(f"/dev/fd/{read}").read_text() == GOOD
    os.close(read)
