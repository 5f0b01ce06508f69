from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
import torch

from lit_passk.functional.pass_hat_k import pass_hat_k


@pytest.mark.parametrize("k", range(1, 7))
def test_equals_enumeration(k):
    for num_correct in range(7):
        subsets = list(combinations([True] * num_correct + [False] * (6 - num_correct), k))
        expected = sum(map(all, subsets)) / len(subsets)
        assert pass_hat_k(torch.tensor([num_correct]), 6, k).item() == pytest.approx(expected, abs=1e-15)


def test_small_values_keep_their_digits_with_ragged_groups():
    correct, samples = torch.tensor([600, 1023, 40]), torch.tensor([1024, 1024, 64])
    exact = [float(Fraction(comb(c, 40), comb(n, 40))) for c, n in zip(correct.tolist(), samples.tolist(), strict=True)]
    assert exact[2] < 1e-17
    torch.testing.assert_close(
        pass_hat_k(correct, samples, 40), torch.tensor(exact, dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_too_few_completions():
    with pytest.raises(ValueError, match="n >= 5"):
        pass_hat_k(torch.tensor([1]), 4, 5)
