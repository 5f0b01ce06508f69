"""Prompts are drawn until enough groups of a step have something to teach."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_passk.distributed import all_cat, all_sum
from lit_passk.errors import Refusal
from lit_passk.types import PromptBatch, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.data.loader import PromptLoader


class SignalAwareSampling:
    """Samples further prompts of the training task while a step has fewer groups with signal than prompts.

    A group carries signal when, among its completions that could be scored, at least one is right and at least as many
    are wrong as the strategy's ``wrong_needed`` says: k in Pass@k Training, 1 in Pass@1 Training. These are counts of
    right and wrong answers; the spread of the rewards is not looked at, because a group with fewer than k wrong answers
    has some and teaches Pass@k nothing.

    The step trains on the first groups with signal in the order of drawing, as many as its batch has prompts. If the
    rounds end before there are enough, silent groups fill it up, so that losses divide by what they always divide by.
    A round draws as many prompts as should suffice at the share of signal seen in this step, never more than the batch
    has. Further prompts depend on the seed and the step alone: neither resuming nor the number of processes changes
    them. The order of the epoch stays as it is, so a prompt may come twice in an epoch, but never twice in a step.

    What it costs is logged: ``signal/prompts`` and ``signal/completions`` sampled in all, ``signal/share`` of the
    sampled groups that carry signal, ``signal/rounds`` of further prompts, ``signal/surplus`` (groups with signal that
    the step had no room for, thrown away), ``time/further_rollouts`` (seconds of the rounds, part of ``time/rollout``).

    Groups are chosen by their answers, so what is trained on says little about the policy: ``train/reward``,
    ``train/pass@1``, ``train/solved`` and everything else that describes completions are over all sampled groups, the
    thrown away ones included; ``train/signal`` is the share of the trained groups with an advantage other than 0.
    Strategies that compare with the whole batch (``ReinforcePlusPlus``) compare with the chosen groups.

    Args:
        max_rounds: Most rounds of further prompts a step.
    """

    def __init__(self, max_rounds: int = 3) -> None:
        if max_rounds < 1:
            raise Refusal(
                f"`rollout.signal.max_rounds` must be at least 1, but got {max_rounds}. Leave `rollout.signal` out to "
                "sample no further prompts."
            )
        self.max_rounds = max_rounds

    def fill_up(
        self,
        sample: Callable[[PromptBatch], Sequence[ScoredGroup]],
        batch: PromptBatch,
        loader: PromptLoader,
        step: int,
        wrong_needed: int,
    ) -> Drawn:
        """Sample a batch and, while it lacks signal, further prompts; every rank must call this.

        Args:
            sample: Samples this rank's share of a batch and judges it; called equally often on every rank.
            batch: This rank's share of the step's batch.
            loader: Where it is from.
            step: RL step.
            wrong_needed: Wrong answers that a group needs beside a right one.
        """
        mine = list(sample(batch))
        begin = time.perf_counter()
        wanted = int(all_sum(torch.tensor(len(batch.problems)), "the number of prompts"))
        owners = [place % loader.world_size for place in range(wanted)]  # who sampled each group, in order of drawing
        others = loader.others(step, all_cat(torch.tensor(batch.indices, dtype=torch.int64), "prompts").tolist())
        rounds = 0
        while True:
            signal = _signal_of_all(mine, owners, wrong_needed)
            number = prompts_of_round(int(signal.sum()), len(signal), wanted) if rounds < self.max_rounds else 0
            chosen = list(islice(others, number))
            if not chosen:  # enough, or the rounds are used up, or the step has every prompt of the task
                break
            mine += sample(loader.share(chosen))
            owners += [place % loader.world_size for place in range(len(chosen))]
            rounds += 1
        metrics = {
            "signal/prompts": float(len(signal)),
            "signal/completions": float(all_sum(torch.tensor(sum(len(g.texts) for g in mine)), "completions")),
            "signal/share": float(signal.sum()) / max(len(signal), 1),
            "signal/rounds": float(rounds),
            "signal/surplus": max(float(signal.sum()) - wanted, 0.0),
            "time/further_rollouts": time.perf_counter() - begin,
        }
        places = {drawn: place for place, drawn in enumerate(choose(signal, wanted))}
        held = dict(zip([drawn for drawn, owner in enumerate(owners) if owner == loader.rank], mine, strict=True))
        return Drawn(
            groups=[group for drawn, group in held.items() if drawn in places],
            places=torch.tensor([places[drawn] for drawn in held if drawn in places], dtype=torch.int64),
            dropped=[group for drawn, group in held.items() if drawn not in places],
            metrics=metrics,
        )


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """This rank's part of a step that was filled up."""

    groups: Sequence[ScoredGroup]
    """What this rank sampled and the step trains on; some ranks may have many and others none."""
    places: Tensor
    """The place of each of them in the step, int64."""
    dropped: Sequence[ScoredGroup]
    """What this rank sampled and nobody trains on."""
    metrics: dict[str, float]
    """What it cost, over all ranks."""


def carries_signal(group: ScoredGroup, wrong_needed: int) -> bool:
    """Whether a group has a right answer and so many wrong ones; completions without a verdict count as neither."""
    pairs = zip(group.completions, group.scores, strict=True)
    correct = [s.correct for c, s in pairs if s.error is None and len(c.token_ids) > 0]
    return sum(correct) >= 1 and len(correct) - sum(correct) >= wrong_needed


def prompts_of_round(num_signal: int, num_drawn: int, wanted: int) -> int:
    """How many prompts to draw next, so that the share of signal seen so far would do.

    Example:
        >>> prompts_of_round(num_signal=6, num_drawn=8, wanted=8), prompts_of_round(num_signal=0, num_drawn=8, wanted=8)
        (3, 8)

    """
    missing = max(wanted - num_signal, 0)
    return min(wanted, -(-missing * num_drawn // max(num_signal, 1)))


def choose(signal: Tensor, wanted: int) -> list[int]:
    """Choose the first groups with signal, then the first without, until there are enough.

    Args:
        signal: Whether each group carries signal, in the order of drawing, shape ``(D,)``, bool.
        wanted: Groups a step.

    Returns:
        Their places in the order of drawing, ascending.

    Example:
        >>> choose(torch.tensor([False, True, False, True, True]), 2), choose(torch.tensor([False, False, True]), 2)
        ([1, 3], [0, 2])

    """
    ranked = torch.argsort(~signal, stable=True)
    return ranked[:wanted].sort().values.tolist()


def _signal_of_all(mine: Sequence[ScoredGroup], owners: Sequence[int], wrong_needed: int) -> Tensor:
    """Whether each group of every rank carries signal, in the order of drawing, shape ``(D,)``, bool."""
    flags = all_cat(torch.tensor([carries_signal(g, wrong_needed) for g in mine], dtype=torch.int64), "signal")
    by_rank = torch.argsort(torch.tensor(owners, dtype=torch.int64), stable=True)
    signal = torch.zeros(len(owners), dtype=torch.bool)
    signal[by_rank] = flags.bool()
    return signal
