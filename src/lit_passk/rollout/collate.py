"""From scored groups to the flat tensors that training reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from lit_passk.errors import Refusal
from lit_passk.types import Completion, RolloutBatch, Sampling, Score, ScoredGroup


def collate_rollouts(
    groups: Sequence[ScoredGroup],
    sampling: Sampling = Sampling(),
    *,
    version: int = 0,
    positions: Sequence[int] | None = None,
    not_trained: Sequence[ScoredGroup] = (),
    full_precision: bool = True,
    metrics: Mapping[str, float] | None = None,
) -> RolloutBatch:
    """Line up the completions that could be scored, groups side by side.

    Args:
        groups: P groups, in the order of their prompts.
        sampling: How they were sampled.
        version: Version of the weights that sampled them.
        positions: Position of each prompt in the step over all ranks; None counts from 0, as on a single rank.
        not_trained: Groups that were sampled for the step and are left out of training.
        full_precision: Whether the engine computed in float32, nothing quantised.
        metrics: What sampling cost, for the log.

    Raises:
        ValueError: If a reward is not a finite number, or a completion says of too many or too few tokens whether they
            are trained.
    """
    rows = [
        (number, completion, score)
        for number, group in enumerate(groups)
        for completion, score in scored(group)
        if len(completion.token_ids) > 0
    ]
    # One tensor cut into pieces: a thousand small tensors would cost more than all other bookkeeping of a short step.
    lengths = [len(c.token_ids) for _, c, _ in rows]
    token_ids = torch.tensor([token for _, c, _ in rows for token in c.token_ids], dtype=torch.int64)
    logprobs = torch.tensor([logprob for _, c, _ in rows for logprob in c.logprobs], dtype=torch.float32)
    trained = torch.tensor([flag for _, c, _ in rows for flag in _trained(c)], dtype=torch.bool)
    return RolloutBatch(
        prompt_ids=tuple(torch.tensor(g.prompt_ids, dtype=torch.int64) for g in groups),
        completion_ids=token_ids.split(lengths) if rows else (),
        rollout_logprobs=logprobs.split(lengths) if rows else (),
        trained=trained.split(lengths) if rows else (),
        prompt_index=torch.tensor([number for number, _, _ in rows], dtype=torch.int64),
        indices=torch.tensor([g.index for g in groups], dtype=torch.int64),
        positions=torch.tensor(range(len(groups)) if positions is None else positions, dtype=torch.int64),
        rewards=torch.tensor([s.reward for _, _, s in rows], dtype=torch.float32),
        correct=torch.tensor([s.correct for _, _, s in rows], dtype=torch.bool),
        truncated=torch.tensor([c.finish_reason == "length" for _, c, _ in rows], dtype=torch.bool),
        groups=tuple(groups),
        not_trained=tuple(not_trained),
        sampling=sampling,
        version=version,
        full_precision=full_precision,
        metrics=dict(metrics or {}),
    )


def scored(group: ScoredGroup) -> list[tuple[Completion, Score]]:
    """Return the completions of a group that could be scored, with their scores."""
    return [pair for pair in zip(group.completions, group.scores, strict=True) if pair[1].error is None]


def _trained(completion: Completion) -> Sequence[bool]:
    number = len(completion.token_ids)
    if completion.trained is None:
        return [True] * number
    if len(completion.trained) != number:
        raise Refusal(
            f"`Completion.trained` needs one bool per token, but a completion of {number} tokens has "
            f"{len(completion.trained)}."
        )
    return completion.trained
