"""Sampling and scoring of one batch, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lit_passk.engines.base import RolloutEngine
from lit_passk.types import Completion, CompletionText, PromptBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lit_passk.scoring.scorer import Scorer
    from lit_passk.types import Score

Pending = tuple[list[Completion], list[str], "Future[list[Score]]"]


def sample_and_score(
    engine: RolloutEngine,
    scorer: Scorer,
    batch: PromptBatch,
    sampling: Sampling,
    seeds: Sequence[int],
    decode: Callable[[Sequence[int]], str],
) -> Iterator[tuple[int, ScoredGroup]]:
    """Sample a batch; completions go to the scorer as soon as their group is sampled.

    Args:
        engine: What samples.
        scorer: What scores.
        batch: P prompts.
        sampling: How to sample; ``n`` completions per prompt.
        seeds: One base seed per prompt.
        decode: Turns token ids into text without special tokens.

    Yields:
        ``(prompt index, group)`` as groups are sampled and scored, in no particular order.
    """
    pending: dict[int, Pending] = {}

    def finish(p: int) -> tuple[int, ScoredGroup]:
        completions, texts, scores = pending.pop(p)
        group = ScoredGroup(
            problem=batch.problems[p],
            index=batch.indices[p],
            prompt_ids=batch.prompt_ids[p],
            completions=completions,
            texts=texts,
            scores=scores.result(),
            seed=seeds[p],
        )
        return p, group

    for p, completions in engine.generate(batch.prompt_ids, sampling, seeds):
        texts = [decode(c.token_ids) for c in completions]
        shown = [CompletionText.of(completion, text) for completion, text in zip(completions, texts, strict=True)]
        pending[p] = (completions, texts, scorer.submit_group(batch.name, batch.problems[p], shown))
        for done in [q for q, (_, _, scores) in pending.items() if scores.done()]:
            yield finish(done)
    for p in list(pending):
        yield finish(p)
