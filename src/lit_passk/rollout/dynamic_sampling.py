"""Dynamic sampling: draw extra prompts until a step has enough groups with a non-zero advantage."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from lit_passk.distributed import all_cat, all_sum
from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.source import RolloutSource
from lit_passk.rollout.step import Step
from lit_passk.types import PromptBatch, RolloutBatch, ScoredGroup

LOGGED = (
    Logged(
        "dynamic_sampling/prompts dynamic_sampling/completions",
        means="Prompts and completions that `DynamicSampling` sampled for the step, all rounds together.",
        healthy="At most two or three times `data.prompts_per_step`.",
        otherwise="More: most of the sampling teaches nothing. Change k, the group size or the prompts "
        "(`data.sampler`).",
    ),
    Logged(
        "dynamic_sampling/share",
        means="Share of the sampled groups that have an advantage.",
        healthy="Above 0.3.",
        otherwise="As for `dynamic_sampling/prompts`.",
    ),
    Logged(
        "dynamic_sampling/rounds",
        means="Rounds of further prompts.",
        healthy="0 or 1.",
        otherwise="`max_rounds` in every step: the step is filled up with groups that teach nothing.",
    ),
    Logged(
        "dynamic_sampling/surplus",
        means="Groups with an advantage that the step had no room for.",
        healthy="A few.",
    ),
    Logged(
        "time/further_rollouts",
        means="Seconds of the rounds of further prompts, part of `time/rollout`.",
        healthy="Below half of `time/rollout`.",
    ),
)


class DynamicSampling(RolloutSource):
    """Samples further prompts of the training task while a step has fewer groups with an advantage than prompts.

    A group has an advantage when the strategy gives one of its completions an advantage other than 0; the strategy
    itself is asked, of each group alone. So Pass@k Training wants a correct and k wrong completions among those that
    could be scored, whatever the rewards; strategies that look at rewards (``GRPO``, ``MaxAtK``) want rewards that
    differ, which all-wrong groups may have where rewards are graded or shaped.

    The step trains on the first groups with an advantage in the order of drawing, as many as its batch has prompts. If
    the rounds end before there are enough, other groups fill it up, so that losses divide by what they always divide
    by. A round draws as many prompts as should suffice at the share seen in this step, never more than the batch has.
    Further prompts depend on the seed and the step alone: neither resuming nor the number of processes changes them.
    The order of the epoch stays as it is, so a prompt may come twice in an epoch, but never twice in a step.

    What it costs is logged under ``dynamic_sampling/``: ``prompts`` and ``completions`` sampled in all, ``share`` of
    the sampled groups that have an advantage, ``rounds`` of further prompts, ``surplus`` (groups with an advantage that
    the step had no room for); and ``time/further_rollouts`` (seconds of the rounds, part of ``time/rollout``).

    Groups are chosen by their answers, so the trained ones are a biased sample of the policy's completions:
    ``train/reward``, ``train/pass@1``, ``train/solved`` and everything else that describes completions are over all
    sampled groups; ``train/with_advantage`` is the share of the trained groups with an advantage other than 0.
    Strategies that compare with the whole batch (``ReinforcePlusPlus``) compare with the chosen groups.

    Args:
        max_rounds: Most rounds of further prompts per step.
    """

    def __init__(self, max_rounds: int = 3) -> None:
        if max_rounds < 1:
            raise Refusal(
                f"`DynamicSampling` needs max_rounds of at least 1, but got {max_rounds}. Leave `rollout.source` out "
                "to sample no further prompts."
            )
        self.max_rounds = max_rounds

    def rollouts(self, step: Step, sampler: Sampler) -> RolloutBatch:
        """Sample the step's batch and, while it has too few groups with an advantage, further prompts."""
        batch, loader = step.batch, step.loader

        def sample(prompts: PromptBatch) -> list[ScoredGroup]:
            return sampler.sample(prompts, step.sampling, step.seeds(prompts), version=step.number)

        mine = sample(batch)
        order = list(batch.positions)  # of each of my groups, its position in the order of drawing over all ranks
        begin = time.perf_counter()
        wanted = int(all_sum(torch.tensor(len(batch.problems)), "the number of prompts"))
        used = all_cat(torch.tensor(batch.indices, dtype=torch.int64), "prompts").tolist()
        extra = loader.draw_extra(step.number, used)
        rounds = 0
        while True:
            with_advantage = _have_advantage(mine, order, step.has_advantage)  # (D,)
            drawn, found = len(with_advantage), int(with_advantage.sum())
            more_prompts = prompts_of_round(found, drawn, wanted) if rounds < self.max_rounds else 0
            chosen = list(islice(extra, more_prompts))
            if not chosen:  # enough, or the rounds are used up, or the step has every prompt of the task
                break
            more = loader.shard(chosen)
            mine += sample(more)
            order += [drawn + position for position in more.positions]
            rounds += 1
        metrics = {
            "prompts": float(drawn),
            "completions": float(all_sum(torch.tensor(sum(len(g.texts) for g in mine)), "completions")),
            "share": found / max(drawn, 1),
            "rounds": float(rounds),
            "surplus": max(float(found - wanted), 0.0),
        }
        seconds = time.perf_counter() - begin
        positions = {number: position for position, number in enumerate(choose(with_advantage, wanted))}
        return collate_rollouts(
            [group for group, number in zip(mine, order, strict=True) if number in positions],
            step.sampling,
            version=step.number,
            positions=[positions[number] for number in order if number in positions],
            not_trained=[group for group, number in zip(mine, order, strict=True) if number not in positions],
            full_precision=sampler.full_precision,
            metrics={f"dynamic_sampling/{name}": value for name, value in metrics.items()}
            | {"time/further_rollouts": seconds},
        )


def prompts_of_round(found: int, drawn: int, wanted: int) -> int:
    """How many prompts to draw next, so that the share of groups with an advantage seen so far would do.

    Example:
        >>> prompts_of_round(found=6, drawn=8, wanted=8), prompts_of_round(found=0, drawn=8, wanted=8)
        (3, 8)

    """
    missing = max(wanted - found, 0)
    return min(wanted, -(-missing * drawn // max(found, 1)))


def choose(with_advantage: Tensor, wanted: int) -> list[int]:
    """Choose the first groups with an advantage, then the first without, until there are enough.

    Args:
        with_advantage: Whether each group has an advantage, in the order of drawing, shape ``(D,)``, bool.
        wanted: Groups per step.

    Returns:
        Their positions in the order of drawing, ascending.

    Example:
        >>> choose(torch.tensor([False, True, False, True, True]), 2), choose(torch.tensor([False, False, True]), 2)
        ([1, 3], [0, 2])

    """
    ranked = torch.argsort(~with_advantage, stable=True)
    return ranked[:wanted].sort().values.tolist()


def _have_advantage(mine: list[ScoredGroup], order: list[int], has_advantage: Callable[[ScoredGroup], bool]) -> Tensor:
    """Whether each group of every rank has an advantage, in the order of drawing, shape ``(D,)``, bool."""
    flags = all_cat(torch.tensor([has_advantage(g) for g in mine], dtype=torch.int64), "groups")  # (D,)
    numbers = all_cat(torch.tensor(order, dtype=torch.int64), "positions of groups")  # (D,), a permutation
    with_advantage = torch.zeros(len(numbers), dtype=torch.bool)
    with_advantage[numbers] = flags.bool()
    return with_advantage
