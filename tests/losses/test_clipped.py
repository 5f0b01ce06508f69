import math

import pytest
import torch

from lit_passk.losses import ClippedLoss


def test_hand_computed_case(make_inputs):
    """Two completions, ratios 1.5, 0.5, 1.1 (A = 2) and 0.5, 1.5 (A = -1); bounds 0.8 and 1.28."""
    inputs = make_inputs([[math.log(1.5), math.log(0.5), math.log(1.1)], [math.log(0.5), math.log(1.5)]], [2.0, -1.0])
    output = ClippedLoss()(inputs)
    losses = [-1.28 * 2, -0.5 * 2, -1.1 * 2, 0.8, 1.5]
    assert output.loss.item() == pytest.approx(sum(losses) / 5)
    gradient = torch.autograd.grad(output.loss, inputs.logprobs)[0]
    expected = [0.0, -0.5 * 2, -1.1 * 2, 0.0, 1.5]  # -ratio * A where not clipped
    assert gradient.tolist() == pytest.approx([value / 5 for value in expected])
    assert float(output.metrics["clip_fraction_high"]) == pytest.approx(1 / 5)
    assert float(output.metrics["clip_fraction_low"]) == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("token", (2 * 3 - 1) / 4), ("sequence", (2 - 1) / 2), ("constant", (2 * 3 - 1) / (2 * 10))],
)
def test_aggregation(make_inputs, aggregation, expected):
    """On policy a token's loss is -A: three tokens of A = -2, one of A = 1."""
    inputs = make_inputs([[0.0] * 3, [0.0]], [-2.0, 1.0], aggregation=aggregation)
    assert ClippedLoss()(inputs).loss.item() == pytest.approx(expected)


def test_bounds_of_zero_stop_every_step_away_but_none_back(make_inputs):
    inputs = make_inputs([[0.1, -0.1], [0.1, -0.1]], [1.0, -1.0])
    gradient = torch.autograd.grad(ClippedLoss(0.0, 0.0)(inputs).loss, inputs.logprobs)[0]
    assert [bool(value) for value in gradient] == [False, True, True, False]
