from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
import torch

from lit_passk.functional import bootstrap, paired_difference, pass_at_k, pass_at_k_interval
from lit_passk.functional.bootstrap import mean_paired_difference, mean_pass_at_k_interval


def counts(num_problems, num_samples, seed=0):
    rng = np.random.default_rng(seed)
    rates = rng.beta(0.4, 1.0, size=num_problems)
    return torch.from_numpy(rng.binomial(num_samples, rates))


def resample_literally(num_correct, num_samples, k, draws, seed):
    """Problems with replacement, then each one's samples one by one with replacement; means of pass@k."""
    rng = np.random.default_rng(seed)
    samples = [np.arange(n) < c for c, n in zip(num_correct.tolist(), num_samples.tolist(), strict=True)]
    successes = np.empty((draws, len(samples)), dtype=np.int64)
    sizes = np.empty_like(successes)
    for draw, picks in enumerate(rng.integers(len(samples), size=successes.shape)):
        rows = [samples[pick] for pick in picks]
        sizes[draw] = [len(row) for row in rows]
        successes[draw] = [row[rng.integers(len(row), size=len(row))].sum() for row in rows]
    return pass_at_k(torch.from_numpy(successes), torch.from_numpy(sizes), k).mean(dim=1).numpy()


def test_interval_equals_resampling_sample_by_sample():
    num_samples = torch.tensor([8, 12, 16] * 8)
    num_correct = (counts(24, 1000) * num_samples) // 1000
    k = 4
    estimate, low, high = pass_at_k_interval(num_correct, num_samples, [k], draws=20_000)
    means = resample_literally(num_correct, num_samples, k, draws=4000, seed=1)
    centre = float((1 - (1 - num_correct / num_samples) ** k).double().mean())
    expected = np.quantile(means, [0.025, 0.975]) - centre + float(estimate)
    assert float(estimate) == pytest.approx(float(pass_at_k(num_correct, num_samples, k).mean()), abs=1e-15)
    assert [float(low), float(high)] == pytest.approx(expected.clip(0, 1), abs=8e-3)
    assert means.mean() == pytest.approx(centre, abs=4 * means.std() / np.sqrt(4000))  # what the centring is for


@pytest.mark.parametrize(("num_problems", "num_samples", "k"), [(30, 8, 1), (30, 8, 8), (100, 16, 16)])
def test_interval_covers_the_truth_about_as_often_as_it_says(num_problems, num_samples, k):
    """300 benchmarks drawn from a known distribution of success rates; 90 % intervals."""
    rng = np.random.default_rng(0)
    truth = float((1 - (1 - rng.beta(0.3, 1.0, size=1_000_000)) ** k).mean())
    covered = 0
    for repeat in range(300):
        num_correct = torch.from_numpy(rng.binomial(num_samples, rng.beta(0.3, 1.0, size=num_problems)))
        _, low, high = pass_at_k_interval(num_correct, num_samples, [k], draws=200, confidence=0.9, seed=repeat)
        covered += bool(low <= truth <= high)
    assert 0.85 <= covered / 300 <= 0.985


def test_interval_of_several_k_is_ordered_and_within_bounds():
    num_correct = counts(40, 64)
    estimate, low, high = pass_at_k_interval(num_correct, 64, [1, 2, 8, 64])
    assert (low <= estimate).all()
    assert (estimate <= high).all()
    assert low.min() >= 0
    assert high.max() <= 1
    assert (estimate.diff() > 0).all()


def test_wider_with_more_confidence_and_narrower_with_more_problems():
    def width(num_problems, confidence=0.95):
        _, low, high = pass_at_k_interval(counts(num_problems, 16), 16, [4], confidence=confidence)
        return float(high - low)

    assert width(50, 0.99) > width(50, 0.95) > width(50, 0.5)
    assert width(50) > 2 * width(800)


def test_the_order_of_problems_does_not_matter():
    num_correct, num_samples = counts(40, 8), torch.tensor([8, 16] * 20)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    there = pass_at_k_interval(num_correct, num_samples, [1, 4])
    back = pass_at_k_interval(num_correct[order], num_samples[order], [1, 4])
    torch.testing.assert_close(back, there, rtol=0, atol=1e-12)


def test_no_spread_where_every_sample_agrees():
    _, low, high = pass_at_k_interval(torch.tensor([8, 8, 8]), 8, [1, 4])
    assert (low == 1).all()
    assert (high == 1).all()


@pytest.mark.parametrize(("num_problems", "rows"), [(3, [3, 3, 3, 1]), (10, [1] * 10), (11, [1] * 10), (1, [10])])
def test_draws_come_in_chunks_and_are_as_many_as_asked_for(monkeypatch, num_problems, rows):
    monkeypatch.setattr(bootstrap, "_CHUNK", 10)
    chunks = list(bootstrap._pick(num_problems, 10, np.random.default_rng(0)))
    assert [chunk.shape for chunk in chunks] == [(n, num_problems) for n in rows]
    assert set(np.concatenate(chunks).ravel().tolist()) <= set(range(num_problems))


def test_chunks_change_nothing_but_the_draws(monkeypatch):
    whole = pass_at_k_interval(counts(30, 8), 8, [1, 4], draws=3000)
    monkeypatch.setattr(bootstrap, "_CHUNK", 100)
    torch.testing.assert_close(pass_at_k_interval(counts(30, 8), 8, [1, 4], draws=3000), whole, rtol=0, atol=0.02)


def test_a_difference_lies_between_minus_1_and_1():
    """One problem solved always and one never: what is drawn may deviate beyond the largest difference there is."""
    a, b = torch.tensor([8, 7, 8]), torch.tensor([0, 1, 0])
    assert paired_difference(a, b, 8, 8, k=1, confidence=0.999)[2] == 1.0  # exact: clamped
    assert paired_difference(b, a, 8, 8, k=1, confidence=0.999)[1] == -1.0  # exact: clamped


def test_the_least_that_is_taken():
    estimate, low, high = pass_at_k_interval(torch.tensor([1]), 2, [1], draws=1)
    assert float(low) == float(high)
    assert float(estimate) == 0.5
    with pytest.raises(ValueError, match="between 0 and 1, but got 0"):
        pass_at_k_interval(torch.tensor([1]), 2, [1], confidence=0)


def test_seed_decides():
    def draw(seed):
        return torch.stack(pass_at_k_interval(counts(30, 8), 8, [1, 4], seed=seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_correct": torch.tensor([], dtype=torch.int64)}, "at least one problem"),
        ({"num_correct": torch.tensor(3)}, "shape"),
        ({"ks": [1, 16]}, "needs n >= 16 .* n = 8"),
        ({"draws": 0}, "at least 1 draw"),
        ({"confidence": 1.0}, "between 0 and 1, but got 1.0"),
    ],
)
def test_bad_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k_interval(**{"num_correct": torch.tensor([1, 2]), "num_samples": 8, "ks": [1], **arguments})


def test_difference_is_that_of_the_means_and_changes_sign():
    a, b = counts(40, 16, seed=0), counts(40, 32, seed=1)
    difference, low, high = paired_difference(a, b, 16, 32, k=4)
    expected = float(pass_at_k(a, 16, 4).mean() - pass_at_k(b, 32, 4).mean())
    assert difference == pytest.approx(expected, abs=1e-14)
    assert low < difference < high
    other, other_low, other_high = paired_difference(b, a, 32, 16, k=4)
    assert [other, other_low, other_high] == pytest.approx([-difference, -high, -low], abs=0.01)


def test_pairing_uses_that_hard_problems_are_hard_for_both():
    """A small, even gain over problems of very different difficulty: seen in pairs, lost without."""
    b = torch.arange(0, 900, 10)
    a = b + 60
    difference, low, high = paired_difference(a, b, 1000, 1000, k=1)
    assert difference == pytest.approx(0.06)
    assert low > 0.05
    assert high < 0.07
    shuffled = a[torch.randperm(90, generator=torch.Generator().manual_seed(0))]
    unpaired, low, high = paired_difference(shuffled, b, 1000, 1000, k=1)
    assert unpaired == pytest.approx(difference)
    assert low < 0 < high


def test_difference_covers_zero_as_often_as_it_says():
    """200 pairs of runs of one and the same policy: a 90 % interval misses 0 in about one of ten."""
    rng = np.random.default_rng(3)
    missed = 0
    for repeat in range(200):
        rates = rng.beta(0.3, 1.0, size=60)
        a, b = (torch.from_numpy(rng.binomial(16, rates)) for _ in range(2))
        _, low, high = paired_difference(a, b, 16, 16, k=8, draws=200, confidence=0.9, seed=repeat)
        missed += not low <= 0 <= high
    assert missed / 200 <= 0.16


def test_difference_needs_the_same_problems():
    with pytest.raises(ValueError, match="got 2 and 3"):
        paired_difference(torch.tensor([1, 2]), torch.tensor([1, 2, 3]), 8, 8, k=1)
    with pytest.raises(ValueError, match=r"needs n >= 8 .* n = 4"):
        paired_difference(torch.tensor([1]), torch.tensor([1]), 8, 4, k=8)


def exact_distribution(seeds, k):
    """Every outcome of the two-level bootstrap with its probability: (deviation of mean pass@k, probability).

    ``seeds``: for each seed the (correct, samples) of each problem.
    """
    num_problems = len(seeds[0])
    centre = sum(1 - (1 - Fraction(c, n)) ** k for row in seeds for c, n in row) / (len(seeds) * num_problems)
    outcomes: dict[Fraction, Fraction] = {}
    for picks in product(range(num_problems), repeat=num_problems):
        drawn = [row[pick] for row in seeds for pick in picks]
        for correct in product(*(range(n + 1) for _, n in drawn)):
            chance = Fraction(1, num_problems**num_problems)
            value = Fraction(0)
            for redrawn, (c, n) in zip(correct, drawn, strict=True):
                rate = Fraction(c, n)
                chance *= comb(n, redrawn) * rate**redrawn * (1 - rate) ** (n - redrawn)
                value += 1 - Fraction(comb(n - redrawn, k), comb(n, k))
            deviation = value / len(drawn) - centre
            outcomes[deviation] = outcomes.get(deviation, Fraction(0)) + chance
    return outcomes


def mean_of_independent(one, other, sign=1):
    both: dict[Fraction, Fraction] = {}
    for (a, p), (b, q) in product(one.items(), other.items()):
        both[(a + sign * b) / 2] = both.get((a + sign * b) / 2, Fraction(0)) + p * q
    return both


def assert_is_interval_of(outcomes, estimate, low, high, confidence=0.8):
    """The bounds are quantiles of estimate + deviation, cut at 0 and 1: so much lies below each, up to the draws."""
    assert sum(outcomes.values()) == 1
    points = [(min(max(float(estimate + value), 0.0), 1.0), float(p)) for value, p in outcomes.items()]
    for bound, level in ((float(low), (1 - confidence) / 2), (float(high), (1 + confidence) / 2)):
        below = sum(p for point, p in points if point < bound - 1e-9)
        until = sum(p for point, p in points if point <= bound + 1e-9)
        assert below - 0.01 <= level <= until + 0.01


SEEDS = [[(1, 3), (3, 3)], [(2, 3), (2, 2)]]
OTHER = [[(1, 2), (2, 2), (0, 2)]]


def tensors(seeds):
    return tuple(torch.tensor([[pair[i] for pair in row] for row in seeds]) for i in (0, 1))


def test_interval_of_several_seeds_is_the_exact_one():
    for k in (1, 2):
        estimate, low, high = pass_at_k_interval(*tensors(SEEDS), [k], draws=40_000, confidence=0.8)
        exact = sum(1 - Fraction(comb(n - c, k), comb(n, k)) for row in SEEDS for c, n in row) / 4
        assert float(estimate) == pytest.approx(float(exact), abs=1e-12)
        assert_is_interval_of(exact_distribution(SEEDS, k), exact, low, high)


def test_one_seed_and_the_same_seed_twice():
    num_correct = counts(20, 8)
    one = pass_at_k_interval(num_correct, 8, [1, 4])
    torch.testing.assert_close(pass_at_k_interval(num_correct[None], 8, [1, 4]), one, rtol=0, atol=0)
    few = torch.tensor([1, 1, 1, 2, 0] * 4)
    _, low, high = pass_at_k_interval(few, 2, [1], draws=4000)
    _, low_of_two, high_of_two = pass_at_k_interval(torch.stack([few, few]), 2, [1], draws=4000)
    assert (high_of_two - low_of_two) < 0.95 * (high - low), "twice the samples of each problem"


def test_interval_of_a_mean_over_benchmarks_is_the_exact_one():
    estimate, low, high = mean_pass_at_k_interval([tensors(SEEDS), tensors(OTHER)], [1], draws=40_000, confidence=0.8)
    assert float(estimate) == pytest.approx((float(Fraction(1 + 3 + 2 + 3, 12)) + 0.5) / 2, abs=1e-12)
    exact = mean_of_independent(exact_distribution(SEEDS, 1), exact_distribution(OTHER, 1))
    assert_is_interval_of(exact, float(estimate), low, high)


def test_paired_difference_of_a_mean_over_benchmarks():
    pair = (torch.tensor([[1, 3], [2, 3]]), 3), (torch.tensor([0, 1]), 2)
    sure = (torch.tensor([2, 2]), 2), (torch.tensor([0, 0]), 2)
    value, low, high = mean_paired_difference([pair, sure], 1)
    one, one_low, one_high = paired_difference(pair[0][0], pair[1][0], 3, 2, 1)
    assert one == pytest.approx(9 / 12 - 1 / 4, abs=1e-12)
    assert value == pytest.approx((one + 1) / 2, abs=1e-12)
    assert [low - value, high - value] == pytest.approx([(one_low - one) / 2, (one_high - one) / 2], abs=1e-12)
    with pytest.raises(ValueError, match="the same problems twice"):
        mean_paired_difference([(pair[0], (torch.tensor([1]), 2))], 1)
