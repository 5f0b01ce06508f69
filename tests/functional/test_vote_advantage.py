"""Leaving one completion out of ``maj_at_k``, which counts in another way; tests/advantages enumerates small groups."""

import pytest
import torch

from lit_passk.functional.majority import count_votes, maj_at_k
from lit_passk.functional.vote_advantage import vote_advantage


@pytest.mark.parametrize(("group_size", "k", "num_answers"), [(40, 8, 9), (32, 31, 20), (150, 20, 40), (1024, 12, 3)])
def test_equals_leaving_one_out_of_the_mean_vote(group_size, k, num_answers):
    generator = torch.Generator().manual_seed(k)
    correct = torch.rand(3, group_size, generator=generator) < torch.tensor([[0.1], [0.4], [0.8]])
    answers = torch.where(correct, 0, torch.randint(-1, num_answers, correct.shape, generator=generator))
    advantages = vote_advantage(answers, correct, k)
    for prompt in range(3):
        given = [None if a == -1 else a for a in answers[prompt].tolist()]
        votes = count_votes(given, correct[prompt].tolist())
        names = list(dict.fromkeys(a for a in given if a is not None))
        for i in (0, group_size // 2, group_size - 1):
            if given[i] is None:
                others = votes._replace(num_silent=votes.num_silent - 1)
            else:  # its answer has a vote less, and is credited as before
                place = names.index(given[i])
                counts = [count - (n == place) for n, count in enumerate(votes.counts)]
                kept = [n for n, count in enumerate(counts) if count]
                others = votes._replace(counts=[counts[n] for n in kept], credit=[votes.credit[n] for n in kept])
            expected = (maj_at_k(votes, k) - maj_at_k(others, k)) * group_size / k
            assert float(advantages[prompt, i]) == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_prompts_do_not_change_each_other():
    answers = torch.tensor([[0, 1, 1, 2], [-1, -1, -1, -1], [3, 3, 3, 3], [9, 8, 7, 6]])
    correct = torch.tensor([[True, False, False, False], [False] * 4, [True] * 4, [True, True, False, True]])
    together = vote_advantage(answers, correct, 2)
    alone = torch.cat([vote_advantage(answers[row, None], correct[row, None], 2) for row in range(4)])
    torch.testing.assert_close(together, alone)
    assert not together[1:3].any()
