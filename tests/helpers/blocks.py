"""Code blocks of the documentation, and what checks one: the real command line, imports made, files that exist."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonargparse
import lightning as L
import pytest
import yaml
from lightning.pytorch.cli import LightningCLI

from lit_passk import cli
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.modules import PassKRLModule

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", flags=re.M | re.S)
OTHER_PROGRAMS = {"cd", "curl", "docker", "export", "git", "hf", "jupyter", "ls", "mkdir", "pip", "pytest", "python"}
OTHER_PROGRAMS |= {"jq", "sbatch", "sky", "source", "tail", "tensorboard", "trackio", "vllm", "wandb", "xdg-open"}
OTHER_PROGRAMS |= {"coverage", "pre-commit", "zcat"}
NOT_INSTALLED = {"trl", "verl", "datasets"}
PARTS = {"model": PassKRLModule, "rollout": RolloutCallback, "data": PromptDataModule, "trainer": L.Trainer}


class Parsed(BaseException):
    """A command line was understood: nothing of it shall run."""


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in a language, without their indentation."""
    found = [(match[1], match[2], match[3]) for match in FENCE.finditer(text)]
    return [re.sub(f"^{indent}", "", code, flags=re.M) for indent, name, code in found if name == language]


def files_of(text: str) -> dict[str, str]:
    """Blocks that are files: their first line names them, as ``# my_project/mercy.py``."""
    every = [block for language in ("python", "yaml", "bash") for block in blocks(text, language)]
    named = [(re.match(r"# ([\w./-]+\.(?:py|yaml|sh))\n", block), block) for block in every]
    return {match[1]: block for match, block in named if match is not None}


_PARSERS: dict[tuple[str, ...], dict[str, Any]] = {}
"""What ``LightningCLI.setup_parser`` made, by class and subcommands: it takes most of a start."""


def only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a command line ends with ``Parsed`` once it is understood; parsers are built once."""
    set_up = LightningCLI.setup_parser

    def setup_parser(self, add_subcommands, *args, **kwargs):
        key = (type(self).__name__, *(self.subcommands() if add_subcommands else ()))
        if key not in _PARSERS:
            set_up(self, add_subcommands, *args, **kwargs)
            _PARSERS[key] = {n: v for n, v in vars(self).items() if n == "parser" or n.startswith("_subcommand")}
        vars(self).update(_PARSERS[key])

    def stop_after(parse_args):
        def parse(self, *args, **kwargs):
            parse_args(self, *args, **kwargs)
            raise Parsed

        return parse

    monkeypatch.setattr(LightningCLI, "setup_parser", setup_parser)
    for parser in (argparse.ArgumentParser, jsonargparse.ArgumentParser):
        monkeypatch.setattr(parser, "parse_args", stop_after(parser.parse_args))


def check_command(words: list[str]) -> None:
    """Let the command line of this project understand a command."""
    try:
        cli.main(words)
    except Parsed:
        return
    except SystemExit as end:
        raise AssertionError(f"refused: {shlex.join(words)}") from end
    raise AssertionError(f"nothing was parsed: {shlex.join(words)}")


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a shell script, without their redirections and the variables set for them alone."""
    text = re.sub(r"(^|\s)#.*$", r"\1", script.replace("\\\n", " "), flags=re.M)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    command: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("|&;<>\n"):
            command.append(word)
            continue
        while command and re.match(r"[A-Z_]+=", command[0]):
            command.pop(0)
        if command:
            yield command
        command = ["redirected"] if set(word) & set("<>") else []


def check_shell(block: str) -> None:
    """Every ``lit-passk`` line is understood, every script exists, and no program is unknown."""
    for command in commands(block):
        if command[:2] == ["git", "checkout"]:
            return  # what follows is of another version
        if "lit-passk" in command[:2] or "lit_passk.cli" in command:
            name = "lit-passk" if "lit-passk" in command else "lit_passk.cli"
            words = command[command.index(name) + 1 :]
            if words != ["--version"] and "--help" not in words:
                check_command(words)
        elif command[0] in ("bash", "python") and len(command) > 1 and command[1].endswith((".py", ".sh")):
            assert Path(command[1]).exists() or (ROOT / command[1]).exists(), command[1]
        else:
            assert command[0] in OTHER_PROGRAMS | {"redirected"} or command[0].startswith("."), command


def check_yaml(block: str, path: Path) -> None:
    """A configuration, or a part of one, is what ``lit-passk fit`` reads."""
    written = yaml.safe_load(block)
    if not written.keys() & (PARTS.keys() | {"checkpoint", "completions_table", "seed_everything"}):
        (part,) = [name for name, cls in PARTS.items() if written.keys() <= inspect.signature(cls).parameters.keys()]
        written = {part: written}
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    policy = [] if "policy" in (written.get("model") or {}) else ["--model.policy", "x"]
    check_command(["fit", "--config", str(path), *policy])


def check_python(block: str) -> None:
    """It compiles, and what it imports can be imported."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in NOT_INSTALLED:
                    importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in NOT_INSTALLED:
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], node.module
