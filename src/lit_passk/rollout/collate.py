"""From scored groups to the flat tensors that training reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lit_passk.types import RolloutBatch, Sampling, ScoredGroup


def collate_rollouts(groups: Sequence[ScoredGroup], sampling: Sampling = Sampling(), version: int = 0) -> RolloutBatch:
    """Line up the completions that could be scored, groups side by side.

    Args:
        groups: P groups, in the order of their prompts.
        sampling: How they were sampled.
        version: Version of the weights that sampled them.

    Raises:
        ValueError: If a reward is not a finite number.
    """
    rows = [
        (number, completion, score)
        for number, group in enumerate(groups)
        for completion, score in zip(group.completions, group.scores, strict=True)
        if score.error is None and len(completion.token_ids) > 0
    ]
    # One tensor cut into pieces: a thousand small tensors would cost more than all other bookkeeping of a short step.
    lengths = [len(c.token_ids) for _, c, _ in rows]
    token_ids = torch.tensor([token for _, c, _ in rows for token in c.token_ids], dtype=torch.int64)
    logprobs = torch.tensor([logprob for _, c, _ in rows for logprob in c.logprobs], dtype=torch.float32)
    return RolloutBatch(
        prompt_ids=tuple(torch.tensor(g.prompt_ids, dtype=torch.int64) for g in groups),
        completion_ids=token_ids.split(lengths) if rows else (),
        rollout_logprobs=logprobs.split(lengths) if rows else (),
        group=torch.tensor([number for number, _, _ in rows], dtype=torch.int64),
        indices=torch.tensor([g.index for g in groups], dtype=torch.int64),
        rewards=torch.tensor([s.reward for _, _, s in rows], dtype=torch.float32),
        correct=torch.tensor([s.correct for _, _, s in rows], dtype=torch.bool),
        truncated=torch.tensor([c.finish_reason == "length" for _, c, _ in rows], dtype=torch.bool),
        groups=tuple(groups),
        sampling=sampling,
        version=version,
        num_unscored=sum(len(g.completions) for g in groups) - len(rows),
    )
