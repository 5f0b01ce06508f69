"""Sampling and scoring of one batch, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lit_passk.engines.base import RolloutEngine
from lit_passk.errors import CannotRun
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

    Raises:
        CannotRun: If the engine yields something else than a group of ``n`` completions for every prompt.
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

    for p, completions in groups_as_asked(engine, batch.prompt_ids, sampling, seeds):
        texts = [decode(c.token_ids) for c in completions]
        shown = [CompletionText.of(completion, text) for completion, text in zip(completions, texts, strict=True)]
        pending[p] = (completions, texts, scorer.submit_group(batch.name, batch.problems[p], shown))
        for done in [q for q, (_, _, scores) in pending.items() if scores.done()]:
            yield finish(done)
    for p in list(pending):
        yield finish(p)


def groups_as_asked(
    engine: RolloutEngine, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
) -> Iterator[tuple[int, list[Completion]]]:
    """What an engine samples, which may be anybody's, as long as it fits what it was asked for.

    Raises:
        CannotRun: If it yields something else than a group of ``n`` completions for every prompt.
    """
    name, left = f"{type(engine).__name__}.generate", set(range(len(prompt_ids)))
    for p, completions in engine.generate(prompt_ids, sampling, seeds):
        if p not in left:
            what = "again" if p in range(len(prompt_ids)) else f"of {len(prompt_ids)} prompts"
            raise CannotRun(f"{name} must yield the group of each prompt once, but yielded that of prompt {p} {what}.")
        left.remove(p)
        if len(completions) != sampling.n:
            raise CannotRun(
                f"{name} must yield {sampling.n} completions of each prompt, but has {len(completions)} of prompt {p}."
            )
        for tokens, logprobs in ((len(c.token_ids), len(c.logprobs)) for c in completions):
            if tokens == 0 or tokens != logprobs:
                raise CannotRun(
                    f"{name} must yield tokens, an end token at least, with a log-probability each, but a completion "
                    f"of prompt {p} has {tokens} tokens and {logprobs} log-probabilities."
                )
        yield p, completions
    if left:
        raise CannotRun(f"{name} must yield the group of each prompt, but prompt {min(left)} has none.")
