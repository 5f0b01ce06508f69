import pytest
import torch
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import PassKAnalytic
from lit_passk.modules.signal import signal_metrics


def test_counts_by_hand():
    """Groups of 4 with 1, 0, 4, 2 and 3 correct, and one of three with 1 whose fourth could not be scored."""
    rewards = [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, None]]
    rollouts = scripted_rollouts(rewards)
    groups = [torch.tensor([[r for r in row if r is not None]]) for row in rewards]
    advantages = torch.cat([PassKAnalytic(k=2)(group).flatten() for group in groups])
    with_advantage = torch.tensor([[1, 0, 0, 0]]), torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 0]])
    weights = [float(PassKAnalytic(k=2)(group).abs().sum()) for group in with_advantage]
    assert signal_metrics(rollouts, advantages) == pytest.approx(
        {
            "signal/correct": 11 / 6,
            "signal/dead@1": 2 / 6,
            "signal/dead@2": 3 / 6,
            "signal/weight": sum(weights) / 6,
        }
    )


def test_it_agrees_with_the_strategies():
    rollouts = scripted_rollouts(torch.randint(0, 2, (40, 9), generator=torch.Generator().manual_seed(0)).tolist())
    found = signal_metrics(rollouts, torch.zeros(len(rollouts.rewards)))
    for k in (1, 2, 4, 8):
        dead = PassKAnalytic(k)(rollouts.rewards.reshape(40, 9)).eq(0).all(dim=1)
        assert found[f"signal/dead@{k}"] == pytest.approx(float(dead.double().mean()))
