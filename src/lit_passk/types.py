"""The objects that travel from prompt to weight update: data, no behaviour.

``PromptBatch`` -> ``Completion`` -> ``Score`` -> ``ScoredGroup`` -> ``RolloutBatch`` (in the ``PromptBatch``) ->
``GroupContext`` -> advantages.

Legend used everywhere: P prompts, G completions of one prompt (``group_size``), N completions in total, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lit_passk.errors import CannotRun, Refusal

if TYPE_CHECKING:
    from torch import Tensor  # only named here: scoring workers import this module and have no need of torch


Prompt = str | Sequence[Mapping[str, str]]
"""A question as text, or a chat: turns of ``role`` (system, user, assistant) and ``content``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One question and its answer key.

    Raises:
        ValueError: If ``id`` or ``answer`` is neither a text nor a number.
    """

    id: str
    """Name of the problem in its data set, unique there."""
    prompt: Prompt
    """The question before any chat template: text, or a chat with its system and few-shot turns."""
    answer: str
    """What the verifier compares with: a reference answer, a program's tests as JSON, ..."""
    source: str | None = None
    """Which data set or domain it is from, where a task mixes several: metrics are logged for each."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything else a task's ``score`` wants to know."""

    @property
    def text(self) -> str:
        """The prompt as one text, for tables, files and comparisons: of a chat the contents of its turns."""
        return self.prompt if isinstance(self.prompt, str) else "\n\n".join(turn["content"] for turn in self.prompt)

    def __post_init__(self) -> None:
        for name in ("id", "answer"):  # numbers become text: files of results and tables hold texts
            value = getattr(self, name)
            if isinstance(value, str):
                continue
            if not isinstance(value, bool | int | float) and not hasattr(value, "item"):
                raise Refusal(f"Problem {self.id!r} needs a text as its {name}, but got {value!r}.")
            object.__setattr__(self, name, str(value.item() if hasattr(value, "item") else value))


class PromptBatch:
    """The prompts of one RL step on one rank and, once they were sampled, their rollouts.

    A plain class on purpose: Lightning moves and casts the tensors of tuples, dicts and dataclasses (float32 rewards
    would become bfloat16 under ``bf16-true``) and hands on any other object as it is.

    Args:
        problems: P problems.
        prompt_ids: Token ids of each rendered prompt, P lists.
        indices: Index of each problem in its task: its identity for seeds and metrics.
        positions: Position of each prompt among those of all ranks in this step, from 0.
        name: Which task the prompts are from: ``train`` or a validation name.
        rollouts: What was sampled for them; None until it was. A loader that replays rollouts fills it in.
    """

    def __init__(
        self,
        *,
        problems: Sequence[Problem],
        prompt_ids: Sequence[Sequence[int]],
        indices: Sequence[int],
        positions: Sequence[int],
        name: str = "train",
        rollouts: RolloutBatch | None = None,
    ) -> None:
        self.problems = problems
        self.prompt_ids = prompt_ids
        self.indices = indices
        self.positions = positions
        self.name = name
        self._rollouts = rollouts

    @property
    def filled(self) -> bool:
        """Whether the rollouts are there."""
        return self._rollouts is not None

    @property
    def rollouts(self) -> RolloutBatch:
        """What was sampled for the prompts, filled in by ``RolloutCallback`` before the module gets the batch."""
        if self._rollouts is None:
            raise CannotRun(
                "This batch has no rollouts. Add `lit_passk.RolloutCallback` to the trainer's callbacks, or use a "
                "data module whose batches are filled, such as `lit_passk.ReplayDataModule`."
            )
        return self._rollouts

    @rollouts.setter
    def rollouts(self, rollouts: RolloutBatch) -> None:
        self._rollouts = rollouts

    def select(self, rows: Sequence[int]) -> PromptBatch:
        """Return the prompts of these rows, in this order, not sampled yet."""
        return PromptBatch(
            problems=[self.problems[row] for row in rows],
            prompt_ids=[self.prompt_ids[row] for row in rows],
            indices=[self.indices[row] for row in rows],
            positions=[self.positions[row] for row in rows],
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
        n: Completions per prompt; None takes ``rollout.group_size``.

    Raises:
        ValueError: If one of them is out of its range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    n: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise Refusal(f"Sampling needs temperature >= 0, but got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise Refusal(f"Sampling needs 0 < top_p <= 1, but got {self.top_p}.")
        if self.top_k < 0:
            raise Refusal(f"Sampling needs top_k >= 0 (0 keeps all tokens), but got {self.top_k}.")
        if self.max_tokens < 1:
            raise Refusal(f"Sampling needs max_tokens >= 1, but got {self.max_tokens}.")
        if self.n is not None and self.n < 1:
            raise Refusal(f"Sampling needs n >= 1 completions per prompt, but got {self.n}.")


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
    trained: Sequence[bool] | None = None
    """Which of the tokens the policy is trained on, one bool per token; None is all. Tokens that an environment wrote
    (the result of a tool) are context: False."""


class CompletionText(str):
    """A completion as a task gets to see it: a text like any other, which also knows what its tokens were.

    Methods of ``str`` return plain texts. In a result file there are no token ids, so rescoring has none to show.

    Args:
        text: Without special tokens.
        num_tokens: How many tokens were sampled, the end-of-sequence token counted.
        truncated: Whether ``max_tokens`` cut it.
        token_ids: The sampled tokens, None where they were not kept.

    Example:
        >>> text = CompletionText("12 * 7 = 84", num_tokens=6, truncated=False)
        >>> text.split()[-1], text.num_tokens, text.truncated
        ('84', 6, False)

    """

    num_tokens: int
    truncated: bool
    token_ids: Sequence[int] | None

    def __new__(  # noqa: D102 - the class says it
        cls, text: str, num_tokens: int = 0, truncated: bool = False, token_ids: Sequence[int] | None = None
    ) -> CompletionText:
        made = super().__new__(cls, text)
        made.num_tokens, made.truncated, made.token_ids = num_tokens, truncated, token_ids
        return made

    @property
    def text(self) -> str:
        """The text alone."""
        return str(self)

    @classmethod
    def of(cls, completion: Completion, text: str) -> CompletionText:
        """The text that a completion's tokens were decoded to."""
        truncated = completion.finish_reason == "length"
        return cls(text, len(completion.token_ids), truncated, completion.token_ids)


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
    parts: Mapping[str, float] = field(default_factory=dict, hash=False, repr=False)
    """What the reward is made of, by name, each before its weight; for the log and result files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredGroup:
    """One problem with everything that was sampled for it and its scores, unscored completions included."""

    problem: Problem
    index: int
    """The problem's index in its task."""
    prompt_ids: Sequence[int]
    """Tokens of the rendered prompt."""
    completions: Sequence[Completion]
    """G completions."""
    texts: Sequence[str]
    """The completions as text, without special tokens."""
    scores: Sequence[Score]
    """G scores."""
    seed: int
    """Base seed: completion i was sampled with ``seed + i``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutBatch:
    """The scored completions of one RL step on one rank, ragged and flat; groups lie side by side.

    Completions that could not be scored are not in the tensors, but in ``groups``. Made by ``collate_rollouts``.

    Raises:
        ValueError: If a reward is not a finite number.
    """

    prompt_ids: tuple[Tensor, ...]
    """P tensors of prompt tokens, int64."""
    completion_ids: tuple[Tensor, ...]
    """N tensors of sampled tokens, int64, none empty."""
    rollout_logprobs: tuple[Tensor, ...]
    """N tensors, the engine's log-probability of each sampled token, float32."""
    trained: tuple[Tensor, ...]
    """N tensors, whether each token is trained on, bool; see ``Completion.trained``."""
    prompt_index: Tensor
    """Which of the P prompts a completion answers, shape ``(N,)``, int64, ascending."""
    indices: Tensor
    """Index of each prompt's problem in its task, shape ``(P,)``, int64."""
    positions: Tensor
    """Position of each prompt among those of all ranks in this step, from 0, shape ``(P,)``, int64."""
    rewards: Tensor
    """Shape ``(N,)``, float32."""
    correct: Tensor
    """Shape ``(N,)``, bool."""
    truncated: Tensor
    """Cut by ``max_tokens``; shape ``(N,)``, bool."""
    groups: tuple[ScoredGroup, ...]
    """The P groups as they were sampled and scored, for validation, tables and files."""
    not_trained: tuple[ScoredGroup, ...]
    """Groups that were sampled for this step as well and are not trained on: see ``DynamicSampling``."""
    sampling: Sampling
    """How they were sampled: the loss needs the temperature."""
    version: int
    """Version of the weights that sampled them: the number of RL steps that had made them."""
    full_precision: bool
    """Whether the engine computed in float32, nothing quantised; else its probabilities differ from the policy's."""
    metrics: Mapping[str, float]
    """What sampling them cost, for the log."""

    def __post_init__(self) -> None:
        bad = ~self.rewards.isfinite()
        if bad.any():
            row = int(bad.nonzero()[0, 0])
            problem = int(self.indices[self.prompt_index[row]])
            raise Refusal(
                f"Rewards must be finite numbers, but completion {row} (problem {problem}) "
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

    problem_ids: Tensor
    """Identity of each problem: its index in its task, shape ``(P,)``, int64."""
    correct: Tensor
    """Shape ``(P, G)``, bool."""
    entropy: Tensor
    """Mean of ``-rollout_logprobs`` over a completion's tokens, shape ``(P, G)``, float32, nats per token."""
    logprob_sum: Tensor
    """Sum of a completion's ``rollout_logprobs``, shape ``(P, G)``, float32."""
    logprob_mean: Tensor
    """Mean of a completion's ``rollout_logprobs``, shape ``(P, G)``, float32."""
    num_tokens: Tensor
    """Completion length, shape ``(P, G)``, int64."""
    truncated: Tensor
    """Cut by ``max_tokens``; shape ``(P, G)``, bool."""
    answers: Tensor | None = None
    """Equal numbers for equal answers within a prompt (``functional.answers.number_answers``), -1 for none; shape
    ``(P, G)``, int64. None where no answers are known."""
    step: int = 0
    """RL step, from 0."""
    max_steps: int = -1
    """RL steps of the whole run, -1 when unknown."""
    batch: BatchStats | None = None
    """Statistics over all ranks and buckets; None outside a training run."""
