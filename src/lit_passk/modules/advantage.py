"""From rewards to advantages over whole steps: buckets of equal group size, statistics over all ranks."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.base import leaves
from lit_passk.advantages.buckets import buckets, no_size_warnings, usable
from lit_passk.advantages.trial import trial_context
from lit_passk.distributed import all_cat, all_sum
from lit_passk.errors import Refusal
from lit_passk.functional.answers import number_answers
from lit_passk.modules.training_batch import num_trained
from lit_passk.rollout.collate import collate_rollouts, scored
from lit_passk.types import BatchStats, GroupContext, RolloutBatch, ScoredGroup


def compute_advantages(
    strategy: AdvantageStrategy, rollouts: RolloutBatch, step: int = 0, max_steps: int = -1
) -> Tensor:
    """Apply a strategy to every group of a step.

    Groups are handed over in buckets of equal size, because completions that could not be scored are missing: a
    strategy never sees a hole. A group that shrank below what the strategy can use gets advantage 0. Every rank must
    call this.

    Args:
        strategy: The advantage strategy.
        rollouts: This rank's completions.
        step: RL step, from 0.
        max_steps: RL steps of the run, -1 when unknown.

    Returns:
        One advantage per completion, shape ``(N,)``, float32. Where the strategy returned NaN or infinity they are as
        it returned them: the update that they make impossible is skipped.
    """
    return _apply(strategy, rollouts, step, max_steps, whole_step=True)


def has_advantage(strategy: AdvantageStrategy, group: ScoredGroup, step: int = 0, max_steps: int = -1) -> bool:
    """Whether a strategy gives any completion of a group an advantage other than 0.

    The strategy itself is asked, whatever it looks at: with a group of its own and before the step's batch is known. Of
    the whole step it is told that rewards are as in this group and that other prompts have no entropy. A copy is asked:
    a strategy may remember what it saw.

    Args:
        strategy: The advantage strategy.
        group: One group, unscored completions included; they are left out.
        step: RL step, from 0.
        max_steps: RL steps of the run, -1 when unknown.
    """
    return bool(_apply(deepcopy(strategy), collate_rollouts([group]), step, max_steps, whole_step=False).any())


def _apply(strategy: AdvantageStrategy, rollouts: RolloutBatch, step: int, max_steps: int, whole_step: bool) -> Tensor:
    """Advantages of shape ``(N,)``; statistics are of the whole step over all ranks, or of these rollouts."""
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids], dtype=torch.int64)  # (N,)
    sums = torch.zeros(len(lengths), dtype=torch.float64)  # (N,) over the tokens that the policy sampled
    if len(lengths):
        owner = torch.repeat_interleave(lengths)  # (T,) which completion each token of the step belongs to
        logprobs = torch.cat(rollouts.rollout_logprobs).double()  # (T,)
        sums.index_add_(0, owner, logprobs.where(torch.cat(rollouts.trained), 0.0))
    means = sums / num_trained(rollouts).clamp(min=1)  # (N,) per trained token
    stats = _step_stats(rollouts, -means) if whole_step else _own_stats(rollouts.rewards)
    answers = _answers(rollouts)  # (N,)
    advantages = torch.zeros(len(lengths), dtype=torch.float32)  # (N,)
    for groups, rows in buckets(rollouts.prompt_index):  # (P of one size,), (P of one size, G)
        if not usable(strategy, rows.shape[1]):
            continue
        context = GroupContext(
            problem_ids=rollouts.indices[groups],
            correct=rollouts.correct[rows],
            entropy=-means[rows].float(),
            logprob_sum=sums[rows].float(),
            logprob_mean=means[rows].float(),
            num_tokens=lengths[rows],
            truncated=rollouts.truncated[rows],
            answers=None if answers is None else answers[rows],
            step=step,
            max_steps=max_steps,
            batch=stats,
        )
        with no_size_warnings():
            result = strategy(rollouts.rewards[rows], context)  # (P of this bucket, G)
        if result.shape != rows.shape:
            raise Refusal(
                f"{type(strategy).__name__} must return advantages of shape {tuple(rows.shape)}, one for each reward, "
                f"but returned {tuple(result.shape)}."
            )
        advantages[rows.flatten()] = result.float().flatten()
    return advantages


def check_learns(strategy: AdvantageStrategy, group_size: int) -> None:
    """Refuse groups too small for any completion ever to get an advantage: the policy would never change.

    Raises:
        Refusal: Naming the strategy; of one that hands over to others, those are looked at.
    """
    for part in leaves(strategy):
        if _ever_differs(part, group_size):
            continue
        enough = [size for size in range(group_size + 1, 2 * group_size + 1) if _ever_differs(part, size)]
        if enough:
            raise Refusal(
                f"{type(part).__name__} gives no advantage to any completion of a group of `rollout.group_size` = "
                f"{group_size}, whichever are correct: the policy would never change. Raise it to {enough[0]} or more."
            )


def warn_of_unused_rewards(strategy: AdvantageStrategy, group_size: int) -> None:
    """Say so where a strategy looks at nothing but which completions are correct, although rewards were composed."""
    for part in leaves(strategy):
        of_correct, of_different = _probe(part, group_size)
        if torch.equal(of_correct, of_different):
            rank_zero_warn(
                f"{type(part).__name__} does not look at what a completion is paid: `data.rewards` are logged, and "
                "change nothing that it trains. `MaxAtK` is Pass@k Training by rewards."
            )


def _ever_differs(strategy: AdvantageStrategy, size: int) -> bool:
    """Whether some completion gets an advantage in groups of ``size``: of 0 to all correct, or of different rewards."""
    return any(bool(advantages.any()) for advantages in _probe(strategy, size))


def _probe(strategy: AdvantageStrategy, size: int) -> Iterator[Tensor]:
    """Advantages in groups of 0 to all correct: paid for being correct, and paid differently; ``(size + 1, size)``.

    One after the other: a strategy may refuse rewards that are not 0 or 1, and who pays no others need not ask.
    """
    correct = torch.ones(size + 1, size).tril(-1).bool()  # (size + 1, size)
    entropy = torch.arange(size + 1, dtype=torch.float32)  # (size + 1,)
    context = trial_context(correct, entropy=entropy[:, None].expand(correct.shape))
    different = torch.linspace(0, 1, size).expand(correct.shape)  # (size + 1, size)
    for rewards in (correct.float(), different):
        with no_size_warnings():
            advantages = deepcopy(strategy)(rewards, context)  # of a copy: it may remember what it saw
        yield advantages


def _answers(rollouts: RolloutBatch) -> Tensor | None:
    """Numbers of the answers, shape ``(N,)``, int64; None for rollouts made by hand, without their groups."""
    numbers = [
        number
        for group in rollouts.groups
        for number in number_answers([s.answer for c, s in scored(group) if len(c.token_ids) > 0])
    ]
    return torch.tensor(numbers, dtype=torch.int64) if len(numbers) == len(rollouts.rewards) else None


def _own_stats(rewards: Tensor) -> BatchStats:
    """What a group of its own knows of the whole step."""
    values = rewards.double() if len(rewards) else torch.zeros(1)
    return BatchStats(
        reward_mean=float(values.mean()), reward_std=float(values.std(correction=0)), prompt_entropy=torch.zeros(1)
    )


def _step_stats(rollouts: RolloutBatch, entropy: Tensor) -> BatchStats:
    rewards = rollouts.rewards.double()  # (N,)
    count, total = all_sum(torch.stack([torch.tensor(len(rewards), dtype=torch.float64), rewards.sum()]), "rewards")
    mean = total / count.clamp(min=1)
    deviation = ((rewards - mean) ** 2).sum()  # a second pass over the rewards: no cancellation
    variance = all_sum(deviation, "reward deviations") / count.clamp(min=1)
    sizes = rollouts.prompt_index.bincount(minlength=len(rollouts.indices))  # (P,)
    sums = torch.zeros(len(sizes), dtype=torch.float64).index_add_(0, rollouts.prompt_index, entropy)  # (N,) -> (P,)
    prompt_entropy = (sums / sizes.clamp(min=1))[sizes > 0].float()  # (prompts with a scored completion,)
    return BatchStats(
        reward_mean=float(mean), reward_std=float(variance.sqrt()), prompt_entropy=all_cat(prompt_entropy, "entropies")
    )
