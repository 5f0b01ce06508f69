"""Parts that pay by the number of tokens, the end-of-sequence token counted."""

from __future__ import annotations

from collections.abc import Sequence

from lit_passk.errors import Refusal
from lit_passk.rewards.base import GroupRewardPart, RewardPart
from lit_passk.types import CompletionText, Problem, Score


class SoftOverlong(RewardPart):
    """DAPO's soft punishment of overlong completions (arXiv 2503.14476, eq. 13).

    With n tokens, M = ``max_tokens`` and B = ``buffer``: 0 up to M - B, then (M - B - n) / B, and -1 above M.

    Args:
        max_tokens: Where the full penalty of -1 is reached: usually ``rollout.sampling.max_tokens``.
        buffer: How many tokens before that it begins.
        weight: What it counts for in the sum.

    Raises:
        ValueError: If ``buffer`` is not from 1 to ``max_tokens``.

    Example:
        >>> problem, verdict = Problem(id="1", prompt="", answer=""), Score(reward=1.0, correct=True)
        >>> part = SoftOverlong(max_tokens=100, buffer=20)
        >>> [part.value(problem, CompletionText("", num_tokens), verdict) for num_tokens in (80, 90)]  # exact: halves
        [0.0, -0.5]

    """

    def __init__(self, max_tokens: int, buffer: int, weight: float = 1.0) -> None:
        super().__init__(weight)
        if not 1 <= buffer <= max_tokens:
            raise Refusal(
                f"SoftOverlong needs a buffer from 1 to max_tokens, but got buffer={buffer}, max_tokens={max_tokens}."
            )
        self.max_tokens = max_tokens
        self.buffer = buffer

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float:
        """From -1 to 0."""
        too_many = completion.num_tokens - (self.max_tokens - self.buffer)
        return -min(max(too_many, 0), self.buffer) / self.buffer


class LengthPenalty(RewardPart):
    """A price on every token: ``-per_token`` for each above ``free_tokens``.

    Args:
        per_token: Price of a token, such as 0.001.
        free_tokens: How many tokens cost nothing.
        weight: What it counts for in the sum.

    Raises:
        ValueError: If ``per_token`` is not above 0 or ``free_tokens`` is negative.
    """

    def __init__(self, per_token: float, free_tokens: int = 0, weight: float = 1.0) -> None:
        super().__init__(weight)
        if not 0 < per_token < float("inf") or free_tokens < 0:
            raise Refusal(
                "LengthPenalty needs a price per_token above 0 and free_tokens of 0 or more, but got "
                f"per_token={per_token} and free_tokens={free_tokens}."
            )
        self.per_token = per_token
        self.free_tokens = free_tokens

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float:
        """0 or less."""
        return -self.per_token * max(completion.num_tokens - self.free_tokens, 0)


class RelativeLength(GroupRewardPart):
    """Kimi k1.5's length reward (arXiv 2501.12599, section 2.3.3): shorter than the rest of the group pays.

    With n tokens, of which the group's completions have from a to b: v = 1/2 - (n - a) / (b - a) for a correct
    completion, min(0, v) for a wrong one, and 0 for all of them where a = b.

    Args:
        weight: What it counts for in the sum.
    """

    def group_values(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> list[float]:
        """From -1/2 to 1/2."""
        lengths = [completion.num_tokens for completion in completions]  # (G,)
        shortest, longest = min(lengths), max(lengths)
        if shortest == longest:
            return [0.0] * len(lengths)
        values = [0.5 - (length - shortest) / (longest - shortest) for length in lengths]
        return [v if score.correct else min(0.0, v) for v, score in zip(values, scores, strict=True)]
