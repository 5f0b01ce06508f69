"""From rewards to advantages over whole steps: buckets of equal group size, statistics over all ranks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor

from lit_passk.advantages import AdvantageStrategy, GroupSizeWarning, Schedule
from lit_passk.distributed import all_cat, all_sum
from lit_passk.errors import Refusal
from lit_passk.modules.training_batch import num_trained
from lit_passk.types import BatchStats, GroupContext, RolloutBatch


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
        One advantage per completion, shape ``(N,)``, float32.
    """
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids], dtype=torch.int64)  # (N,)
    sums = torch.zeros(len(lengths), dtype=torch.float64)  # (N,) over the tokens that the policy sampled
    if len(lengths):
        owner = torch.repeat_interleave(lengths)  # (T,) which completion each token of the step belongs to
        logprobs = torch.cat(rollouts.rollout_logprobs).double()  # (T,)
        sums.index_add_(0, owner, logprobs.where(torch.cat(rollouts.trained), 0.0))
    means = sums / num_trained(rollouts).clamp(min=1)  # (N,) per trained token
    stats = _batch_stats(rollouts, -means)
    advantages = torch.zeros(len(lengths), dtype=torch.float32)  # (N,)
    sizes = rollouts.prompt_index.bincount(minlength=len(rollouts.indices))  # (P,) completions of each prompt
    starts = sizes.cumsum(0) - sizes  # (P,) row of each prompt's first completion
    for size in sizes.unique().tolist():
        if size == 0 or not _usable(strategy, size):
            continue
        groups = (sizes == size).nonzero()[:, 0]  # (P of this bucket,)
        rows = starts[groups][:, None] + torch.arange(size)  # (P of this bucket, G)
        context = GroupContext(
            problem_ids=rollouts.indices[groups],
            correct=rollouts.correct[rows],
            entropy=-means[rows].float(),
            logprob_sum=sums[rows].float(),
            logprob_mean=means[rows].float(),
            num_tokens=lengths[rows],
            truncated=rollouts.truncated[rows],
            step=step,
            max_steps=max_steps,
            batch=stats,
        )
        with _no_size_warnings():
            result = strategy(rollouts.rewards[rows], context)  # (P of this bucket, G)
        if result.shape != rows.shape:
            raise Refusal(
                f"{type(strategy).__name__} must return advantages of shape {tuple(rows.shape)}, one for each reward, "
                f"but returned {tuple(result.shape)}."
            )
        advantages[rows.flatten()] = result.float().flatten()
    if not torch.isfinite(advantages).all():
        raise Refusal(f"{type(strategy).__name__} returned NaN or infinite advantages.")
    return advantages


def check_learns(strategy: AdvantageStrategy, group_size: int) -> None:
    """Refuse groups too small for any completion ever to get an advantage: the policy would never change.

    Raises:
        Refusal: Naming the strategy; in a ``Schedule``, each of its strategies is looked at.
    """
    for part in strategy.strategies if isinstance(strategy, Schedule) else [strategy]:
        if _ever_differs(part, group_size):
            continue
        enough = [size for size in range(group_size + 1, 2 * group_size + 1) if _ever_differs(part, size)]
        if enough:
            raise Refusal(
                f"{type(part).__name__} gives no advantage to any completion of a group of `rollout.group_size` = "
                f"{group_size}, whichever are correct: the policy would never change. Raise it to {enough[0]} or more."
            )


def _ever_differs(strategy: AdvantageStrategy, size: int) -> bool:
    """Whether some completion gets an advantage in groups of ``size``, of which 0 to all completions are correct."""
    correct = torch.ones(size + 1, size).tril(-1).bool()  # (size + 1, size)
    entropy = torch.arange(size + 1, dtype=torch.float32)  # (size + 1,)
    of_each = entropy[:, None].expand(correct.shape)  # (size + 1, size)
    context = GroupContext(
        problem_ids=torch.arange(size + 1),
        correct=correct,
        entropy=of_each,
        logprob_sum=-of_each,
        logprob_mean=-of_each,
        num_tokens=torch.ones(correct.shape, dtype=torch.int64),
        truncated=torch.zeros(correct.shape, dtype=torch.bool),
        batch=BatchStats(reward_mean=0.5, reward_std=0.5, prompt_entropy=entropy),
    )
    with _no_size_warnings():
        return bool(deepcopy(strategy)(correct.float(), context).any())  # a copy: one may remember what it saw


@contextmanager
def _no_size_warnings() -> Iterator[None]:
    """Silence GroupSizeWarning: groups are small here only because unscored completions are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GroupSizeWarning)
        yield


def _usable(strategy: AdvantageStrategy, size: int) -> bool:
    try:
        with _no_size_warnings():
            strategy.check_group_size(size)
    except ValueError:
        return False
    return True


def _batch_stats(rollouts: RolloutBatch, entropy: Tensor) -> BatchStats:
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
