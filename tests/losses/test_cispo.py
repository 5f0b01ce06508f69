import math

import pytest
import torch

from lit_passk.losses import CISPOLoss


def test_hand_computed_case(make_inputs):
    """Ratios 7 (counts 6), 0.25 and 1 at A = 2; the value is -clip(ratio) A logprobs."""
    inputs = make_inputs([[math.log(7), math.log(0.25), 0.0]], [2.0])
    output = CISPOLoss()(inputs)
    weights = [6.0, 0.25, 1.0]
    expected = -sum(w * 2 * logprob for w, logprob in zip(weights, inputs.logprobs.tolist(), strict=True)) / 3
    assert output.loss.item() == pytest.approx(expected)
    assert float(output.metrics["clip_fraction_high"]) == pytest.approx(1 / 3)
    assert float(output.metrics["clip_fraction_low"]) == 0


def test_gradient_is_the_capped_ratio_times_advantage_and_never_zero(make_inputs):
    inputs = make_inputs([[math.log(7), math.log(0.25)], [math.log(7), math.log(0.25)]], [2.0, -1.0])
    gradient = torch.autograd.grad(CISPOLoss()(inputs).loss, inputs.logprobs)[0]
    assert gradient.tolist() == pytest.approx([-6 * 2 / 4, -0.25 * 2 / 4, 6 / 4, 0.25 / 4])


def test_lower_bound(make_inputs):
    inputs = make_inputs([[math.log(0.25)]], [-1.0])
    output = CISPOLoss(clip_low=0.2)(inputs)
    assert torch.autograd.grad(output.loss, inputs.logprobs)[0].tolist() == pytest.approx([0.8])
    assert float(output.metrics["clip_fraction_low"]) == pytest.approx(1)
