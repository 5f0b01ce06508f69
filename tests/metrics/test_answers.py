from itertools import combinations

import pytest

from lit_passk.metrics import AnswerDiversity, MajorityAtK

ANSWERS = [["1/2", "0.5", "7", None, "8"], ["b", "(A)", "A"]]
CORRECT = [[True, True, False, False, False], [False, True, True]]


def test_majority_equals_enumeration():
    metric = MajorityAtK(ks=[1, 3])
    metric.update(ANSWERS, CORRECT, [4, 2])
    # Of the ten triples of problem 4: three hold both halves, which win; six hold one, which ties with all that vote.
    first = (3 * 1 + sum(1 / len([a for a in t if a is not None]) for t in triples_with_one_half())) / 10
    assert float(metric.compute()["maj@3"]) == pytest.approx((first + 1) / 2, abs=1e-12)
    assert float(metric.compute()["maj@1"]) == pytest.approx((2 / 5 + 2 / 3) / 2, abs=1e-12)


def triples_with_one_half():
    return [t for t in combinations(["half", "half", "7", None, "8"], 3) if t.count("half") == 1]


def test_parts_of_a_problem_vote_together():
    whole, parts = MajorityAtK(ks=[3]), MajorityAtK(ks=[3])
    whole.update(ANSWERS, CORRECT, [4, 2])
    parts.update([ANSWERS[0][3:]], [CORRECT[0][3:]], [4])
    parts.update([ANSWERS[1], ANSWERS[0][:3]], [CORRECT[1], CORRECT[0][:3]], [2, 4])
    assert parts.compute() == whole.compute()


def test_diversity_leaves_out_the_silent():
    metric = AnswerDiversity(ks=[2, 4])
    metric.update([*ANSWERS, [None, None]], [*CORRECT, [False, False]], [4, 2, 7])
    pairs_differ = [5 / 6, 2 / 3]  # of 1/2, 1/2, 7, 8 and of b, a, a
    expected = {"answer_diversity": sum(pairs_differ) / 2, "distinct@2": 1 + sum(pairs_differ) / 2, "distinct@4": 3.0}
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected, abs=1e-12)


def test_two_answers_are_enough_to_differ():
    metric = AnswerDiversity(ks=[])
    metric.update([["1", "2", None], ["3", "3"]], [[True, False, False], [True, True]], [0, 1])
    assert float(metric.compute()["answer_diversity"]) == pytest.approx(1 / 2, abs=1e-12)


def test_nothing_to_compare_is_nan():
    metric = AnswerDiversity(ks=[8])
    metric.update([["1"]], [[True]], [0])
    assert all(value.isnan() for value in metric.compute().values())


def test_refusals():
    with pytest.raises(ValueError, match="problem 4 has 5 answers and 4 values of `correct`"):
        MajorityAtK().update(ANSWERS[:1], [CORRECT[0][:4]], [4])
    with pytest.raises(ValueError, match="an id for each of 2 problems, but got 1"):
        MajorityAtK().update(ANSWERS, CORRECT, [4])
    with pytest.raises(ValueError, match="is shorter than"):
        MajorityAtK().update(ANSWERS, CORRECT[:1], [4, 2])


def test_too_few_votes_leave_a_problem_out_and_all_of_them_vote_in_maj_at_n():
    metric = MajorityAtK(ks=[4, 6])
    metric.update(ANSWERS, [CORRECT[0], [True, False, False]], [4, 2])
    result = metric.compute()
    only = MajorityAtK(ks=[4])
    only.update(ANSWERS[:1], CORRECT[:1], [4])
    assert float(result["maj@4"]) == pytest.approx(float(only.compute()["maj@4"]), abs=1e-12)
    assert result["maj@6"].isnan()
    assert float(result["maj@n"]) == pytest.approx((1 + 0) / 2, abs=1e-12)
