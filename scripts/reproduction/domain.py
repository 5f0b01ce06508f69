"""What an experiment is made of: trainings (arms) of a domain, a question, and the claims it puts to the test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Arm:
    """One training, from the cold start of its seed."""

    label: str
    options: tuple[str, ...] = ()
    """Options of ``lit-passk fit`` that differ from the domain's configuration."""
    cold_start: str = "plain"
    """Which cold start: a key of ``Domain.cold_starts``."""
    parts: tuple[int, ...] = ()
    """After which parts of the training its checkpoint is measured; none: at the end. Part 0 is the cold start."""
    tokens_a_step: int | None = None
    """Ends by sampled completion tokens instead of steps: this many times the domain's steps."""


@dataclass(frozen=True)
class Claim:
    """That ``arm`` is ahead of ``baseline`` by more than ``above``; fixed before anything was measured."""

    says: str
    arm: str
    baseline: str
    metric: str
    above: float = 0.0
    at_equal_pass1: bool = False
    """Compares with the baseline's training where its pass@1 was that of the arm at its end."""
    source: str = "the paper"


@dataclass(frozen=True)
class Experiment:
    """A question, the trainings that answer it, and which of them the others are compared with."""

    title: str
    question: str
    baseline: str
    arms: tuple[str, ...]
    claims: tuple[Claim, ...] = ()
    metrics: tuple[str, ...] = ("pass@1", "pass@8", "pass@64", "entropy", "different")
    seeds: int = 5
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """A task, how a policy for it is made, and the experiments with it."""

    name: str
    title: str
    introduction: str
    task: str
    """The name in ``data.val``."""
    configuration: str
    test: str
    """Laid over ``configuration``: the problems to be judged on."""
    cold_starts: Mapping[str, tuple[str, ...]]
    """Options of the cold start's command, by name."""
    arms: Mapping[str, Arm]
    experiments: Mapping[str, Experiment]
    steps: int
    num_parts: int
    """Parts of equal size of a training; a checkpoint follows each."""
    sft: str | None = None
    """Configuration of ``lit-passk sft``, which makes a cold start for every seed; else ``prepare``."""
    prepare: str | None = None
    """The script that writes the one policy that all seeds begin with."""
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further options of the measurement, by cold start."""
    first_seed: int = 0
    """The first of which nothing was known before."""

    def last_part(self, arm: str) -> int:
        """The part at whose end an arm is compared with others."""
        return self.parts(arm)[-1]

    def parts(self, arm: str) -> tuple[int, ...]:
        """After which parts of its training an arm is measured."""
        return self.arms[arm].parts or (self.num_parts,)


def strategy(name: str, **arguments: object) -> tuple[str, ...]:
    """Return the options that choose an advantage strategy, with nothing of the configuration's carried over."""
    return ("--model.advantage", json.dumps(nested(name, **arguments)))


def nested(name: str, **arguments: object) -> dict[str, object]:
    """Return a strategy as an argument of another one."""
    return {"class_path": name, "init_args": arguments}
