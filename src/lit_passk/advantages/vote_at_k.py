"""Completions are paid together for a majority vote that is correct: vote@k, maj@k training (DAFT)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.functional.vote_advantage import vote_advantage
from lit_passk.types import GroupContext


class VoteAtK(GroupsOfK):
    """How much likelier the majority vote of k completions is to be correct with this one among them (maj@k training).

    ``u(S)`` is 1 if the most common answer of the group S is correct, else 0::

        A_i = E[u(S) | i in S] - E[u(S) | i not in S]     over all groups of k of the G completions

    Known from the source's code. Answers are those of ``Score.answer``, equal when
    ``functional.answers.number_answers`` says so; who is correct is the verifier's word.

    Use it when answers are taken by majority vote: a correct answer that wins anyway gets little, one that is about to
    win most, and a wrong answer costs most where many agree on it. Needs a context with ``answers``.

    Ties: the lot decides among the answers with most votes, so ``u(S)`` is the share of them that is correct ("the
    first one seen wins" has the same mean). Completions without an answer are drawn like any other but have no vote; a
    group without any vote counts as wrong. Where the verifier contradicts itself on one answer, the answer counts as
    correct by the share of the prompt's completions with that answer that are.

    Advantages are for a mean over the completions; summed and times k / G they have the gradient of maj@k as their mean
    (where equal answers are scored alike). A group sums to zero. ``k = 1`` is ``RLOO`` on rewards of 0 and 1. Zeros
    where none are correct, or all are and all have an answer. k = G is refused: no group of k leaves a completion out.

    Cost: ``O(D k^3 log k)`` per prompt of D different answers, whatever the group size: 0.2 ms with k = 8 and a dozen
    answers on one core.

    Args:
        k: Completions that vote, from 1 to ``rollout.group_size`` - 1.

    Raises:
        ValueError: When called without a context or with one that has no ``answers``.

    Example:
        >>> from lit_passk.advantages.trial import trial_context
        >>> correct = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        >>> context = trial_context(correct, answers=torch.tensor([[84, 84, 82, -1]]))
        >>> VoteAtK(k=3)(correct, context)
        tensor([[ 0.3333,  0.3333, -0.3333, -0.3333]])

    """

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k >= group_size``."""
        super().check_group_size(group_size)
        self.refuse_single_group(group_size)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.answers`` and ``context.correct``."""
        self.read_rewards(rewards)
        if context is None or context.answers is None:
            raise ValueError(
                "VoteAtK counts the votes for each answer, but was called without them. Pass a GroupContext with "
                "`answers` (a training run does)."
            )
        for name, given in (("correct", context.correct), ("answers", context.answers)):
            if given.shape != rewards.shape:
                raise ValueError(
                    f"`context.{name}` must have the shape of `rewards`, {tuple(rewards.shape)}, "
                    f"but got {tuple(given.shape)}."
                )
        advantages = vote_advantage(context.answers.cpu(), context.correct.bool().cpu(), self.k)
        return advantages.to(rewards.device, torch.float32)
