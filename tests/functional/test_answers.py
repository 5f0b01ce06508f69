from itertools import combinations

import pytest

from lit_passk.functional.answers import answer_diversity, distinct_at_k, normalize_answer, number_answers


@pytest.mark.parametrize(
    "spellings",
    [
        ["1/2", "0.5", ".50", r"\frac{1}{2}", r"\dfrac12", r"$\tfrac{2}{4}$", r"\(0.5\)", r"\boxed{1/2}", "+0.5"],
        ["-3", "-3.0", "\u22123", r"\frac{-6}{2}", r"-\frac{6}{2}", "$-3$."],
        ["1000", "1,000", "1000.00", r"1\,000", "1 000"],
        ["(1,2)", "( 1, 2 )", r"\left(1,\ 2\right)"],
        ["yes", "Yes", r"\text{Yes}", "YES."],
        ["b", "B", "(B)", r"\textbf{(B)}"],
        ["50", r"50\%", "50%", r"50^\circ"],
        [r"\sqrt{2}", r"$ \sqrt{2} $", r"$$\sqrt{2}$$"],
    ],
)
def test_one_answer_many_spellings(spellings):
    assert len({normalize_answer(spelling) for spelling in spellings}) == 1


def test_different_answers_stay_different():
    answers = [
        "1",
        "-1",
        "12",
        "1/3",
        "0.33",
        "x+1",
        "1+x",
        "(1,2)",
        "[1,2]",
        "1,2",
        r"\{1\},\{2\}",
        "..*",
        "X_1",
        "x_1",
    ]
    assert len({normalize_answer(answer) for answer in answers}) == len(answers)


@pytest.mark.parametrize(
    "odd", ["", ".", "1/0", r"\frac{1}{0}", "$", "{", r"\boxed{a} + \boxed{b}", "٣", "²", "e", "1e5"]
)
def test_odd_input_is_kept_and_stable(odd):
    once = normalize_answer(odd)
    assert normalize_answer(once) == once


@pytest.mark.parametrize("k", range(1, 8))
def test_distinct_at_k_equals_enumeration(k):
    answers = "aaabbcd"
    subsets = list(combinations(answers, k))
    expected = sum(len(set(subset)) for subset in subsets) / len(subsets)
    assert distinct_at_k([3, 2, 1, 1], k) == pytest.approx(expected, abs=1e-14)


def test_diversity_is_the_chance_that_two_differ():
    pairs = list(combinations("aaabbcd", 2))
    assert answer_diversity([3, 2, 1, 1]) == pytest.approx(sum(a != b for a, b in pairs) / len(pairs), abs=1e-14)
    with pytest.raises(ValueError, match="n >= 2"):
        answer_diversity([1])


def test_answers_are_numbered_by_what_they_say():
    assert number_answers(["b", r"\dfrac{1}{2}", None, "(B)", ".5", "c"]) == [0, 1, -1, 0, 1, 2]
    assert number_answers([]) == []
    program = "print(1)\n" * 200
    assert number_answers([program, program + " ", program]) == [0, 1, 0], "too long to be a final answer"


def test_two_boxes_are_not_one():
    assert number_answers([r"\boxed{5}", "5", r"\boxed{5}+\boxed{6}", r"5}+\boxed{6"]) == [0, 0, 1, 2]
