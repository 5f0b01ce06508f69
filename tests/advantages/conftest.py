import pytest
import torch
from hypothesis import settings

from lit_passk.advantages.trial import trial_context
from lit_passk.types import BatchStats

# No test fails because a machine is busy, and every run sees the same examples.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def make_context():
    """Builds a context around who is right; anything else may be given, the rest is plausible filler."""

    def make(correct, *, entropy=None, reward_stats=None, batch_entropy=None, **others):
        correct = torch.as_tensor(correct, dtype=torch.bool)
        if entropy is None:
            entropy = torch.arange(correct.numel(), dtype=torch.float32).reshape(correct.shape) / 10
        batch = None
        if reward_stats is not None or batch_entropy is not None:
            mean, std = reward_stats or (0.5, 0.5)
            batch_entropy = entropy.mean(dim=1) if batch_entropy is None else batch_entropy
            batch = BatchStats(reward_mean=mean, reward_std=std, prompt_entropy=batch_entropy)
        return trial_context(correct, **{"entropy": entropy, "batch": batch, "answers": None, **others})

    return make


@pytest.fixture
def group():
    """One group with the right answers first: ``group(8, 3)`` has shape (1, 8)."""

    def make(group_size, num_correct):
        return (torch.arange(group_size) < num_correct).float()[None]

    return make
