"""SimKO against the formula of arXiv 2510.14807, with the ratios of the likeliest tokens written out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lit_passk.losses import ClippedLoss, SimKOLoss

LOG_RATIOS = [[0.1, -0.05, 0.2, 0.05, -0.1], [0.0], [-0.3, 0.15, 0.02], [3e-4, -1e-4, 0.35, 0.0]]
ADVANTAGES = [1.0, 2.0, -0.5, -0.7]


@pytest.fixture
def inputs(make_inputs):
    """Entropies all different; the sampled token is the likeliest at every third place."""
    plain = make_inputs(LOG_RATIOS, ADVANTAGES)
    number = len(plain.logprobs)
    generator = torch.Generator().manual_seed(0)
    best = torch.where(torch.arange(number) % 3 == 0, plain.logprobs.detach(), plain.logprobs.detach() + 0.2)
    steps = torch.rand(number, 3, generator=generator, dtype=torch.float64).cumsum(1)
    top = best[:, None] - torch.cat([torch.zeros(number, 1), steps[:, :2]], dim=1)
    entropy = torch.randperm(number, generator=generator).double() / 10
    return dataclasses.replace(plain, entropy=entropy, top_logprobs=top.requires_grad_())


def undecided(inputs, q):
    """Which tokens are above the quantile of their completion, completion by completion."""
    parts = [inputs.entropy[inputs.completion_index == c] for c in inputs.completion_index.unique()]
    return torch.cat([part > part.quantile(q) for part in parts])


def by_the_paper(inputs, alpha, q, penalty, old_top):
    chosen = undecided(inputs, q)
    ratio = (inputs.logprobs - inputs.old_logprobs).exp()
    ratios = (inputs.top_logprobs - old_top).exp()
    mixed = (1 - alpha) * ratio + alpha * ((ratio[:, None] / ratios).detach() * ratios).mean(1)
    ratio = torch.where(chosen & (inputs.advantages > 0), mixed, ratio)
    likeliest = inputs.logprobs >= inputs.top_logprobs.amax(1)
    a = torch.where(chosen & (inputs.advantages < 0) & likeliest, penalty, 1.0) * inputs.advantages
    return -(inputs.weights * torch.minimum(ratio * a, ratio.clamp(0.8, 1.28) * a)).sum()


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.7, 1.0])
@pytest.mark.parametrize("q", [0.0, 0.4, 0.8])
def test_value_and_gradients_are_the_papers_whatever_the_old_likeliest_were(inputs, alpha, q):
    """The ratios of the likeliest cancel out: any old log-probabilities of theirs give the same."""
    output = SimKOLoss(3, alpha, q, top_penalty=1.5, clip_low=0.2, clip_high=0.28)(inputs)
    both = (inputs.logprobs, inputs.top_logprobs)
    found = torch.autograd.grad(output.loss, both)
    for shift in (0.0, 0.3, -1.0):
        expected = by_the_paper(inputs, alpha, q, 1.5, inputs.top_logprobs.detach() + shift)
        assert output.loss.item() == pytest.approx(expected.item())
        torch.testing.assert_close(found, torch.autograd.grad(expected, both))
    chosen = undecided(inputs, q)
    assert float(output.metrics["shared"]) == pytest.approx(float((chosen[:6]).double().mean()) * 6 / 13)
    assert chosen[6:].any()


def test_the_penalty_is_for_the_likeliest_undecided_token_of_a_wrong_completion(make_inputs):
    plain = make_inputs([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [-0.5, -0.5, 0.5])
    top = plain.logprobs.detach()[:, None].repeat(1, 1)
    top[3] += 0.1  # another was likelier
    told = dataclasses.replace(plain, entropy=torch.tensor([0.1, 0.2] * 3).double(), top_logprobs=top)
    output = SimKOLoss(1, alpha=0.0, top_penalty=1.1)(told)
    (grad,) = torch.autograd.grad(output.loss, plain.logprobs)
    torch.testing.assert_close(6 * grad, torch.tensor([0.5, 0.55, 0.5, 0.5, -0.5, -0.5]).double())
    assert float(output.metrics["top_penalised"]) == pytest.approx(1 / 6)


def test_the_ratio_keeps_its_value(make_inputs):
    """Of 1.2, beside ratios of 1.1, 0.9 and 1.0, comes 1.2."""
    plain = make_inputs([[0.0, 0.1823215568]], [1.0])
    told = dataclasses.replace(
        plain, entropy=torch.tensor([0.0, 1.0]).double(), top_logprobs=torch.full((2, 3), -1.0).double()
    )
    assert SimKOLoss(clip_high=0.5)(told).loss.item() == pytest.approx(-(1 + 1.2) / 2)


def test_nothing_shared_and_no_penalty_is_the_clipped_loss(inputs):
    for settings in ({"alpha": 0.0, "top_penalty": 1.0}, {"entropy_quantile": 1.0}):
        output = SimKOLoss(clip_low=0.1, clip_high=0.15, **settings)(inputs)
        expected = ClippedLoss(0.1, 0.15)(inputs)
        torch.testing.assert_close(output.loss, expected.loss)
        torch.testing.assert_close(*(torch.autograd.grad(x.loss, inputs.logprobs)[0] for x in (output, expected)))
        assert output.metrics["clip_fraction_high"] == expected.metrics["clip_fraction_high"] > 0


def test_it_asks_for_what_it_needs(inputs):
    assert (SimKOLoss().needs_entropy, SimKOLoss(num_top=7).num_top) == (True, 7)
    assert (ClippedLoss().needs_entropy, ClippedLoss().num_top) == (False, 0)
    for lacking in ({"entropy": None}, {"top_logprobs": None}):
        with pytest.raises(ValueError, match="needs `entropy` and `top_logprobs` of 3 tokens"):
            SimKOLoss()(dataclasses.replace(inputs, **lacking))
    with pytest.raises(ValueError, match="needs `entropy` and `top_logprobs` of 5 tokens"):
        SimKOLoss(num_top=5)(inputs)


def test_inputs_of_another_shape_are_refused(inputs):
    for wrong in (inputs.top_logprobs[:, 0], inputs.top_logprobs[:-1]):
        with pytest.raises(ValueError, match=r"`top_logprobs` of shape \(T, N\), but `logprobs` has shape \(13,\)"):
            dataclasses.replace(inputs, top_logprobs=wrong)


@pytest.mark.parametrize(
    "bad", [{"num_top": 0}, {"alpha": 1.5}, {"alpha": -0.1}, {"entropy_quantile": 2.0}, {"top_penalty": -1.0}]
)
def test_settings_are_checked(bad):
    with pytest.raises(ValueError, match="SimKOLoss needs num_top >= 1, alpha and entropy_quantile in"):
        SimKOLoss(**bad)
