"""Whether a completion has the form that was asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lit_passk.errors import Refusal
from lit_passk.rewards.base import RewardPart
from lit_passk.types import CompletionText, Problem, Score


class Format(RewardPart):
    r"""1 for a completion of the right form, else 0.

    Args:
        pattern: Regular expression that the completion holds, as ``re.search`` finds it; a point matches line ends
            too, ``^`` and ``$`` tie it to begin and end. Worker processes search, because some patterns take for ever.
        tags: Names of tags, such as ``[think, answer]``: each is opened and closed exactly once, one pair after the
            other in this order; text may stand around them.
        prefix: What the chat template has written of the answer before the completion begins, such as ``<think>``: it
            is read as the completion's beginning.
        weight: What it counts for in the sum.

    Raises:
        ValueError: If there is neither a pattern nor tags, or both; if the pattern is no regular expression, or a tag
            is no name or comes twice.

    Example:
        >>> problem, verdict = Problem(id="1", prompt="1 + 1", answer="2"), Score(reward=1.0, correct=True)
        >>> form = Format(tags=["think", "answer"])
        >>> texts = ["<think>Two ones.</think> <answer>2</answer>", "<answer>2</answer>"]
        >>> [form.value(problem, CompletionText(text), verdict) for text in texts]  # exact: 0 or 1
        [1.0, 0.0]
        >>> ends = Format(pattern=r"answer is \d+\.$")
        >>> ends.value(problem, CompletionText("The answer is 2."), verdict)  # exact: 0 or 1
        1.0

    """

    def __init__(
        self, pattern: str | None = None, tags: Sequence[str] | None = None, prefix: str = "", weight: float = 1.0
    ) -> None:
        super().__init__(weight)
        if (pattern is None) == (not tags):
            raise Refusal(f"Format needs either a pattern or tags, but got pattern={pattern!r} and tags={tags!r}.")
        try:
            self.pattern = re.compile(pattern, re.DOTALL) if pattern is not None else None
        except re.error as error:
            raise Refusal(f"Format needs a regular expression as its pattern, but got {pattern!r}: {error}.") from None
        for tag in tags or ():
            if not re.fullmatch(r"[\w.:-]+", tag):
                raise Refusal(f"Format needs names of tags without brackets, such as 'think', but got {tag!r}.")
        if len(set(tags or ())) < len(tags or ()):
            raise Refusal(f"Format needs every tag once, but got {list(tags or ())}.")
        self.marks = [mark for tag in tags or () for mark in (f"<{tag}>", f"</{tag}>")]
        self.prefix = prefix
        self.use_workers = self.pattern is not None

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float:
        """1.0 or 0.0."""
        text = self.prefix + completion
        if self.pattern is not None:
            return float(self.pattern.search(text) is not None)
        places = [text.find(mark) for mark in self.marks]
        once = all(text.count(mark) == 1 for mark in self.marks)
        return float(once and places == sorted(places))
