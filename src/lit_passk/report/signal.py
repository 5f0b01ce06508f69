"""How much a set of problems can teach Pass@k Training, by k and group size, and what that suggests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.signal import Beta, expected_over_groups, fit_prior, gradient_weight
from lit_passk.report.tables import Table

RATES = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
"""Bounds of the ranges of pass rates that are told apart."""
ENOUGH_WEIGHT = 0.9
"""Share of the best gradient weight per completion that the suggested group size brings."""
ENOUGH_GROUPS = 0.75
"""Share of the groups that Pass@1 training learns from to which the suggested k leaves an advantage."""
K_PER_GROUP = 4
"""The suggested group size is at least so many times k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What training by k and G would get out of a group, on average over the problems."""

    k: int
    group_size: int
    unsolved: float
    """Chance of no correct completion: no advantage, whatever k."""
    too_easy: float
    """Chance of a correct one but fewer than k wrong ones: no advantage either."""
    weight: float
    """Expected sum of the advantages' sizes in a group; see ``gradient_weight``."""

    @property
    def dead(self) -> float:
        """Share of groups without an advantage."""
        return self.unsolved + self.too_easy

    @property
    def weight_per_completion(self) -> float:
        """What a sampled completion brings."""
        return self.weight / self.group_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """Counts of correct completions of P problems, and what they say."""

    name: str
    num_correct: Tensor
    """Shape ``(P,)``, int64."""
    num_samples: Tensor
    """Scored completions, at least 1, shape ``(P,)``, int64."""
    prior: Beta
    """Fitted to the counts."""
    candidates: Sequence[Candidate]
    """By group size, then k."""

    def mean(self, values: Tensor) -> float:
        """The mean over problems and their groups of what c correct completions are worth, shape ``(G + 1,)``."""
        return float(expected_over_groups(values, self.num_correct, self.num_samples, self.prior).mean())

    def rates(self) -> list[tuple[float, float, float, float]]:
        """For each range of pass rates its bounds, the share measured in it, and that of the posterior."""
        measured = self.num_correct.double() / self.num_samples  # (P,)
        masses = [high - low for low, high in pairwise([0.0, *self._posterior_below(RATES[1:-1]), 1.0])]
        return [
            (low, high, float(((measured >= low) & ((measured < high) | (high == 1))).double().mean()), mass)
            for (low, high), mass in zip(pairwise(RATES), masses, strict=True)
        ]

    def _posterior_below(self, bounds: Sequence[float]) -> list[float]:
        """Share of the pass rates below each bound, by the mean of the problems' posteriors."""
        from mpmath import betainc

        stacked = torch.stack([self.num_correct, self.num_samples], dim=1)  # (P, 2)
        pairs, counts = stacked.unique(dim=0, return_counts=True)  # (U, 2), (U,)
        total = [0.0] * len(bounds)
        for (correct, samples), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            a, b = correct + self.prior.a, samples - correct + self.prior.b
            for i, bound in enumerate(bounds):
                total[i] += count * float(betainc(a, b, 0, bound, regularized=True)) / len(stacked)
        return total


def measure(
    name: str, num_correct: Tensor, num_samples: Tensor, ks: Sequence[int], group_sizes: Sequence[int]
) -> Signal:
    """Take the measure of some problems.

    Args:
        name: What to call them.
        num_correct: Correct completions of each, shape ``(P,)``, int64.
        num_samples: Scored completions of each, at least 1, shape ``(P,)``, int64.
        ks: Candidates for k.
        group_sizes: Candidates for G; pairs with k >= G are left out, where there is never an advantage.

    Raises:
        ValueError: If there is no problem, or no pair of candidates.
    """
    if len(num_correct) == 0:
        raise Refusal(f"{name}: no problem has a completion that could be scored.")
    pairs = [(size, k) for size in sorted(set(group_sizes)) for k in sorted(set(ks)) if 1 <= k < size]
    if min([*ks, *group_sizes]) < 1:
        raise Refusal(f"k and group sizes need to be at least 1, but got {list(ks)} and {list(group_sizes)}.")
    if not pairs:
        raise Refusal(f"No k of {sorted(set(ks))} is below a group size of {sorted(set(group_sizes))}.")
    signal = Signal(
        name=name,
        num_correct=num_correct,
        num_samples=num_samples,
        prior=fit_prior(num_correct, num_samples),
        candidates=(),
    )
    candidates = []
    for size, k in pairs:
        correct = torch.arange(size + 1)  # (G + 1,)
        candidates.append(
            Candidate(
                k=k,
                group_size=size,
                unsolved=signal.mean((correct == 0).double()),
                too_easy=signal.mean(((correct > 0) & (size - correct < k)).double()),
                weight=signal.mean(gradient_weight(size, k)),
            )
        )
    return replace(signal, candidates=candidates)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A pair of k and G, what to sample for it, and why."""

    candidate: Candidate
    num_prompts: int
    """Prompts to sample for so many groups with an advantage."""
    reasons: Sequence[str]


def suggest(signal: Signal, num_groups: int) -> Suggestion | None:
    """Choose k and G by a rule of thumb, which it tells; None when no group would have an advantage.

    None, too, when all completions are wrong, or all correct: how often others would differ is then not to be known.

    First the smallest G that brings a completion at least 90 % of the gradient weight that the best G brings it, in
    Pass@1 training: beyond it a larger group adds little but cost. Then the largest k of at most a quarter of G (the
    paper's runs have k of 4 and 8 with G of 32) that leaves at least 75 % of the groups an advantage that have one in
    Pass@1 training: beyond it Pass@k Training is silent on most of what the policy solves now and then.

    Args:
        signal: The measure of the problems.
        num_groups: Groups with an advantage wanted in a step.
    """
    if num_groups < 1:
        raise Refusal(f"A step needs at least 1 group with an advantage, but {num_groups} are wanted.")
    if not 0 < signal.num_correct.sum() < signal.num_samples.sum():
        return None
    sizes = sorted({c.group_size for c in signal.candidates})
    brings = {size: signal.mean(gradient_weight(size, 1)) / size for size in sizes}
    most = max(brings.values())
    size = next(size for size in sizes if brings[size] >= ENOUGH_WEIGHT * most)
    pass_at_1 = signal.mean((gradient_weight(size, 1) > 0).double())
    of_size = [c for c in signal.candidates if c.group_size == size]
    fits = [c for c in of_size if c.k * K_PER_GROUP <= size and 1 - c.dead >= ENOUGH_GROUPS * pass_at_1]
    best = max(fits, default=of_size[0], key=lambda c: c.k)
    if best.dead >= 1:
        return None
    num_prompts = math.ceil(num_groups / (1 - best.dead))
    return Suggestion(
        candidate=best,
        num_prompts=num_prompts,
        reasons=[
            f"G = {size}: in Pass@1 training a completion brings {brings[size]:.3f} of gradient weight there, "
            f"{most:.3f} at the best G looked at; the smallest with at least {100 * ENOUGH_WEIGHT:.0f} % of that.",
            f"k = {best.k}: {100 * (1 - best.dead) / pass_at_1:.0f} % of the groups that Pass@1 training learns from "
            f"keep an advantage; the largest of at most G / {K_PER_GROUP} that keeps {100 * ENOUGH_GROUPS:.0f} %"
            + ("." if best in fits else ", had there been one: the smallest."),
            f"{num_prompts} prompts x {size} = {num_prompts * size} completions a step: {100 * best.dead:.0f} % of the "
            f"groups would have no advantage ({100 * best.unsolved:.0f} % unsolved, {100 * best.too_easy:.0f} % with "
            f"fewer than k wrong), and {num_groups} with one are wanted. DynamicSampling draws until it has them.",
        ],
    )


def rates_table(signal: Signal) -> Table:
    """How often problems are solved, in percent of the problems."""
    ranges = [f"{low:g} to {high:g}" for low, high in pairwise(RATES)]
    shares = [[f"{100 * share:.1f}", f"{100 * mass:.1f}"] for _, _, share, mass in signal.rates()]
    return [["pass rate", "measured", "posterior"], *([r, *row] for r, row in zip(ranges, shares, strict=True))]


def candidates_table(signal: Signal) -> Table:
    """One row for every pair of k and G."""
    return [
        ["G", "k", "no advantage", "unsolved", "fewer than k wrong", "weight of a group", "per completion"],
        *(
            [
                str(c.group_size) + ("*" if int(signal.num_samples.min()) < c.group_size else ""),
                str(c.k),
                f"{100 * c.dead:.1f}%",
                f"{100 * c.unsolved:.1f}%",
                f"{100 * c.too_easy:.1f}%",
                f"{c.weight:.3f}",
                f"{c.weight_per_completion:.4f}",
            ]
            for c in signal.candidates
        ),
    ]
