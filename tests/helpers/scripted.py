"""Rollouts that were written down instead of sampled, and a module that trains on them without a command line."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
import torch

from lit_passk.data import ReplayDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Completion, Problem, RolloutBatch, Sampling, Score, ScoredGroup


def scripted_rollouts(
    rewards: Sequence[Sequence[float | None]],
    vocab_size: int = 14,
    seed: int = 0,
    max_tokens: int = 7,
    sampling: Sampling | None = None,
) -> RolloutBatch:
    """Random prompts and completions with the given rewards; None is a completion that could not be scored."""
    random = torch.Generator().manual_seed(seed)

    def tokens(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high + 1, (), generator=random))
        return torch.randint(2, vocab_size, (length,), generator=random).tolist()

    groups = []
    for p, row in enumerate(rewards):
        ids = [tokens(1, max_tokens) for _ in row]
        groups.append(
            ScoredGroup(
                problem=Problem(id=str(p), prompt=f"problem {p}", answer=""),
                index=p,
                prompt_ids=tokens(2, 9),
                completions=[
                    Completion(
                        token_ids=i,
                        logprobs=torch.randn(len(i), generator=random).sub(2.5).tolist(),
                        finish_reason="length" if len(i) == max_tokens else "stop",
                    )
                    for i in ids
                ],
                texts=[str(i) for i in ids],
                scores=[
                    Score(reward=0.0, correct=False, error="hung")
                    if r is None
                    else Score(reward=r, correct=r > 0.5, answer=str(i))
                    for i, r in enumerate(row)
                ],
                seed=p,
            )
        )
    return collate_rollouts(groups, sampling or Sampling(max_tokens=max_tokens, n=len(rewards[0])))


def train(module: PassKRLModule, *batches: RolloutBatch) -> dict[str, float]:
    """Train on scripted batches, one RL step each; returns what was logged last."""
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, datamodule=ReplayDataModule(batches))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
