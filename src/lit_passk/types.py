"""The objects that travel from prompt to weight update: data, no behaviour.

``PromptBatch`` -> ``Completion`` -> ``Score`` -> ``RolloutBatch`` -> (``GroupContext``) -> advantages.

Legend used everywhere: P prompts, G completions of one prompt (``group_size``), N completions in total, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lit_passk.errors import Refusal

if TYPE_CHECKING:
    from torch import Tensor  # only named here: scoring workers import this module and have no need of torch


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One question and its answer key."""

    id: str
    """Name of the problem in its data set, unique there."""
    prompt: str
    """The question as text, before any chat template."""
    answer: str
    """What the verifier compares with: a reference answer, a program's tests as JSON, ..."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything else a task's ``score`` wants to know."""


class PromptBatch(NamedTuple):
    """The prompts of one RL step on one rank. Strings and integers only, so that no device transfer alters them."""

    problems: Sequence[Problem]
    """P problems."""
    prompt_ids: Sequence[Sequence[int]]
    """Token ids of each rendered prompt, P lists."""
    indices: Sequence[int]
    """Position of each problem in its task: its identity for seeds and metrics."""
    name: str = "train"
    """Which task the prompts are from: ``train`` or a validation name."""

    def take(self, rows: Sequence[int]) -> PromptBatch:
        """The prompts at these places, in this order."""
        return PromptBatch(
            problems=[self.problems[row] for row in rows],
            prompt_ids=[self.prompt_ids[row] for row in rows],
            indices=[self.indices[row] for row in rows],
            name=self.name,
        )


@dataclass(frozen=True, kw_only=True)  # no slots: jsonargparse reads the defaults from __dict__
class Sampling:
    """How an engine samples.

    Args:
        temperature: Divides the logits; 0 is greedy decoding.
        top_p: Nucleus mass; below 1 is refused in training.
        top_k: Keep the k likeliest tokens, 0 keeps all; above 0 is refused in training.
        max_tokens: Most tokens a completion may have, the end-of-sequence token counted.
        n: Completions a prompt; None takes ``rollout.group_size``.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    n: int | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise Refusal(f"Sampling needs temperature >= 0, but got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise Refusal(f"Sampling needs 0 < top_p <= 1, but got {self.top_p}.")
        if self.top_k < 0:
            raise Refusal(f"Sampling needs top_k >= 0 (0 keeps all tokens), but got {self.top_k}.")
        if self.max_tokens < 1:
            raise Refusal(f"Sampling needs max_tokens >= 1, but got {self.max_tokens}.")
        if self.n is not None and self.n < 1:
            raise Refusal(f"Sampling needs n >= 1 completions a prompt, but got {self.n}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What was sampled once for one prompt."""

    token_ids: Sequence[int]
    """Sampled tokens, the end-of-sequence token included when it was sampled."""
    logprobs: Sequence[float]
    """The engine's log-probability of each sampled token, at the sampling temperature."""
    finish_reason: str
    """``stop`` when the model ended it, ``length`` when ``max_tokens`` did."""
    version: int = 0
    """Version of the weights that sampled it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A verifier's word on one completion."""

    reward: float
    """What the policy is paid; may be shaped."""
    correct: bool
    """What Pass@k counts; never derived from the reward."""
    answer: str | None = None
    """The answer that was extracted, for tables and majority votes."""
    error: str | None = None
    """Why the completion could not be scored. Set, it is left out of its group and counted, never a silent 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredGroup:
    """One problem with everything that was sampled for it and every verdict, unscorable completions included."""

    problem: Problem
    index: int
    """The problem's position in its task."""
    prompt_ids: Sequence[int]
    """Tokens of the rendered prompt."""
    completions: Sequence[Completion]
    """G completions."""
    texts: Sequence[str]
    """The completions as text, without special tokens."""
    scores: Sequence[Score]
    """G verdicts."""
    seed: int
    """Base seed: completion i was sampled with ``seed + i``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """The scored completions of one RL step on one rank, ragged and flat; groups lie side by side.

    Completions that could not be scored are not in it.
    """

    prompt_ids: tuple[Tensor, ...]
    """P tensors of prompt tokens, int64."""
    completion_ids: tuple[Tensor, ...]
    """N tensors of sampled tokens, int64, none empty."""
    rollout_logprobs: tuple[Tensor, ...]
    """N tensors, the engine's log-probability of each sampled token, float32."""
    group: Tensor
    """Which prompt a completion answers, shape ``(N,)``, int64, ascending."""
    indices: Tensor
    """Each prompt's position in its task, shape ``(P,)``, int64."""
    rewards: Tensor
    """Shape ``(N,)``, float32."""
    correct: Tensor
    """Shape ``(N,)``, bool."""
    truncated: Tensor
    """Cut by ``max_tokens``; shape ``(N,)``, bool."""
    groups: tuple[ScoredGroup, ...] = ()
    """The P groups as they were sampled and judged, for tables and files."""
    places: Tensor | None = None
    """Each prompt's place among those of all ranks in this step, from 0, shape ``(P,)``, int64; None where they are as
    the data module deals them out."""
    dropped: tuple[ScoredGroup, ...] = ()
    """Groups that were sampled for this step as well and are not trained on: see ``SignalAwareSampling``."""
    sampling: Sampling = Sampling()
    """How they were sampled: the loss needs the temperature."""
    exact: bool = True
    """Whether the engine had the policy's weights and both compute in float32; else their probabilities differ."""
    version: int = 0
    """Version of the weights that sampled them."""
    num_unscored: int = 0
    """Completions left out because no verdict could be had."""

    def __post_init__(self) -> None:
        bad = ~self.rewards.isfinite()
        if bad.any():
            row = int(bad.nonzero()[0, 0])
            raise Refusal(
                f"Rewards must be finite numbers, but completion {row} (problem {int(self.indices[self.group[row]])}) "
                f"got {float(self.rewards[row])}. Return Score(error=...) for a completion that cannot be scored."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStats:
    """Statistics of a whole RL step over all ranks."""

    reward_mean: float
    reward_std: float
    """Population standard deviation (divided by the number of completions)."""
    prompt_entropy: Tensor
    """Mean entropy estimate of every prompt on every rank, shape ``(P_all,)``, float32, in no particular order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupContext:
    """What an advantage strategy may know besides the rewards of its P groups of G completions."""

    prompt_ids: Tensor
    """Identity of each prompt (position in its task), shape ``(P,)``, int64."""
    correct: Tensor
    """Shape ``(P, G)``, bool."""
    entropy: Tensor
    """Mean of ``-rollout_logprobs`` over a completion's tokens, shape ``(P, G)``, float32, nats a token."""
    logprob_sum: Tensor
    """Sum of a completion's ``rollout_logprobs``, shape ``(P, G)``, float32."""
    logprob_mean: Tensor
    """Mean of a completion's ``rollout_logprobs``, shape ``(P, G)``, float32."""
    num_tokens: Tensor
    """Completion length, shape ``(P, G)``, int64."""
    truncated: Tensor
    """Cut by ``max_tokens``; shape ``(P, G)``, bool."""
    step: int = 0
    """RL step, from 0."""
    max_steps: int = -1
    """RL steps of the whole run, -1 when unknown."""
    batch: BatchStats | None = None
    """Statistics over all ranks and buckets; None outside a training run."""
