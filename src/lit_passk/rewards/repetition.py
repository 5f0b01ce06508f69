"""How much of a completion was there before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from lit_passk.errors import Refusal
from lit_passk.rewards.base import RewardPart
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText, Problem, Score


class Repetition(RewardPart):
    """Minus the share of n-grams that repeat an earlier one (after arXiv 2502.03373, appendix C.2).

    Of N n-grams in a row, D of them different: -(1 - D / N), and 0 for completions shorter than one n-gram.

    Args:
        ngram: Tokens or words of an n-gram.
        unit: ``tokens`` as they were sampled, or ``words`` between spaces, whatever their case: for result files, which
            hold no tokens, and for limits that are to mean the same for every tokenizer.
        weight: What it counts for in the sum.

    Raises:
        ValueError: If ``ngram`` is below 1 or ``unit`` is neither of the two.

    Example:
        >>> part, problem = Repetition(2, "words"), Problem(id="1", prompt="", answer="")
        >>> part.value(problem, CompletionText("so so so so so"), Score(reward=0.0, correct=False))  # exact: quarters
        -0.75

    """

    def __init__(self, ngram: int = 3, unit: Literal["tokens", "words"] = "tokens", weight: float = 1.0) -> None:
        super().__init__(weight)
        if ngram < 1 or unit not in ("tokens", "words"):
            raise Refusal(f"Repetition needs ngram >= 1 and unit tokens or words, but got {ngram} and {unit!r}.")
        self.ngram = ngram
        self.unit = unit

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float:
        """From -1 to 0."""
        units: Sequence[Any] | None = completion.lower().split() if self.unit == "words" else completion.token_ids
        if units is None:
            raise BadScore(
                "Repetition needs the tokens of a completion, and a result file has none: set its unit to words."
            )
        ngrams = list(zip(*(units[start:] for start in range(self.ngram)), strict=False))
        return len(set(ngrams)) / len(ngrams) - 1.0 if ngrams else 0.0
