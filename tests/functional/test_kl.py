import pytest
import torch

from lit_passk.functional.kl import kl_estimate


@pytest.fixture
def policies():
    """Logits of a policy and log-probabilities of a reference over 7 tokens; expectations are sums over all of them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, dtype=torch.float64, generator=generator, requires_grad=True)
    reference = torch.randn(7, dtype=torch.float64, generator=generator).log_softmax(0)
    return logits, reference


def exact_kl(logprobs, ref_logprobs):
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum()


def expected_gradient(logits, reference, estimator):
    """Mean over sampled tokens of the gradient of the estimate: the sampling itself is not differentiated."""
    logprobs = logits.log_softmax(0)
    estimate = (logprobs.detach().exp() * kl_estimate(logprobs, reference, estimator)).sum()
    return torch.autograd.grad(estimate, logits)[0]


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_mean_of_k1_and_k3_is_the_exact_kl(policies, estimator):
    logits, reference = policies
    logprobs = logits.log_softmax(0).detach()
    mean = (logprobs.exp() * kl_estimate(logprobs, reference, estimator)).sum()
    torch.testing.assert_close(mean, exact_kl(logprobs, reference))


def test_mean_of_k2_is_biased_but_close_for_close_policies(policies):
    logits, _ = policies
    logprobs = logits.log_softmax(0).detach()
    reference = (logits.detach() + 0.01 * torch.randn(7, generator=torch.Generator().manual_seed(1))).log_softmax(0)
    mean = (logprobs.exp() * kl_estimate(logprobs, reference, "k2")).sum()
    torch.testing.assert_close(mean, exact_kl(logprobs, reference), rtol=0.01, atol=0)
    far = (logprobs.exp() * kl_estimate(logprobs, policies[1], "k2")).sum()
    assert abs(far / exact_kl(logprobs, policies[1]) - 1) > 0.02


def test_expected_gradient_of_k1_is_zero(policies):
    torch.testing.assert_close(expected_gradient(*policies, "k1"), torch.zeros(7, dtype=torch.float64))


def test_expected_gradient_of_k2_is_that_of_the_kl_to_the_reference(policies):
    logits, reference = policies
    exact = torch.autograd.grad(exact_kl(logits.log_softmax(0), reference), logits)[0]
    torch.testing.assert_close(expected_gradient(logits, reference, "k2"), exact)


def test_expected_gradient_of_k3_is_that_of_the_kl_from_the_reference(policies):
    logits, reference = policies
    exact = torch.autograd.grad(exact_kl(reference, logits.log_softmax(0)), logits)[0]
    torch.testing.assert_close(expected_gradient(logits, reference, "k3"), exact)


def test_hand_computed_values_and_derivatives():
    logprobs = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-1.5, -1.0, -0.5], dtype=torch.float64)  # d = .5, -1, 0
    for estimator, values, gradients in (
        ("k1", [0.5, -1.0, 0.0], [1.0, 1.0, 1.0]),
        ("k2", [0.125, 0.5, 0.0], [0.5, -1.0, 0.0]),
        ("k3", [0.1065306597, 0.7182818285, 0.0], [0.3934693403, -1.7182818285, 0.0]),
    ):
        estimate = kl_estimate(logprobs, reference, estimator)
        assert estimate.tolist() == pytest.approx(values, abs=1e-9)
        assert torch.autograd.grad(estimate.sum(), logprobs)[0].tolist() == pytest.approx(gradients, abs=1e-9)


def test_k3_keeps_its_precision_for_equal_policies_in_float32():
    difference = torch.tensor([1e-4], dtype=torch.float32)  # exp(-d) - 1 taken literally is off by a few per cent here
    estimate = kl_estimate(torch.zeros(1) + difference, torch.zeros(1), "k3")
    assert float(estimate) >= 0
    assert float(estimate) == pytest.approx(5e-9, abs=2e-11)


def test_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="k1, k2, k3, but got 'k4'"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")
