"""What every policy loss promises, whatever its formula."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from jsonargparse import ArgumentParser

from lit_passk import losses
from lit_passk.losses import (
    CISPOLoss,
    ClipCovLoss,
    ClippedLoss,
    GMPOLoss,
    GSPOLoss,
    KLCovLoss,
    LossInputs,
    PolicyLoss,
    SAPOLoss,
    SimKOLoss,
)

LOSSES = [
    ClippedLoss(),
    GSPOLoss(),
    GMPOLoss(),
    CISPOLoss(),
    SAPOLoss(),
    ClipCovLoss(cov_low=100.0, cov_high=101.0),  # leaves nothing out: REINFORCE on policy like the others
    KLCovLoss(share=0.3),
    SimKOLoss(alpha=0.3, entropy_quantile=0.3),
]
CLIPPED = {"clip_fraction_low", "clip_fraction_high"}
METRICS = {
    "ClippedLoss": CLIPPED,
    "GSPOLoss": CLIPPED,
    "GMPOLoss": CLIPPED,
    "CISPOLoss": CLIPPED,
    "SAPOLoss": {"gate"},
    "ClipCovLoss": {*CLIPPED, "left_out"},
    "KLCovLoss": {"penalised"},
    "SimKOLoss": {*CLIPPED, "shared", "top_penalised"},
}
LOG_RATIOS = [[0.1, -0.05, 0.2], [0.0], [-0.5, 0.4], [3e-4, -1e-4, 2e-4, 0.0]]
ADVANTAGES = [1.0, -2.0, -0.5, 0.7]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)


def gradient(loss, inputs):
    return torch.autograd.grad(loss(inputs).loss, inputs.logprobs)[0]


def select(inputs, chosen):
    fields = {field.name: getattr(inputs, field.name) for field in dataclasses.fields(inputs)}
    fields = {name: None if value is None else value.detach()[chosen] for name, value in fields.items()}
    fields["logprobs"].requires_grad_()
    return LossInputs(**fields)


def test_every_public_loss_is_covered():
    public = {cls for name in losses.__all__ if issubclass(cls := getattr(losses, name), PolicyLoss)} - {PolicyLoss}
    assert public == {type(loss) for loss in LOSSES}


@pytest.mark.parametrize("loss", LOSSES[:-1], ids=lambda loss: type(loss).__name__)  # SimKO shares the push at once
@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
def test_on_policy_gradient_is_reinforce(loss, aggregation, make_inputs):
    """Right after the rollout every ratio is 1, and all losses have the gradient -weight * A by logprobs.

    For GSPO the gradient of a token is shared by its completion, which comes to the same.
    """
    inputs = make_inputs([[0.0] * 3, [0.0], [0.0] * 2], [1.0, -2.0, 0.5], aggregation=aggregation)
    torch.testing.assert_close(gradient(loss, inputs), -inputs.weights * inputs.advantages)


@every_loss
@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
def test_micro_batches_add_up(loss, aggregation, make_inputs):
    whole = make_inputs(LOG_RATIOS, ADVANTAGES, aggregation=aggregation)
    whole = dataclasses.replace(whole, selected=loss.select(whole, update=0))
    output = loss(whole)
    parts = [select(whole, whole.completion_index < 11), select(whole, whole.completion_index >= 11)]
    outputs = [loss(part) for part in parts]
    torch.testing.assert_close(sum(part.loss for part in outputs), output.loss)
    for name, value in output.metrics.items():
        torch.testing.assert_close(sum(part.metrics[name] for part in outputs), value)
    torch.testing.assert_close(torch.cat([gradient(loss, part) for part in parts]), gradient(loss, whole))


@every_loss
def test_completions_without_advantage_may_be_left_out(loss, make_inputs):
    whole = make_inputs(LOG_RATIOS, [1.0, 0.0, -0.5, 0.0])
    kept = whole.advantages != 0
    torch.testing.assert_close(loss(select(whole, kept)).loss, loss(whole).loss)
    full = gradient(loss, whole)
    torch.testing.assert_close(gradient(loss, select(whole, kept)), full[kept])
    assert not full[~kept].any()


@every_loss
def test_no_tokens(loss, make_inputs):
    inputs = make_inputs([], [])
    output = loss(inputs)
    assert output.loss.item() == 0
    output.loss.backward()  # a rank without tokens takes part in the backward pass all the same
    assert inputs.logprobs.grad.shape == (0,)
    assert all(value.item() == 0 for value in output.metrics.values())


@every_loss
def test_importance_multiplies_token_losses_but_not_metrics(loss, make_inputs):
    importance = [2.0, 2.0, 2.0, 0.5, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    weighted = make_inputs(LOG_RATIOS, ADVANTAGES, importance=importance)
    plain = make_inputs(LOG_RATIOS, ADVANTAGES)
    torch.testing.assert_close(
        gradient(loss, weighted), torch.tensor(importance, dtype=torch.float64) * gradient(loss, plain)
    )
    assert loss(weighted).metrics == loss(plain).metrics


@every_loss
def test_metrics_are_detached_scalars_and_approx_kl_is_exact_by_hand(loss, make_inputs):
    inputs = make_inputs([[0.1, -0.05, 0.2]], [1.0])
    metrics = loss(inputs).metrics
    assert set(metrics) == {*METRICS[type(loss).__name__], "approx_kl"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    # exp(d) - 1 - d for d = .1, -.05, .2: .0051709, .0012294, .0214028
    assert float(metrics["approx_kl"]) == pytest.approx((0.0051709 + 0.0012294 + 0.0214028) / 3, abs=1e-7)


SMOOTH = [
    ClippedLoss(),
    ClippedLoss(dual_clip=1.3),
    GSPOLoss(0.1, 0.1),
    GMPOLoss(0.3, 0.15),
    SAPOLoss(),
    KLCovLoss(0.2),
]


@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: type(loss).__name__)
def test_gradient_equals_finite_differences(loss, make_inputs):
    """CISPO is not among them: by design its gradient is not that of its value."""
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    inputs = dataclasses.replace(inputs, selected=loss.select(inputs, update=0))

    def value(logprobs):
        return loss(dataclasses.replace(inputs, logprobs=logprobs)).loss

    assert torch.autograd.gradcheck(value, (inputs.logprobs,), eps=1e-7, atol=1e-6)


def test_shapes_are_checked():
    flat = torch.zeros(3)
    good = dict.fromkeys(("logprobs", "old_logprobs", "advantages", "weights"), flat)
    with pytest.raises(ValueError, match=r"`logprobs` has shape \(3,\) and `advantages` \(2,\)"):
        LossInputs(**{**good, "advantages": torch.zeros(2)}, completion_index=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"`importance` \(3, 1\)"):
        LossInputs(**good, completion_index=torch.zeros(3, dtype=torch.int64), importance=torch.zeros(3, 1))


@pytest.mark.parametrize("cls", [ClippedLoss, GSPOLoss, CISPOLoss, ClipCovLoss, SimKOLoss])
def test_bounds_are_checked(cls):
    with pytest.raises(ValueError, match=rf"{cls.__name__} needs clip_low in \[0, 1\], but got 1.5"):
        cls(clip_low=1.5)
    with pytest.raises(ValueError, match=f"{cls.__name__} needs clip_high >= 0, but got -0.1"):
        cls(clip_high=-0.1)


def configure(loss: PolicyLoss | None = None) -> PolicyLoss | None:
    """Any function that takes a loss, as a module's constructor does."""
    return loss


def test_from_yaml_each_class_keeps_its_own_bounds(tmp_path):
    """The bounds of the losses differ by a factor of a thousand under one name: none may slip over to another class."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(configure)
    path = tmp_path / "config.yaml"
    path.write_text("loss: {class_path: lit_passk.losses.ClippedLoss}")
    for args in (
        ["--loss", "lit_passk.losses.GSPOLoss"],
        ["--config", str(path), "--loss", "lit_passk.losses.GSPOLoss"],
    ):
        loss = parser.instantiate_classes(parser.parse_args(args)).loss
        assert (type(loss).__name__, loss.clip_low, loss.clip_high) == ("GSPOLoss", 3e-4, 4e-4)  # exact: as given
