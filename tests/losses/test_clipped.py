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


def test_dual_clip_by_hand(make_inputs):
    """Ratios 5 and 2 at A = -1 and 5 at A = 1, with a bound of 3: the first counts 3 and has no gradient."""
    inputs = make_inputs([[math.log(5), math.log(2)], [math.log(5)]], [-1.0, 1.0])
    output = ClippedLoss(0.2, 0.28, dual_clip=3.0)(inputs)
    assert output.loss.item() == pytest.approx((3 + 2 - 1.28) / 3)
    gradient = torch.autograd.grad(output.loss, inputs.logprobs)[0]
    assert gradient.tolist() == pytest.approx([0.0, 2 / 3, 0.0])
    assert float(output.metrics["clip_fraction_dual"]) == pytest.approx(1 / 3)


def test_dual_clip_is_the_papers_formula(make_inputs):
    """``max(min(r A, clip(r) A), c A)`` where A < 0, on a grid, against autograd in float64."""
    values = [[math.log(r) for r in (0.1, 0.7, 0.9, 1.1, 1.4, 2.0, 2.9, 3.1, 9.0)]] * 2
    inputs = make_inputs(values, [-0.7, 1.3])
    logprobs = inputs.logprobs.detach().clone().requires_grad_()
    r, a = (logprobs - inputs.old_logprobs).exp(), inputs.advantages
    surrogate = torch.minimum(r * a, r.clamp(0.8, 1.28) * a)
    expected = -(inputs.weights * torch.where(a < 0, torch.maximum(surrogate, 3 * a), surrogate)).sum()
    output = ClippedLoss(0.2, 0.28, dual_clip=3.0)(inputs)
    assert output.loss.item() == pytest.approx(expected.item())
    found, wanted = (torch.autograd.grad(*pair)[0] for pair in ((output.loss, inputs.logprobs), (expected, logprobs)))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("bound", [1.0, 0.5, float("nan")])
def test_dual_clip_below_one_is_refused(bound):
    with pytest.raises(ValueError, match="dual_clip > 1"):
        ClippedLoss(dual_clip=bound)


def test_dual_clip_is_about_negative_advantages_and_any_bound_above_one(make_inputs):
    output = ClippedLoss(dual_clip=1.5)(make_inputs([[math.log(5)]] * 3, [1.0, 0.0, -1.0]))
    assert float(output.metrics["clip_fraction_dual"]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="dual_clip > 1"):
        ClippedLoss(dual_clip=1.0)
