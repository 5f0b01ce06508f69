from fractions import Fraction
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.functional.g_pass_at_k import hypergeometric_pmf
from lit_passk.functional.majority import Votes, count_votes, maj_at_k
from lit_passk.functional.pass_at_k import pass_at_k


def enumerate_majority(answers, correct, k):
    """Every subset; ties shared equally; the winner is as right as its members in the subset are on average."""
    total, subsets = Fraction(0), list(combinations(zip(answers, correct, strict=True), k))
    for subset in subsets:
        ballots = {}
        for answer, verdict in subset:
            if answer is not None:
                ballots.setdefault(answer, []).append(verdict)
        most = max(map(len, ballots.values()), default=0)
        tied = [Fraction(sum(ballot), len(ballot)) for ballot in ballots.values() if len(ballot) == most]
        total += sum(tied, Fraction(0)) / len(tied) if tied else 0
    return float(total / len(subsets))


ANSWER = st.sampled_from([(None, False), ("a", True), ("b", False), ("c", False), ("d", True), ("d", False)])


@settings(max_examples=150, deadline=None)
@given(st.lists(ANSWER, min_size=1, max_size=9), st.data())
def test_equals_enumeration(group, data):
    answers, correct = zip(*group, strict=True)
    k = data.draw(st.integers(1, len(group)))
    expected = enumerate_majority(answers, correct, k)
    assert maj_at_k(count_votes(answers, correct), k) == pytest.approx(expected, abs=1e-12)


def test_many_ways_to_tie():
    # Eight answers given once each: any subset is an 8-way-or-less tie, so the right one wins with chance 1 / 8.
    votes = Votes(counts=(1,) * 8, credit=(1.0,) + (0.0,) * 7)
    assert [maj_at_k(votes, k) for k in range(1, 9)] == pytest.approx([1 / 8] * 8, abs=1e-14)


@pytest.mark.seconds
def test_one_vote_is_the_solve_rate_and_two_answers_follow_the_binomial_tail():
    votes = Votes(counts=(40, 24), credit=(0.0, 1.0))
    assert maj_at_k(votes, 1) == pytest.approx(24 / 64, abs=1e-13)
    # With two answers and odd k the minority wins where it holds more than half: G-Pass@k above 1/2.
    tail = hypergeometric_pmf(torch.tensor([24]), 64, 31)[0, 16:].sum().item()
    assert maj_at_k(votes, 31) == pytest.approx(tail, abs=1e-12)


@pytest.mark.seconds
def test_stable_at_1024_completions():
    votes = Votes(counts=(512, 511), credit=(1.0, 0.0), num_silent=1)
    assert 0.5 < maj_at_k(votes, 51) < maj_at_k(votes, 301) < 1
    # With one answer and many silent completions it is the chance that any answer is drawn: pass@k.
    lonely = Votes(counts=(3,), credit=(1.0,), num_silent=1021)
    assert maj_at_k(lonely, 256) == pytest.approx(pass_at_k(torch.tensor([3]), 1024, 256).item(), abs=1e-11)


def test_all_silent_is_wrong_and_k_is_checked():
    assert maj_at_k(Votes((), (), 4), 2) == 0
    assert maj_at_k(Votes((), (), 4), 4) == 0
    with pytest.raises(ValueError, match="1 <= k <= n"):
        maj_at_k(Votes((2,), (1.0,)), 3)
