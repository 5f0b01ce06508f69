"""``lit-passk contamination``: do problems of a benchmark occur in a training set?

    lit-passk contamination --config gsm8k_1gpu --config benchmarks/math_suite
    lit-passk contamination TRAIN.jsonl BENCHMARK.jsonl

With configurations, ``data.train`` is compared with every task of ``data.val``; with two files, their questions are.
The exit status is 1 where something was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from lit_passk.commands.quiet import quieten
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.data.contamination import Overlap, find_overlaps, prompts_of
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.tasks.base import Task
from lit_passk.tasks.chats import read_prompt
from lit_passk.tasks.files import load_records
from lit_passk.tasks.pairs import with_prompt
from lit_passk.types import Problem

_QUESTIONS = (
    "problem", "question", "Question", "question_content", "description", "text", "prompt", "input", "query",
    "instruction",
)  # fmt: skip


class TasksCLI(LitPassKCLI):
    """Reads the options of ``fit`` and builds nothing of them."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add how to compare."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--n", type=int, default=13, help="Words of a run that counts as shared.")
        parser.add_argument("--shown", type=int, default=10, help="Overlaps of a benchmark that are spelled out.")

    def instantiate_classes(self) -> None:
        """Skip: neither model nor engine is needed."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Skip."""


def main(args: Sequence[str]) -> int:
    """Compare, and print what was found.

    Returns:
        0 where nothing overlaps, else 1.

    Raises:
        Refusal: If there is nothing to compare.
    """
    quieten()
    if not args or args[0] in ("-h", "--help") or not args[0].startswith("-"):
        options = _parser().parse_args(args)
        train = _questions(options.train)
        found = [_report(options.train, train, options.val, _questions(options.val), options.n, options.shown)]
    else:
        found = _of_configuration(args)
    return int(any(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lit-passk contamination", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", help="rows that are trained on (.jsonl, .parquet or a folder)")
    parser.add_argument("val", help="rows of the benchmark")
    parser.add_argument("--n", type=int, default=13, help="words of a run that counts as shared; default 13")
    parser.add_argument("--shown", type=int, default=10, help="overlaps that are spelled out; default 10")
    return parser


def _of_configuration(args: Sequence[str]) -> list[bool]:
    cli = TasksCLI(
        PassKRLModule,
        PromptDataModule,
        seed_everything_default=0,
        save_config_callback=None,
        parser_kwargs={"prog": "lit-passk contamination"},
        args=["fit", "--model.policy", "none", *args],  # tasks know nothing of policies
    )
    config = cli.config.fit
    given = {"train": config.data.train, "val": config.data.val}
    if missing := [f"`data.{name}`" for name, value in given.items() if not value]:
        raise Refusal(f"{missing[0]} is not set: give a configuration of a training and one of a benchmark.")
    parser = ArgumentParser()
    parser.add_argument("--train", type=Task)
    parser.add_argument("--val", type=dict[str, Task])
    tasks = parser.instantiate_classes(parser.parse_object(given))
    prompts = prompts_of(tasks.train)
    val: Mapping[str, Task] = tasks.val
    return [
        _report("data.train", prompts, name, prompts_of(task), config.n, config.shown) for name, task in val.items()
    ]


def _questions(path: str) -> list[str]:
    """The questions of a file, whatever its columns are called."""
    records = [with_prompt(record, _QUESTIONS) for record in load_records(path)]
    return [Problem(id="", prompt=read_prompt(record, _QUESTIONS), answer="").text for record in records]


def _report(train_name: str, train: Sequence[str], name: str, val: Sequence[str], n: int, shown: int) -> bool:
    overlaps = find_overlaps(train, val, n)
    whole = sum(overlap.identical for overlap in overlaps)
    print(
        f"{name}: {len(overlaps)} of {len(val)} problems occur in the {len(train)} of {train_name} "
        f"({whole} whole, {len(overlaps) - whole} in part)"
    )
    for overlap in sorted(overlaps, key=lambda overlap: -overlap.share)[:shown]:
        print(f"  {_line(overlap, train_name, name)}")
    if len(overlaps) > shown:
        print(f"  and {len(overlaps) - shown} more")
    return bool(overlaps)


def _line(overlap: Overlap, train_name: str, name: str) -> str:
    how = "the same text" if overlap.identical else f"{100 * overlap.share:.0f} % of its runs of words"
    return f"{name} [{overlap.val_index}], {train_name} [{overlap.train_index}]: {how}, such as {overlap.example!r}"
