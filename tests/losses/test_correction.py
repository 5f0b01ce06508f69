"""Corrections for the difference of engine and policy, by hand and by enumeration, in float64."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from jsonargparse import ArgumentParser

from lit_passk import losses
from lit_passk.losses import (
    MIS,
    TIS,
    ClippedLoss,
    GeometricMask,
    IcePop,
    LossInputs,
    OffPolicyMask,
    RolloutCorrection,
    TokenMask,
    WorstTokenMask,
)
from lit_passk.losses.correction import check_together, correct, correction_metrics

# Log-ratios of policy to engine: three tokens, one token alone, two tokens.
LOG_RATIOS = [[0.2, -1.0, 2.0], [-0.9], [0.0, 0.1]]
ADVANTAGES = [1.0, -1.0, -0.5]
RATIOS = [math.exp(x) for row in LOG_RATIOS for x in row]
SEQUENCES = [math.exp(sum(row)) for row in LOG_RATIOS for _ in row]
MEANS = [math.exp(sum(row) / len(row)) for row in LOG_RATIOS for _ in row]


def make(log_ratios, advantages=ADVANTAGES, moved=0.0):
    """Inputs whose policy was ``log_ratios`` likelier than the engine, and is ``moved`` likelier now than it was."""
    lengths = torch.tensor([len(row) for row in log_ratios], dtype=torch.int64)
    flat = torch.tensor([x for row in log_ratios for x in row], dtype=torch.float64)
    rollout = -torch.linspace(0.5, 2.0, len(flat), dtype=torch.float64)
    return LossInputs(
        logprobs=(rollout + flat + moved).requires_grad_(),
        old_logprobs=rollout + flat,
        rollout_logprobs=rollout,
        advantages=torch.tensor(advantages, dtype=torch.float64).repeat_interleave(lengths),
        weights=torch.full_like(flat, 1 / max(len(flat), 1)),
        completion_index=(3 * torch.arange(len(lengths)) + 5).repeat_interleave(lengths),
    )


def inside(value, low, high, kept):
    return kept if low <= value <= high else 0.0


CASES = [
    (TIS(high=1.5), [min(r, 1.5) for r in RATIOS]),
    (TIS(low=0.5, high=1.5), [max(0.5, min(r, 1.5)) for r in RATIOS]),
    (TIS(level="sequence", high=2.0), [min(r, 2.0) for r in SEQUENCES]),
    (MIS(low=0.5, high=2.0), [inside(r, 0.5, 2.0, r) for r in SEQUENCES]),
    (MIS(level="token", low=0.4, high=2.0), [inside(r, 0.4, 2.0, r) for r in RATIOS]),
    (IcePop(), [inside(r, 0.5, 5.0, r) for r in RATIOS]),
    (TokenMask(low=0.5, high=2.0), [inside(r, 0.5, 2.0, 1.0) for r in RATIOS]),
    (GeometricMask(low=0.9, high=1.1), [inside(r, 0.9, 1.1, 1.0) for r in MEANS]),
    (WorstTokenMask(low=0.38, high=10.0), [0, 0, 0, 1, 1, 1]),  # exp(-1) is .368, exp(-.9) is .407
    (WorstTokenMask(low=0.3, high=7.0), [0, 0, 0, 1, 1, 1]),  # exp(2) is 7.39
    (OffPolicyMask(threshold=0.5), [1, 1, 1, 0, 1, 1]),  # only the second has a negative advantage and is .9 away
]


@pytest.mark.parametrize(("correction", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_factors_by_hand(correction, expected):
    factors = correction(make(LOG_RATIOS))
    torch.testing.assert_close(factors, torch.tensor(expected, dtype=torch.float64))


def test_every_public_correction_is_covered():
    public = {getattr(losses, name) for name in losses.__all__}
    public = {cls for cls in public if issubclass(cls, RolloutCorrection)} - {RolloutCorrection}
    assert public == {type(correction) for correction, _ in CASES}


@pytest.mark.parametrize(("correction", "expected"), CASES, ids=lambda value: type(value).__name__)
def test_metrics_by_hand_and_over_micro_batches(correction, expected):
    whole = make(LOG_RATIOS)
    factors, sums = correct([correction], whole)
    assert factors.dtype == torch.float32
    parts = []
    for index in ([5, 11], [8], []):
        chosen = torch.isin(whole.completion_index, torch.tensor(index))
        fields = {f.name: getattr(whole, f.name) for f in dataclasses.fields(whole)}
        part = LossInputs(**{name: None if value is None else value[chosen] for name, value in fields.items()})
        own, part_sums = correct([correction], part)
        torch.testing.assert_close(own, factors[chosen])
        parts.append(part_sums)
    added = {name: float(sum(part[name] for part in parts)) for name in sums}
    metrics = correction_metrics(added)
    assert metrics == pytest.approx(correction_metrics({name: float(value) for name, value in sums.items()}))
    dropped = sum(value == 0 for value in expected) / 6
    assert metrics["rollout_correction/dropped"] == pytest.approx(dropped)
    assert metrics[f"rollout_correction/dropped/{type(correction).__name__}"] == pytest.approx(dropped)
    by_sequence = getattr(correction, "level", "token") == "sequence"
    weights = [SEQUENCES[0], SEQUENCES[3], SEQUENCES[4]] if by_sequence else RATIOS
    assert metrics["rollout_correction/mean"] == pytest.approx(sum(weights) / len(weights))
    ess = sum(weights) ** 2 / len(weights) / sum(w * w for w in weights)
    assert metrics["rollout_correction/ess"] == pytest.approx(ess)
    if isinstance(correction, TIS | MIS):
        clipped = [e != pytest.approx(r) for e, r in zip(expected, SEQUENCES if by_sequence else RATIOS, strict=True)]
        share = sum(clipped[i] for i in (0, 3, 4)) / 3 if by_sequence else sum(clipped) / 6
        assert metrics["rollout_correction/clipped"] == pytest.approx(share)
    else:
        assert "rollout_correction/clipped" not in metrics


def test_several_multiply_and_each_says_what_it_left_out():
    corrections = [GeometricMask(low=0.5, high=1.2), TIS(high=1.05), TokenMask(low=0.9, high=1.2)]
    factors, sums = correct(corrections, make(LOG_RATIOS))
    assert factors.tolist() == pytest.approx([0, 0, 0, 0, 1.0, 1.05])
    assert {name: float(value) for name, value in sums.items() if name.startswith("dropped")} == {
        "dropped/GeometricMask": 4,  # the means are exp(.4), exp(-.9) and exp(.05)
        "dropped/TIS": 0,
        "dropped/TokenMask": 4,
        "dropped": 4,
    }


def test_all_tokens_left_out_is_a_loss_of_zero_and_no_nan():
    inputs = make(LOG_RATIOS)
    factors, sums = correct([TokenMask(low=0.0, high=1.001), GeometricMask(low=0.9999, high=1.0001)], inputs)
    assert not factors.any()
    assert correction_metrics(sums)["rollout_correction/dropped"] == 1.0  # exact: 6 of 6
    output = ClippedLoss()(dataclasses.replace(inputs, importance=factors))
    output.loss.backward()
    assert output.loss.item() == 0
    assert not inputs.logprobs.grad.any()


def test_no_tokens():
    for correction, _ in CASES:
        factors, sums = correct([correction], make([], []))
        assert factors.shape == (0,)
        assert correction_metrics({name: float(value) for name, value in sums.items()}) == {}
    assert correction_metrics({}) == {}


def test_the_off_policy_mask_goes_by_the_policy_of_now():
    """Nothing was off before the first update; two nats later a completion that is to be pushed down is left out."""
    on_policy = [[0.0, 0.0], [0.0, 0.0]]
    assert OffPolicyMask()(make(on_policy, [1.0, -1.0])).all()
    moved = OffPolicyMask(threshold=1.9)(make(on_policy, [1.0, -1.0], moved=-2.0))
    assert moved.tolist() == [1, 1, 0, 0]
    assert OffPolicyMask(threshold=2.1)(make(on_policy, [1.0, -1.0], moved=-2.0)).all()
    assert OffPolicyMask()(make(on_policy, [1.0, -1.0], moved=2.0)).all()  # likelier than it was: no reason


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_unbounded_weights_make_the_expectation_right(level):
    """Enumerate all completions of two tokens: the sampler's weighted mean is the policy's mean.

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
        inputs = dataclasses.replace(make([[0.0, 0.0]], [1.0]), old_logprobs=p, rollout_logprobs=q)
        weights = TIS(level=level, high=1e9)(inputs)
        if level == "token":  # the first token's value under the policy, sampled by the sampler
            weighted += float(q.sum().exp() * weights[0] * value[tokens[0]])
            expected += float((p[0] + q[1]).exp() * value[tokens[0]])
        else:
            weighted += float(q.sum().exp() * weights[1] * value[tokens[1]])
            expected += float(p.sum().exp() * value[tokens[1]])
    assert weighted == pytest.approx(expected, rel=1e-6)


def test_agreement_changes_nothing():
    everything = [TIS(), TokenMask(), GeometricMask(), WorstTokenMask(), OffPolicyMask()]
    factors, sums = correct(everything, make([[0.0] * 3, [0.0]], [1.0, -1.0]))
    assert torch.equal(factors, torch.ones(4))
    metrics = correction_metrics({name: float(value) for name, value in sums.items()})
    assert metrics == pytest.approx(
        dict.fromkeys(metrics, 0.0) | {"rollout_correction/ess": 1.0, "rollout_correction/mean": 1.0}
    )


def test_absurd_ratios_stay_finite():
    factors, sums = correct([TIS()], make([[1e4], [-1e4]], [1.0, 1.0]))
    assert factors.tolist() == [2.0, pytest.approx(0.0, abs=1e-20)]
    assert all(value.isfinite() for value in sums.values())


def test_factors_scale_the_gradient_of_the_loss_and_carry_none():
    inputs = make(LOG_RATIOS)
    factors, _ = correct([TIS()], inputs)
    assert not factors.requires_grad
    grads = [
        torch.autograd.grad(ClippedLoss()(dataclasses.replace(inputs, importance=weights)).loss, inputs.logprobs)[0]
        for weights in (None, factors)
    ]
    torch.testing.assert_close(grads[1], grads[0] * factors)


def test_two_weights_and_two_of_a_kind_are_refused():
    with pytest.raises(ValueError, match="one importance weight, but got TIS and IcePop"):
        check_together([TIS(), GeometricMask(), IcePop()])
    with pytest.raises(ValueError, match="each correction once"):
        check_together([TokenMask(), TokenMask(low=0.1)])


@pytest.mark.parametrize("cls", [TIS, MIS, IcePop, TokenMask, GeometricMask, WorstTokenMask])
@pytest.mark.parametrize("bad", [{"high": 1.0}, {"low": 1.0}, {"low": -0.1}, {"high": float("nan")}])
def test_bounds_are_checked(cls, bad):
    with pytest.raises(ValueError, match=rf"{cls.__name__} needs 0 <= low < 1 < high"):
        cls(**bad)


def test_other_mistakes_are_named():
    with pytest.raises(ValueError, match="level token or sequence, but got 'batch'"):
        TIS(level="batch")
    with pytest.raises(ValueError, match="threshold > 0"):
        OffPolicyMask(threshold=0.0)


def test_from_yaml(tmp_path):
    from lit_passk.modules import PassKRLModule

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(PassKRLModule, "model")
    path = tmp_path / "config.yaml"

    def build(correction, *args):
        path.write_text(f"model: {{policy: p, correction: {correction}}}")
        config = parser.parse_args(["--config", str(path), *args])
        return parser.instantiate_classes(config).model.objective.correction

    listed = build("[GeometricMask, {class_path: TIS, init_args: {level: sequence, high: 5.0}}]")
    assert [type(c) for c in listed] == [GeometricMask, TIS]
    assert (listed[1].level, listed[1].high) == ("sequence", 5.0)  # exact: as given
    one = build("IcePop", "--model.correction.high", "4.0")
    assert (type(one), one.low, one.high) == (IcePop, 0.5, 4.0)  # exact: as given
    assert build("'off'") == "off"
    with pytest.raises(Exception, match="one importance weight"):
        build("[TIS, IcePop]")


def test_bounds_are_within():
    ratios = torch.tensor([0.5, 2.0], dtype=torch.float64)
    assert MIS(low=0.5, high=2.0).bound(ratios).tolist() == [0.5, 2.0]


@pytest.mark.parametrize(("advantage", "kept"), [(2.0, 1.0), (0.5, 1.0), (0.0, 1.0), (-0.5, 0.0)])
def test_an_off_policy_mask_leaves_out_completions_of_negative_advantage_alone(advantage, kept):
    assert OffPolicyMask(threshold=0.5)(make([[-3.0, -3.0]], [advantage])).tolist() == [kept] * 2
