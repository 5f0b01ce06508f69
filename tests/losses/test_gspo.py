import math

import pytest
import torch

from lit_passk.losses import GSPOLoss

RATIO = math.exp((0.1 - 0.05 + 0.2) / 3)


def test_ratio_is_the_geometric_mean_and_clips_the_whole_completion(make_inputs):
    """Log-ratios .1, -.05, .2: s = 1.0869 for all tokens, outside the bounds."""
    assert pytest.approx(1.0869, abs=5e-5) == RATIO
    inputs = make_inputs([[0.1, -0.05, 0.2]], [2.0], aggregation="sequence")
    output = GSPOLoss()(inputs)
    assert output.loss.item() == pytest.approx(-2 * (1 + 4e-4))
    assert float(output.metrics["clip_fraction_high"]) == pytest.approx(1)
    assert not torch.autograd.grad(output.loss, inputs.logprobs)[0].any()


def test_wrong_completion_beyond_the_upper_bound_is_not_clipped(make_inputs):
    inputs = make_inputs([[0.1, -0.05, 0.2]], [-2.0], aggregation="sequence")
    output = GSPOLoss()(inputs)
    assert output.loss.item() == pytest.approx(2 * RATIO)
    assert [float(output.metrics[f"clip_fraction_{side}"]) for side in ("low", "high")] == [0, 0]
    # d/dlogprob_t of -s A / 1 = -s A / 3 for each of the three tokens
    gradient = torch.autograd.grad(output.loss, inputs.logprobs)[0]
    assert gradient.tolist() == pytest.approx([2 * RATIO / 3] * 3)


def test_completions_do_not_mix(make_inputs):
    log_ratios, advantages = [[2e-4, 0.0], [-3e-4, 1e-4, 5e-4], [-1.0]], [1.0, -0.5, 2.0]
    together = GSPOLoss()(make_inputs(log_ratios, advantages, aggregation="sequence")).loss
    apart = [
        GSPOLoss()(make_inputs([row], [advantage], aggregation="sequence")).loss
        for row, advantage in zip(log_ratios, advantages, strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(apart).mean())
    expected = [-math.exp(1e-4), 0.5 * math.exp(1e-4), -2 * math.exp(-1.0)]
    assert [loss.item() for loss in apart] == pytest.approx(expected)


def test_lower_bound(make_inputs):
    inputs = make_inputs([[-1e-3]], [-1.0])
    output = GSPOLoss()(inputs)
    assert output.loss.item() == pytest.approx(1 - 3e-4)
    assert float(output.metrics["clip_fraction_low"]) == pytest.approx(1)
