"""What was measured: pass@k of every problem, by training and seed."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import pass_at_k
from reproduction.domain import Claim
from reproduction.jobs import Settings, key, read
from reproduction.statistics import place

PASS_AT = re.compile(r"pass@(?P<k>\d+)(?: on (?P<size>\d+)x(?P=size))?")


class Measurements:
    """The measurements of a domain that were made with the settings at hand; others in the file are left alone.

    Args:
        settings: Of which domain, how long a training, and where the data is.
    """

    def __init__(self, settings: Settings) -> None:
        self.domain = settings.domain
        self.settings = settings
        self.rows: dict[tuple[str, int, int], dict] = {
            (row["arm"], row["seed"], row["step"]): row
            for row in read(settings.data)
            if row["arm"] in self.domain.arms and row["key"] == key(row["arm"], settings)
        }

    def seeds(self, *arms: str) -> list[int]:
        """The seeds with which all of these arms were trained to their end."""
        own = [{seed for name, seed, step in self.rows if (name, step) == (arm, self.end(arm))} for arm in arms]
        return sorted(set.intersection(*own))

    def end(self, arm: str) -> int:
        """The step at which an arm is compared."""
        return self.settings.step(self.domain.last_part(arm))

    def values(self, arm: str, metric: str, seeds: list[int]) -> Tensor:
        """A metric at the arm's end: shape ``(S, P)`` over seeds and problems, ``(S, 1)`` where it has no problems."""
        return torch.stack([self.value(arm, metric, seed, self.end(arm)) for seed in seeds])

    def value(self, arm: str, metric: str, seed: int, step: int) -> Tensor:
        """A metric of one measurement: shape ``(P,)``, or ``(1,)`` where it has no problems; float64."""
        row = self.rows[arm, seed, step]
        match = PASS_AT.fullmatch(metric)
        if match is None:
            return torch.tensor([row.get(metric, float("nan"))], dtype=torch.float64)
        found = pass_at_k(torch.tensor(row["correct"]), row["samples"], int(match["k"]))  # (P,)
        return found if match["size"] is None else found[torch.tensor(row["sizes"]) == int(match["size"])]

    def difference(self, arm: str, baseline: str, metric: str) -> Tensor:
        """The arm minus the baseline: shape ``(S, P)`` over the seeds that both have (S may be 0)."""
        seeds = self.seeds(arm, baseline)
        return self.values(arm, metric, seeds) - self.values(baseline, metric, seeds) if seeds else torch.empty(0, 1)

    def at_equal_pass1(self, arm: str, baseline: str, metric: str) -> Tensor:
        """The same against the baseline where its pass@1 was that of the arm, for seeds where it ever was.

        The baseline's training is a line through its measurements; between two of them it is taken as straight.
        """
        found = []
        for seed in self.seeds(arm, baseline):
            steps = sorted(step for name, other, step in self.rows if (name, other) == (baseline, seed))
            path = [float(self.value(baseline, "pass@1", seed, step).mean()) for step in steps]
            there = place(path, float(self.value(arm, "pass@1", seed, self.end(arm)).mean()))
            if there is not None:
                i, share = there
                before, after = (self.value(baseline, metric, seed, steps[i + j]) for j in (0, 1))
                found.append(self.value(arm, metric, seed, self.end(arm)) - before - share * (after - before))
        return torch.stack(found) if found else torch.empty(0, 1)

    def tested(self, claim: Claim) -> Tensor:
        """The differences that a claim is about, shape ``(S, P)``."""
        compare = self.at_equal_pass1 if claim.at_equal_pass1 else self.difference
        return compare(claim.arm, claim.baseline, claim.metric)
