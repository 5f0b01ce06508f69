import math

import pytest
import torch

from lit_passk.losses import SAPOLoss

RATIOS = [0.05, 0.5, 0.9, 1.0, 1.1, 2.0, 8.0]


def test_value_and_gradient_are_the_papers(make_inputs):
    """Value ``4 / tau sigmoid(tau (r - 1)) A``; the paper's weight of a token's gradient is ``4 p (1 - p) r``."""
    inputs = make_inputs([[math.log(r) for r in RATIOS]] * 2, [2.0, -0.5])
    output = SAPOLoss(tau_pos=0.8, tau_neg=1.7)(inputs)
    value, gradient = 0.0, []
    for advantage, tau in ((2.0, 0.8), (-0.5, 1.7)):
        for ratio in RATIOS:
            p = 1 / (1 + math.exp(-tau * (ratio - 1)))
            value -= 4 / tau * p * advantage / 14
            gradient.append(-4 * p * (1 - p) * ratio * advantage / 14)
    assert output.loss.item() == pytest.approx(value)
    assert torch.autograd.grad(output.loss, inputs.logprobs)[0].tolist() == pytest.approx(gradient)


def test_gate_is_one_on_policy_and_fades_on_both_sides(make_inputs):
    gates = [float(SAPOLoss()(make_inputs([[math.log(r)]], [1.0])).metrics["gate"]) for r in (0.1, 0.5, 1.0, 3.0, 10.0)]
    assert gates[2] == pytest.approx(1.0)
    assert gates[0] < gates[1] < 1 > gates[3] > gates[4]


@pytest.mark.parametrize("taus", [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (float("nan"), 1.0)])
def test_taus_are_checked(taus):
    with pytest.raises(ValueError, match="tau_pos > 0 and tau_neg > 0"):
        SAPOLoss(*taus)


def test_an_advantage_of_zero_has_the_gate_of_negative_ones(make_inputs):
    loss = SAPOLoss(tau_pos=0.1, tau_neg=0.2)  # any tau above 0 will do
    gates = [float(loss(make_inputs([[1.0]], [advantage])).metrics["gate"]) for advantage in (1.0, 0.0, -1.0)]
    assert gates[0] > gates[1] == pytest.approx(gates[2])
