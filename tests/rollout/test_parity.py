import math

import pytest
import torch

from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Completion, Problem, RolloutBatch, Score, ScoredGroup


def rollouts(*logprobs: list[float]) -> RolloutBatch:
    num = len(logprobs)
    group = ScoredGroup(
        problem=Problem(id="0", prompt="", answer=""),
        index=0,
        prompt_ids=[1],
        completions=[Completion(token_ids=[0] * len(row), logprobs=row, finish_reason="stop") for row in logprobs],
        texts=[""] * num,
        scores=[Score(reward=0.0, correct=False)] * num,
        seed=0,
    )
    return collate_rollouts([group], version=3)


def test_figures_by_hand() -> None:
    theirs = rollouts([-1.0, -2.0], [-3.0, -1.0, -1.0])
    ours = [torch.tensor([-1.5, -2.0]), torch.tensor([-3.0, -1.0, -1.75])]
    values = ParityCheck(tolerance=0.25).check(theirs, ours)
    assert values == pytest.approx({"parity/mean": 1.25 / 5, "parity/max": 0.75, "parity/worst": 0.25})
    with pytest.raises(RuntimeError, match="version 3"):
        ParityCheck(tolerance=0.24).check(theirs, ours)


@pytest.mark.parametrize(
    ("dtype", "error", "healthy"),
    [
        (torch.float32, 5e-4, True),
        (torch.float32, 5e-3, False),
        (torch.bfloat16, 5e-3, True),
        (torch.bfloat16, 0.2, False),
    ],
)
def test_tolerance_depends_on_the_dtype(dtype: torch.dtype, error: float, healthy: bool) -> None:
    args = rollouts([-1.0, -2.0]), [torch.tensor([-1.0 - error, -2.0 + error])], dtype
    if healthy:
        ParityCheck().check(*args)
    else:
        with pytest.raises(RuntimeError, match="disagree"):
            ParityCheck().check(*args)


def test_a_quantised_engine_has_a_tolerance_of_its_own() -> None:
    args = rollouts([-1.0, -2.0]), [torch.tensor([-1.2, -2.2])], torch.bfloat16
    with pytest.raises(RuntimeError, match="disagree"):
        ParityCheck().check(*args)
    assert ParityCheck().check(*args, quantized=True)["parity/worst"] == pytest.approx(0.2)
    with pytest.raises(RuntimeError, match=r"0.1 is allowed in torch.bfloat16, quantised"):
        ParityCheck(tolerance=0.1).check(*args, quantized=True)
    with pytest.raises(RuntimeError, match="disagree"):  # other weights are noticed all the same
        ParityCheck().check(args[0], [torch.tensor([-3.0, -4.0])], torch.bfloat16, quantized=True)


def test_one_unlikely_token_is_no_fault_in_bfloat16() -> None:
    ours = torch.full((50,), -1.0)
    ours[7] = -1.6
    values = ParityCheck().check(rollouts([-1.0] * 50), [ours], torch.bfloat16)
    assert values["parity/max"] == pytest.approx(0.6)


def test_nan_is_a_disagreement() -> None:
    with pytest.raises(RuntimeError, match="disagree"):
        ParityCheck(tolerance=1e9).check(rollouts([-1.0]), [torch.tensor([math.nan])])


def test_schedule() -> None:
    parity = ParityCheck(every=10)
    assert parity.is_due(7)  # the first, also after a resume in between
    parity.check(rollouts([-1.0]), [torch.tensor([-1.0])])
    assert parity.is_due(8)  # the first whose weights were sent
    parity.check(rollouts([-1.0]), [torch.tensor([-1.0])])
    assert [step for step in range(8, 32) if parity.is_due(step)] == [10, 20, 30]
    assert not ParityCheck(every=0).is_due(0)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="every >= 0"):
        ParityCheck(every=-1)
    with pytest.raises(ValueError, match="tolerance > 0"):
        ParityCheck(tolerance=0.0)
    with pytest.raises(ValueError, match="got 0 for 1"):
        ParityCheck().check(rollouts([-1.0]), [])
    with pytest.raises(ValueError, match="2 tokens"):
        ParityCheck().check(rollouts([-1.0, -1.0]), [torch.tensor([-1.0])])
