import pytest
import torch

from lit_passk.functional.policy_loss import clipped_surrogate, completion_mean, completion_quantile, token_weights

LENGTHS = torch.tensor([1, 3, 2])
LOSSES = [torch.tensor([4.0]), torch.tensor([1.0, 2.0, 6.0]), torch.tensor([5.0, 0.0])]


def aggregate(aggregation, **totals):
    weights = token_weights(LENGTHS, aggregation, **totals)
    return float((weights.repeat_interleave(LENGTHS) * torch.cat(LOSSES)).sum())


def test_token_weights_give_the_mean_over_tokens():
    assert aggregate("token", total_tokens=6, total_completions=3, max_tokens=8) == pytest.approx(18 / 6)


def test_sequence_weights_give_the_mean_of_means():
    assert aggregate("sequence", total_tokens=6, total_completions=3, max_tokens=8) == pytest.approx((4 + 3 + 2.5) / 3)


def test_constant_weights_give_the_sum_over_a_constant():
    assert aggregate("constant", total_tokens=6, total_completions=3, max_tokens=8) == pytest.approx(18 / (3 * 8))


@pytest.mark.parametrize(
    ("aggregation", "expected"), [("token", 18 / 20), ("sequence", 9.5 / 6), ("constant", 18 / 48)]
)
def test_completions_that_were_left_out_stay_in_the_denominator(aggregation, expected):
    """Three more completions of 14 tokens in total, whose advantage and therefore loss is zero."""
    assert aggregate(aggregation, total_tokens=20, total_completions=6, max_tokens=8) == pytest.approx(expected)


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
def test_micro_batches_add_up_to_the_whole(aggregation):
    totals = {"total_tokens": 6, "total_completions": 3, "max_tokens": 8}
    parts = [token_weights(LENGTHS[part], aggregation, **totals) for part in ([0], [1, 2])]
    assert torch.equal(torch.cat(parts), token_weights(LENGTHS, aggregation, **totals))
    none = token_weights(LENGTHS[:0], aggregation, **totals)
    assert (none.shape, none.dtype) == ((0,), torch.float32)


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="token, sequence, constant, but got 'mean'"):
        token_weights(LENGTHS, "mean", total_tokens=6, total_completions=3, max_tokens=8)
    with pytest.raises(ValueError, match="at least 1 token, but one has 0"):
        token_weights(torch.tensor([2, 0]), "token", total_tokens=6, total_completions=3, max_tokens=8)


def test_clipped_surrogate_values_and_gradients():
    ratio = torch.tensor([0.5, 0.9, 1.0, 1.2, 1.5] * 2, requires_grad=True)
    advantages = torch.tensor([2.0] * 5 + [-2.0] * 5)
    surrogate = clipped_surrogate(ratio, advantages, clip_low=0.2, clip_high=0.28)
    expected = [1.0, 1.8, 2.0, 2.4, 2.56, -1.6, -1.8, -2.0, -2.4, -3.0]
    assert surrogate.tolist() == pytest.approx(expected)
    gradients = torch.autograd.grad(surrogate.sum(), ratio)[0]
    assert gradients.tolist() == [2.0, 2.0, 2.0, 2.0, 0.0, 0.0, -2.0, -2.0, -2.0, -2.0]


def test_completion_mean_values_and_gradients():
    values = torch.tensor([1.0, 3.0, 5.0, 10.0, 20.0, 60.0], requires_grad=True)
    means = completion_mean(values, torch.tensor([2, 2, 3, 9, 9, 9]))
    assert means.tolist() == [2.0, 2.0, 5.0, 30.0, 30.0, 30.0]
    gradient = torch.autograd.grad(means[3] + 4 * means[0], values)[0]
    assert gradient.tolist() == pytest.approx([2, 2, 0, 1 / 3, 1 / 3, 1 / 3])


def test_completion_mean_of_no_tokens():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert completion_mean(torch.zeros(0), nothing).shape == completion_quantile(torch.zeros(0), nothing, 0.5).shape


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_completion_quantile_is_that_of_each_completion(q):
    lengths = torch.tensor([1, 2, 7, 1, 33, 6])
    index = (5 * torch.arange(6) + 2).repeat_interleave(lengths)
    values = torch.randint(0, 9, (50,), generator=torch.Generator().manual_seed(0)).double() / 8  # with ties
    expected = [part.quantile(q).expand(len(part)) for part in values.split(lengths.tolist())]
    torch.testing.assert_close(completion_quantile(values, index, q), torch.cat(expected))
