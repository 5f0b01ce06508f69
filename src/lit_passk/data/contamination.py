"""Does the validation set occur in the training set? Compared by normalised text and by shared n-grams of words.

A training compares its tasks as it starts, if they are small (``warn_of_contamination``); ``lit-passk contamination``
compares any.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lightning.pytorch.utilities import rank_zero_info

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task

MOST_CHARACTERS = 5_000_000
"""Of training prompts that are compared at the start of a training, which takes about a second for each validation
task."""

_ALNUM = re.compile(r"\w")
_SENTENCE_END = re.compile(r"(?<=[\w$)}\]])[.,;:?!]$")
_EDGES = re.compile(r"^[^\w\\-]+|[^\w]+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """A validation prompt and the training prompt most like it."""

    val_index: int
    train_index: int
    identical: bool
    """Whether the two are the same text but for case, spacing and punctuation at word ends."""
    share: float
    """Share of the validation prompt's n-grams that the training prompt has; 1 for identical prompts."""
    example: str
    """A shared n-gram, or the start of the identical text."""


class ContaminationWarning(UserWarning):
    """Validation prompts were found in the training set."""


def find_overlaps(train: Sequence[str], val: Sequence[str], n: int = 13, max_prompts: int = 10) -> list[Overlap]:
    """Find validation prompts that occur in the training set, whole or in part.

    A validation prompt is listed if its normalised text is that of a training prompt, or if the two share an n-gram of
    ``n`` words, 13 as in the GPT-3 report (arXiv 2005.14165, appendix C). As there, n-grams found in many places are
    left out, since they are instructions and not the problem: here those in more than ``max_prompts`` different
    training prompts or more than ``max_prompts`` different validation prompts. Prompts shorter than ``n`` words are
    only compared whole.

    Args:
        train: Training prompts.
        val: Validation prompts.
        n: Words of an n-gram.
        max_prompts: An n-gram in more prompts than that is boilerplate.

    Returns:
        One entry a validation prompt that overlaps, in the order of ``val``, with the training prompt it shares most
        with (the first of several).

    Raises:
        ValueError: For ``n < 1`` or ``max_prompts < 1``.

    Example:
        >>> train = ["Tom has 3 apples.", "What is 2 + 2?"]
        >>> find_overlaps(train, ["What is 3 + 3?", "what is  2 + 2"])[0].train_index
        1

    """
    if n < 1 or max_prompts < 1:
        raise Refusal(f"find_overlaps needs n >= 1 and max_prompts >= 1, but got n={n}, max_prompts={max_prompts}.")
    train_words, val_words = [_words(prompt) for prompt in train], [_words(prompt) for prompt in val]
    first_train: dict[str, int] = {}
    for index, words in enumerate(train_words):
        first_train.setdefault(" ".join(words), index)
    shared = _shared_ngrams(list(first_train.items()), val_words, train_words, n, max_prompts)
    overlaps = []
    for index, words in enumerate(val_words):
        text = " ".join(words)
        if text and text in first_train:
            overlaps.append(
                Overlap(val_index=index, train_index=first_train[text], identical=True, share=1.0, example=text[:80])
            )
        elif index in shared:
            best, (count, example) = max(shared[index].items(), key=lambda item: (item[1][0], -item[0]))
            share = count / len(set(_ngrams(words, n)))
            overlaps.append(Overlap(val_index=index, train_index=best, identical=False, share=share, example=example))
    return overlaps


def prompts_of(task: Task) -> list[str]:
    """The prompts of a task as text, without the lines that more than half of them share.

    These are the instructions: two tasks that ask for answers in different words would else share no whole prompt.
    """
    prompts = [task[index].text for index in range(len(task))]
    holders = Counter(line for prompt in prompts for line in set(prompt.splitlines()))
    shared = {line for line, count in holders.items() if 2 * count > len(prompts) > 1}
    bare = ("\n".join(line for line in prompt.splitlines() if line not in shared) for prompt in prompts)
    return [question or prompt for question, prompt in zip(bare, prompts, strict=True)]


def warn_of_contamination(train: Task, val: Mapping[str, Task]) -> None:
    """Warn of every validation task that occurs in the training task; a large one is not looked at, which is said."""
    if not val:
        return
    prompts = prompts_of(train)
    if sum(map(len, prompts)) > MOST_CHARACTERS:
        rank_zero_info(
            f"Training has {len(prompts)} prompts, too many to be compared with `data.val` at every start: "
            "`lit-passk contamination` does it once."
        )
        return
    for name, task in val.items():
        questions = prompts_of(task)
        warn_about_overlaps(find_overlaps(prompts, questions), len(questions), f"`data.val` {name!r}")


def warn_about_overlaps(
    overlaps: Sequence[Overlap], num_val: int, name: str = "the validation set", shown: int = 5
) -> None:
    """Warn once about the overlaps of a validation set, with the first few of them.

    Args:
        overlaps: What ``find_overlaps`` returned; nothing happens when it is empty.
        num_val: Prompts of the validation set.
        name: What to call it.
        shown: Overlaps to spell out.
    """
    if not overlaps:
        return
    identical = sum(overlap.identical for overlap in overlaps)
    lines = [
        f"  {name} [{overlap.val_index}] and training [{overlap.train_index}]: "
        + ("the same text" if overlap.identical else f"{100 * overlap.share:.0f} % of its n-grams")
        + f", such as {overlap.example!r}"
        for overlap in sorted(overlaps, key=lambda overlap: -overlap.share)[:shown]
    ]
    rest = [f"  and {len(overlaps) - shown} more"] if len(overlaps) > shown else []
    warnings.warn(
        f"{len(overlaps)} of {num_val} prompts of {name} occur in the training set ({identical} whole, "
        f"{len(overlaps) - identical} in part), so results on it may be too good:\n" + "\n".join(lines + rest),
        ContaminationWarning,
        stacklevel=2,
    )


def _words(prompt: str) -> list[str]:
    """Lower-case words without punctuation at their ends."""
    words = unicodedata.normalize("NFKC", prompt).casefold().split()
    return [word if word.isalnum() else _bare(word) for word in words]


def _bare(word: str) -> str:
    # Of a word of symbols (a formula, a row of a grid) only the sign that ends a sentence goes.
    symbols = 2 * len(_ALNUM.findall(word)) < len(word)
    return (_SENTENCE_END if symbols else _EDGES).sub("", word)


def _ngrams(words: Sequence[str], n: int) -> Iterator[str]:
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


def _shared_ngrams(
    distinct_train: Sequence[tuple[str, int]],
    val_words: Sequence[Sequence[str]],
    train_words: Sequence[Sequence[str]],
    n: int,
    max_prompts: int,
) -> dict[int, dict[int, tuple[int, str]]]:
    """Validation prompt to training prompt to (number of shared n-grams, one of them)."""
    in_val: dict[str, list[int]] = defaultdict(list)
    for index, words in enumerate(val_words):
        for ngram in dict.fromkeys(_ngrams(words, n)):
            in_val[ngram].append(index)
    # Only n-grams of the validation set are looked up, so memory does not grow with the training set. A training
    # prompt that is there many times counts once: repeats are no boilerplate.
    in_train: dict[str, list[int]] = defaultdict(list)
    for _, index in distinct_train:
        for ngram in in_val.keys() & set(_ngrams(train_words[index], n)):
            in_train[ngram].append(index)
    pairs: dict[tuple[int, int], list[str]] = defaultdict(list)
    texts = [" ".join(words) for words in val_words]
    for ngram in in_val:
        holders = in_train.get(ngram, [])
        if not holders or len(holders) > max_prompts or len({texts[index] for index in in_val[ngram]}) > max_prompts:
            continue
        for val_index in in_val[ngram]:
            for train_index in holders:
                pairs[val_index, train_index].append(ngram)
    shared: dict[int, dict[int, tuple[int, str]]] = defaultdict(dict)
    for (val_index, train_index), ngrams in pairs.items():
        shared[val_index][train_index] = (len(ngrams), min(ngrams))
    return shared
