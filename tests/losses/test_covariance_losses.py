"""Clip-Cov and KL-Cov against the formulas of arXiv 2505.22617, on a batch as a whole."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lit_passk.losses import ClipCovLoss, KLCovLoss
from lit_passk.losses.base import covariances

GENERATOR = torch.Generator().manual_seed(0)
LOG_RATIOS = [(0.3 * torch.randn(n, generator=GENERATOR, dtype=torch.float64)).tolist() for n in (5, 1, 9, 3)]
ADVANTAGES = [1.5, -2.0, 0.4, -0.3]


def papers_covariances(inputs):
    logprobs = inputs.logprobs.detach()
    return (logprobs - logprobs.mean()) * (inputs.advantages - inputs.advantages.mean())


def gradients(loss, expected, inputs, logprobs):
    return torch.autograd.grad(loss, inputs.logprobs)[0], torch.autograd.grad(expected, logprobs)[0]


def test_their_mean_is_the_covariance(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    found = covariances(inputs)
    torch.testing.assert_close(found, papers_covariances(inputs))
    stacked = torch.stack([inputs.logprobs.detach(), inputs.advantages])
    assert float(found.mean()) == pytest.approx(float(torch.cov(stacked, correction=0)[0, 1]))


def test_tokens_without_an_advantage_are_as_if_they_were_not_there(make_inputs):
    whole = make_inputs(LOG_RATIOS, [1.5, 0.0, 0.4, 0.0])
    kept = whole.advantages != 0
    alone = {f.name: getattr(whole, f.name) for f in dataclasses.fields(whole)}
    alone = type(whole)(**{name: None if value is None else value[kept] for name, value in alone.items()})
    torch.testing.assert_close(covariances(whole)[kept], covariances(alone))
    assert covariances(whole)[~kept].eq(-torch.inf).all()
    for loss in (KLCovLoss(share=0.3), ClipCovLoss(share=0.3, cov_low=0.0)):
        found = loss.select(whole, update=4)
        assert not found[~kept].any()
        assert torch.equal(found[kept], loss.select(alone, update=4))


@pytest.mark.parametrize(("share", "number"), [(2e-4, 1), (0.2, 3), (1.0, 18)])
def test_kl_cov_penalises_the_highest(make_inputs, share, number):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    logprobs = inputs.logprobs.detach().clone().requires_grad_()
    ratio = (logprobs - inputs.old_logprobs).exp()
    highest = papers_covariances(inputs).argsort(descending=True)[:number]
    losses = -ratio * inputs.advantages
    losses = losses.index_add(0, highest, 0.7 * (logprobs - inputs.old_logprobs).abs()[highest])
    expected = (inputs.weights * losses).sum()
    output = KLCovLoss(share=share, kl_coef=0.7)(inputs)
    assert output.loss.item() == pytest.approx(expected.item())
    torch.testing.assert_close(*gradients(output.loss, expected, inputs, logprobs))
    assert float(output.metrics["penalised"]) == pytest.approx(number / 18)


def test_clip_cov_leaves_out_the_drawn_ones_alone(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    loss = ClipCovLoss(share=0.2, cov_low=-0.2, cov_high=0.5, clip_low=0.2, clip_high=0.25)
    drawn = loss.select(inputs, update=0)
    values, ratio = papers_covariances(inputs), (inputs.logprobs.detach() - inputs.old_logprobs).exp()
    held = ((ratio > 1.25) & (inputs.advantages > 0)) | ((ratio < 0.8) & (inputs.advantages < 0))
    candidates = (values > -0.2) & (values < 0.5) & ~held
    assert int(drawn.sum()) == 3 < int(candidates.sum())
    assert not (drawn & ~candidates).any()
    logprobs = inputs.logprobs.detach().clone().requires_grad_()
    r, a = (logprobs - inputs.old_logprobs).exp(), inputs.advantages
    expected = (inputs.weights * torch.maximum(-r * a, -r.clamp(0.8, 1.25) * a) * ~drawn).sum()
    output = loss(inputs)
    assert output.loss.item() == pytest.approx(expected.item())
    torch.testing.assert_close(*gradients(output.loss, expected, inputs, logprobs))
    assert float(output.metrics["left_out"]) == pytest.approx(3 / 18)


def test_clip_cov_draws_evenly_and_anew_with_every_update(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    loss = ClipCovLoss(share=0.2, cov_low=-0.2, cov_high=0.5)
    draws = torch.stack([loss.select(inputs, update) for update in range(400)])
    assert torch.equal(draws[7], loss.select(inputs, update=7))
    assert draws.sum(1).eq(3).all()
    drawn = draws.sum(0)
    hit = drawn[drawn > 0].double()  # every candidate about as often as another
    assert hit.min() > 0.6 * hit.mean()
    assert hit.max() < 1.4 * hit.mean()


def test_nothing_to_draw_and_no_tokens(make_inputs):
    inputs = make_inputs(LOG_RATIOS, ADVANTAGES)
    assert not ClipCovLoss(cov_low=50.0, cov_high=60.0).select(inputs, update=0).any()
    for loss in (ClipCovLoss(), KLCovLoss()):
        assert loss.select(make_inputs([], []), update=0).shape == (0,)
        assert not loss.select(make_inputs(LOG_RATIOS, [0.0] * 4), update=0).any()


@pytest.mark.parametrize("bad", [{"share": 0.0}, {"share": 1.5}, {"cov_low": 5.0}])
def test_settings_are_checked(bad):
    with pytest.raises(ValueError, match="share in"):
        ClipCovLoss(**bad)
    with pytest.raises(ValueError, match="share in"):
        KLCovLoss(share=bad.get("share", 2.0))
