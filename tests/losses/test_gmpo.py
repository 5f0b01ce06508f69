import math

import pytest
import torch

from lit_passk.losses import GMPOLoss, GSPOLoss

LOG_RATIOS = [[0.5, -0.7, 0.1], [0.5, -0.7, 0.1], [0.9], [-0.9, -0.9]]
ADVANTAGES = [2.0, -1.0, -0.5, 0.3]


def papers(logprobs, old, rows, advantages, low, high):
    """``(prod_t min(r^s, clip(r)^s)^s)^(1/n)``, s the sign of A: the paper's objective, products first."""
    total, at = 0.0, 0
    for row, advantage in zip(rows, advantages, strict=True):
        n, sign = len(row), math.copysign(1, advantage)
        ratio = (logprobs[at : at + n] - old[at : at + n]).exp()
        bounded = ratio.clamp(math.exp(-low), math.exp(high))
        product = torch.minimum(ratio**sign, bounded**sign).prod() ** sign
        total = total - advantage * product ** (1 / n) / len(rows)
        at += n
    return total


def test_value_and_gradient_are_the_papers(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES, aggregation="sequence")
    logprobs = inputs.logprobs.detach().clone().requires_grad_()
    expected = papers(logprobs, inputs.old_logprobs, LOG_RATIOS, ADVANTAGES, 0.4, 0.3)
    output = GMPOLoss(log_clip_low=0.4, log_clip_high=0.3)(inputs)
    assert output.loss.item() == pytest.approx(expected.item())
    found, wanted = (torch.autograd.grad(*pair)[0] for pair in ((output.loss, inputs.logprobs), (expected, logprobs)))
    torch.testing.assert_close(found, wanted)
    assert [bool(g) for g in found] == [False, True, True, True, False, True, True, True, True]


def test_without_bounds_it_is_gspo_without_bounds(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    assert GMPOLoss(9.0, 9.0)(inputs).loss.item() == pytest.approx(GSPOLoss(1.0, 99.0)(inputs).loss.item())


def test_bounds_are_checked():
    with pytest.raises(ValueError, match="log_clip_low >= 0"):
        GMPOLoss(log_clip_low=-0.1)


@pytest.mark.parametrize("bound", [0.0, 0.4])
def test_fractions_count_tokens_past_the_bound_that_is_theirs(make_inputs, bound):
    """Of an advantage above 0 those past the upper bound, below 0 past the lower one, at 0 none; a bound is within."""
    metrics = GMPOLoss(bound, bound)(make_inputs([[0.9, -0.9, 0.0]] * 3, [1.0, -1.0, 0.0])).metrics
    assert float(metrics["clip_fraction_high"]) == pytest.approx(1 / 9)
    assert float(metrics["clip_fraction_low"]) == pytest.approx(1 / 9)
