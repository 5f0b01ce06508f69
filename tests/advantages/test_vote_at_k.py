from collections import Counter
from fractions import Fraction

import pytest
import torch
from helpers.exact import expected_gradient, objective_gradient, outcomes, rational, with_and_without
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.advantages import RLOO, VoteAtK
from lit_passk.functional.vote_advantage import vote_advantage


def vote(answers, credit):
    """Share of the leading answers that is correct; a vote without votes is lost."""
    counts = Counter(answer for answer in answers if answer != -1)
    if not counts:
        return Fraction()
    leading = [answer for answer, count in counts.items() if count == max(counts.values())]
    return sum(credit[answer] for answer in leading) / len(leading)


def credit_of(answers, correct):
    given_by = Counter(answers)
    right = Counter(answer for answer, is_right in zip(answers, correct, strict=True) if is_right)
    return {answer: Fraction(right[answer], count) for answer, count in given_by.items()}


def ask(make_context, k, answers, correct):
    rewards = torch.tensor(correct).float()
    return VoteAtK(k)(rewards, make_context(correct, answers=torch.tensor(answers)))


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(2, 8))
def test_equals_enumeration(data, size):
    """Ties, completions without an answer, and equal answers that were scored differently included."""
    answers = data.draw(st.lists(st.sampled_from([-1, 0, 1, 2, 5]), min_size=size, max_size=size))
    correct = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    credit = credit_of(answers, correct)
    for k in range(1, size):
        _, with_it, without = with_and_without(size, k, lambda y: vote([answers[i] for i in y], credit))
        expected = [float(q - v) for q, v in zip(with_it, without, strict=True)]
        actual = vote_advantage(torch.tensor([answers]), torch.tensor([correct]), k)[0].tolist()
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert [a != 0 for a in actual] == [e != 0 for e in expected]
        assert sum(actual) == pytest.approx(0, abs=1e-12)


def test_a_tie_is_broken_by_lot(make_context):
    """Two completions of three: right and wrong tie, right and none is right, wrong and none is wrong."""
    actual = ask(make_context, 2, [[0, 1, -1]], [[True, False, False]])[0].tolist()
    assert actual == pytest.approx([0.75 - 0, 0.25 - 1, 0.5 - 0.5], abs=1e-6)


@pytest.mark.parametrize(("group_size", "k"), [(3, 2), (4, 2), (4, 3)])
def test_times_k_over_g_is_an_unbiased_gradient_of_maj_at_k(make_context, group_size, k):
    """Four completions that a policy can make: right, the same wrong answer in two ways, and no answer."""
    answers, right = [3, 7, 7, -1], [True, False, False, False]
    chances = [Fraction(1, 3), Fraction(1, 4), Fraction(1, 4), Fraction(1, 6)]
    sampled = outcomes(4, group_size)
    advantages = ask(
        make_context, k, [[answers[y] for y in row] for row in sampled], [[right[y] for y in row] for row in sampled]
    )
    exact = [[rational(a) * Fraction(k, group_size) for a in row] for row in advantages.tolist()]
    credit = {3: Fraction(1), 7: Fraction()}
    wanted = objective_gradient(chances, k, lambda y: vote([answers[o] for o in y], credit))
    assert expected_gradient(chances, sampled, exact) == wanted


def test_one_vote_is_rloo(make_context, group):
    correct = group(8, 3)
    actual = ask(make_context, 1, (1 - correct).long().tolist(), correct.bool().tolist())
    torch.testing.assert_close(actual, RLOO()(correct))


def test_agreeing_wrong_answers_cost_most(make_context):
    answers = [[0, 0, 0, 1, 1, 2]]
    advantages = ask(make_context, 3, answers, [[True] * 3 + [False] * 3])[0]
    assert advantages[0] > 0 > advantages[5] > advantages[3]


@pytest.mark.parametrize("num_correct", [0, 6])
def test_nothing_to_learn_where_all_or_none_are_correct(make_context, num_correct):
    answers = [[0, 0, 1, 1, 1, 2]]
    assert not ask(make_context, 3, answers, [[i < num_correct for i in range(6)]]).any()


def test_numbers_of_answers_are_names_only(make_context, group):
    correct = [[True, True, False, False, False]]
    first = ask(make_context, 3, [[0, 0, 1, 1, 2]], correct)
    assert torch.equal(ask(make_context, 3, [[9, 9, 4, 4, 0]], correct), first)


def test_without_answers_is_refused(make_context, group):
    for context in (None, make_context(group(8, 2))):
        with pytest.raises(ValueError, match="without them"):
            VoteAtK(4)(group(8, 2), context)
    with pytest.raises(ValueError, match=r"`context.answers` must have the shape .* \(1, 8\), but got \(2, 8\)"):
        VoteAtK(4)(group(8, 2), make_context(group(8, 2), answers=torch.zeros(2, 8, dtype=torch.int64)))
