from fractions import Fraction
from math import ceil

import pytest
import torch

from lit_passk.functional.solve_rate import coverage, mean_at_n, threshold_count


def test_mean_at_n_with_ragged_groups():
    torch.testing.assert_close(
        mean_at_n(torch.tensor([1, 3, 0]), torch.tensor([4, 3, 7])), torch.tensor([0.25, 1.0, 0.0]).double()
    )


def test_coverage_counts_problems_at_the_threshold():
    correct, samples = torch.tensor([0, 1, 2, 3, 5]), torch.tensor([4, 4, 4, 4, 10])
    assert coverage(correct, samples, 0.5).tolist() == [0, 0, 1, 1, 1]
    assert coverage(correct, samples, 0.0).tolist() == [0, 1, 1, 1, 1]
    assert coverage(correct, samples, 1.0).tolist() == [0, 0, 0, 0, 0]


def test_threshold_count_is_the_exact_ceiling():
    for percent in range(101):
        for total in (1, 7, 16, 100, 1024):
            assert threshold_count(percent / 100, total).item() == ceil(Fraction(percent, 100) * total)


def test_refusals():
    with pytest.raises(ValueError, match="share in"):
        coverage(torch.tensor([1]), 4, -0.1)
    with pytest.raises(ValueError, match="num_correct"):
        mean_at_n(torch.tensor([5]), 4)


def test_one_completion_is_enough_and_a_threshold_of_zero_asks_for_one():
    assert mean_at_n(torch.tensor([0, 1]), 1).tolist() == [0.0, 1.0]
    assert coverage(torch.tensor([0, 1]), 1, threshold=1.0).tolist() == [0.0, 1.0]
    assert coverage(torch.tensor([0, 1, 4]), 4, threshold=0.0).tolist() == [0.0, 1.0, 1.0]
