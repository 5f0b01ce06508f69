import math

import pytest
import torch

from lit_passk.losses.base import LossInputs
from lit_passk.losses.clipped import ClippedLoss
from lit_passk.losses.correction import RolloutCorrection, correction_metrics

POLICY = torch.tensor([-1.0, -2.0, -0.5, -3.0, -1.0])
ROLLOUT = torch.tensor([-1.2, -1.0, -2.5, -3.0, -1.1])
COMPLETION = torch.tensor([4, 4, 4, 7, 7])
RATIOS = [math.exp(0.2), math.exp(-1.0), math.exp(2.0), 1.0, math.exp(0.1)]
SEQUENCES = [math.exp(1.2), math.exp(0.1)]


def cut(ratio: float, mode: str, cap: float) -> float:
    if mode == "truncate":
        return min(ratio, cap)
    return ratio if 1 / cap <= ratio <= cap else 0.0


@pytest.mark.parametrize("cap", [1.5, 2.0, 5.0])
@pytest.mark.parametrize("mode", ["truncate", "mask"])
def test_weights_by_hand(mode: str, cap: float) -> None:
    tokens, _ = RolloutCorrection(mode=mode, level="token", cap=cap)(POLICY, ROLLOUT, COMPLETION)
    torch.testing.assert_close(tokens, torch.tensor([cut(r, mode, cap) for r in RATIOS]))
    whole, _ = RolloutCorrection(mode=mode, level="sequence", cap=cap)(POLICY, ROLLOUT, COMPLETION)
    a, b = (cut(r, mode, cap) for r in SEQUENCES)
    torch.testing.assert_close(whole, torch.tensor([a, a, a, b, b]))


@pytest.mark.parametrize(("level", "ratios"), [("token", RATIOS), ("sequence", SEQUENCES)])
def test_metrics_by_hand_and_over_micro_batches(level: str, ratios: list[float]) -> None:
    correction = RolloutCorrection(level=level, cap=1.5)
    _, whole = correction(POLICY, ROLLOUT, COMPLETION)
    parts = [correction(POLICY[s], ROLLOUT[s], COMPLETION[s])[1] for s in (slice(0, 3), slice(3, 5), slice(0, 0))]
    values = correction_metrics(sum(parts))
    assert values == pytest.approx(correction_metrics(whole))
    assert values["rollout_correction/ess"] == pytest.approx(
        sum(ratios) ** 2 / len(ratios) / sum(r * r for r in ratios)
    )
    assert values["rollout_correction/clipped"] == pytest.approx(sum(r > 1.5 for r in ratios) / len(ratios))
    assert values["rollout_correction/mean"] == pytest.approx(sum(ratios) / len(ratios))


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_unbounded_weights_make_the_expectation_right(level: str) -> None:
    """Enumerate all completions of 3 tokens: the sampler's weighted mean is the policy's mean.

    For tokens the identity holds per token given its prefix, so each value depends on the last token alone.
    """
    generator = torch.Generator().manual_seed(0)
    policy, sampler = torch.randn(2, 3, 3, 4, generator=generator, dtype=torch.float64).log_softmax(-1).unbind(0)
    value = torch.randn(4, generator=generator, dtype=torch.float64)
    expected = weighted = 0.0
    for tokens in torch.cartesian_prod(*[torch.arange(4)] * 2):
        # position t, previous token (0 at first), token
        previous = torch.tensor([0, int(tokens[0]) % 3])
        p = policy[torch.arange(2), previous, tokens]
        q = sampler[torch.arange(2), previous, tokens]
        weights, _ = RolloutCorrection(level=level, cap=1e9)(p, q, torch.zeros(2, dtype=torch.int64))
        if level == "token":  # the first token's value under the policy, sampled by the sampler
            weighted += float(q.sum().exp() * weights[0] * value[tokens[0]])
            expected += float((p[0] + q[1]).exp() * value[tokens[0]])
        else:
            weighted += float(q.sum().exp() * weights[1] * value[tokens[1]])
            expected += float(p.sum().exp() * value[tokens[1]])
    assert weighted == pytest.approx(expected, rel=1e-6)


def test_agreement_changes_nothing_and_no_tokens_are_fine() -> None:
    weights, stats = RolloutCorrection()(POLICY, POLICY, COMPLETION)
    assert torch.equal(weights, torch.ones(5))
    assert correction_metrics(stats) == {
        "rollout_correction/ess": 1.0,
        "rollout_correction/clipped": 0.0,
        "rollout_correction/mean": 1.0,
    }
    for level in ("token", "sequence"):
        weights, stats = RolloutCorrection(level=level)(POLICY[:0], POLICY[:0], COMPLETION[:0])
        assert weights.shape == (0,)
        assert correction_metrics(stats) == {}


def test_absurd_ratios_stay_finite() -> None:
    policy, rollout = torch.tensor([0.0, -1e4]), torch.tensor([-1e4, 0.0])
    weights, stats = RolloutCorrection()(policy, rollout, torch.tensor([0, 1]))
    assert weights.tolist() == [2.0, pytest.approx(0.0, abs=1e-20)]
    assert stats.isfinite().all()


def test_weights_scale_the_gradient_of_the_loss_and_carry_none() -> None:
    logprobs = POLICY.clone().requires_grad_()
    importance, _ = RolloutCorrection()(logprobs, ROLLOUT, COMPLETION)
    assert not importance.requires_grad
    grads = []
    for weights in (None, importance):
        inputs = LossInputs(
            logprobs=logprobs,
            old_logprobs=POLICY,
            advantages=torch.ones(5),
            weights=torch.ones(5),
            completion_index=COMPLETION,
            importance=weights,
        )
        grads.append(torch.autograd.grad(ClippedLoss()(inputs).loss, logprobs)[0])
    torch.testing.assert_close(grads[1], grads[0] * importance)


@pytest.mark.parametrize("bad", [{"mode": "clip"}, {"level": "batch"}, {"cap": 1.0}])
def test_mistakes_are_named(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        RolloutCorrection(**bad)
