"""The parts against their formulas in exact fractions, and against the examples of the documentation they are from."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from lit_passk.errors import Refusal
from lit_passk.rewards import (
    Format,
    LengthPenalty,
    RelativeLength,
    Repetition,
    RewardPart,
    SoftOverlong,
    Verdict,
)
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText, Problem, Score

PROBLEM = Problem(id="p", prompt="1 + 1", answer="2")
RIGHT, WRONG = Score(reward=1.0, correct=True), Score(reward=0.0, correct=False)


def value(part: RewardPart, text: str = "", num_tokens: int = 0, score: Score = WRONG, token_ids=None) -> float:
    return part.value(PROBLEM, CompletionText(text, num_tokens, token_ids=token_ids), score)


@pytest.mark.parametrize(("max_tokens", "buffer"), [(100, 20), (16, 16), (7, 3), (16384, 4096), (5, 1)])
def test_soft_overlong_is_eq_13_of_dapo(max_tokens, buffer):
    for n in {0, 1, *range(max_tokens - buffer - 1, max_tokens + 3), 10 * max_tokens} - {-1}:
        if n <= max_tokens - buffer:
            expected = Fraction(0)
        elif n <= max_tokens:
            expected = Fraction(max_tokens - buffer - n, buffer)
        else:
            expected = Fraction(-1)
        assert value(SoftOverlong(max_tokens, buffer), num_tokens=n) == pytest.approx(float(expected))


def test_a_price_on_tokens():
    part = LengthPenalty(per_token=0.01, free_tokens=50)
    assert [value(part, num_tokens=n) for n in (0, 50, 51, 150)] == pytest.approx([0, 0, -0.01, -1])
    assert value(LengthPenalty(per_token=0.5), num_tokens=3) == pytest.approx(-1.5)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_relative_length_is_that_of_kimi(size):
    for lengths, correct in product(product([1, 2, 5], repeat=size), product([True, False], repeat=size)):
        shortest, longest = min(lengths), max(lengths)
        expected = []
        for n, right in zip(lengths, correct, strict=True):
            if shortest == longest:
                expected.append(0.0)
            else:
                v = Fraction(1, 2) - Fraction(n - shortest, longest - shortest)
                expected.append(float(v if right else min(Fraction(0), v)))
        texts = [CompletionText("", n) for n in lengths]
        found = RelativeLength().group_values(PROBLEM, texts, [RIGHT if right else WRONG for right in correct])
        assert found == pytest.approx(expected)


def test_a_part_about_the_group_takes_one_completion_as_a_group():
    assert value(RelativeLength(), num_tokens=7, score=RIGHT) == 0


def test_a_part_about_one_completion_goes_through_a_group():
    texts = [CompletionText("", n) for n in (80, 90, 100)]
    assert SoftOverlong(100, 20).group_values(PROBLEM, texts, [RIGHT] * 3) == pytest.approx([0, -0.5, -1])


@pytest.mark.parametrize(
    ("ngram", "tokens"),
    [(2, [1, 2, 3, 4]), (2, [5] * 5), (3, [1, 2, 1, 2, 1, 2]), (1, [7, 7, 8]), (4, [1, 2, 3]), (3, []), (3, [1, 2, 3])],
)
def test_repetition_counts_ngrams(ngram, tokens):
    total = max(len(tokens) - ngram + 1, 0)
    repeats = sum(
        any(tokens[i : i + ngram] == tokens[j : j + ngram] for j in range(i)) for i in range(total)
    )  # of each n-gram: whether it was there before
    expected = -float(Fraction(repeats, total)) if total else 0.0
    assert value(Repetition(ngram), token_ids=tokens) == pytest.approx(expected)
    words = " ".join(f"W{token}" if i % 2 else f"w{token}" for i, token in enumerate(tokens))
    assert value(Repetition(ngram, "words"), words) == pytest.approx(expected), "whatever their case"


def test_repetition_of_trls_documentation():
    assert value(Repetition(2), token_ids=[1, 2, 3, 4]) == 0
    assert value(Repetition(2), token_ids=[5, 5, 5, 5, 5]) == pytest.approx(-0.75)


def test_repetition_of_tokens_says_that_a_result_file_has_none():
    with pytest.raises(BadScore, match=r"a result file has none: set its unit to words"):
        value(Repetition(), "some words")


THINK = "<think>a</think>\n<answer>b</answer>"


@pytest.mark.parametrize(
    ("settings", "text", "fits"),
    [
        ({"tags": ["think", "answer"]}, THINK, True),
        ({"tags": ["think", "answer"]}, f"First {THINK} last", True),
        ({"tags": ["think"]}, THINK, True),
        ({"tags": ["answer", "think"]}, THINK, False),
        ({"tags": ["think", "answer"]}, "<think>a<answer>b</answer></think>", False),
        ({"tags": ["think", "answer"]}, "<think>a</think>", False),
        ({"tags": ["think"]}, "</think>a<think>", False),
        ({"tags": ["think"]}, "<think>a</think><think>b</think>", False),
        ({"tags": ["think"]}, "", False),
        ({"tags": ["think"]}, "a</think>b", False),
        ({"tags": ["think"], "prefix": "<think>\n"}, "a</think>b", True),
        ({"tags": ["think"], "prefix": "<think>\n"}, "<think>a</think>b", False),
        ({"pattern": r"^<think>.*?</think>\s*<answer>.*?</answer>$"}, THINK, True),
        ({"pattern": r"^<think>.*?</think>\s*<answer>.*?</answer>$"}, f"{THINK}.", False),
        ({"pattern": r"^<think>.*?</think>"}, "<think>two\nlines</think> and more", True),
        ({"pattern": r"\\boxed\{\d+\}"}, r"So it is \boxed{12}.", True),
        ({"pattern": r"\\boxed\{\d+\}"}, r"So it is \boxed{x}.", False),
        ({"pattern": r"(?i)the answer is"}, "The Answer Is 2", True),
        ({"pattern": r"^<think>.*</think>", "prefix": "<think>"}, "a</think>b", True),
    ],
)
def test_format(settings, text, fits):
    assert value(Format(**settings), text) == fits


def test_the_verdict_is_the_tasks_reward():
    assert value(Verdict(), score=Score(reward=0.25, correct=False)) == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftOverlong(100, 0), "buffer from 1 to max_tokens, but got buffer=0, max_tokens=100"),
        (lambda: SoftOverlong(100, 101), "buffer=101"),
        (lambda: LengthPenalty(0.0), "price per_token above 0"),
        (lambda: LengthPenalty(-0.1), "per_token=-0.1"),
        (lambda: LengthPenalty(float("nan")), "per_token=nan"),
        (lambda: LengthPenalty(0.1, -1), "free_tokens=-1"),
        (lambda: Repetition(0), "ngram >= 1"),
        (lambda: Repetition(2, "lines"), "unit tokens or words, but got 2 and 'lines'"),
        (lambda: Format(), "either a pattern or tags, but got pattern=None and tags=None"),
        (lambda: Format(tags=[]), r"tags=\[\]"),
        (lambda: Format(pattern="x", tags=["a"]), "either a pattern or tags"),
        (lambda: Format(pattern="("), r"regular expression as its pattern, but got '\(': missing \)"),
        (lambda: Format(tags=["<think>"]), "names of tags without brackets, such as 'think', but got '<think>'"),
        (lambda: Format(tags=["a", "b", "a"]), r"every tag once, but got \['a', 'b', 'a'\]"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, message):
    with pytest.raises(Refusal, match=message):
        make()
