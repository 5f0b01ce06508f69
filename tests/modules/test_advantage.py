"""From rewards to advantages over a whole step."""

from __future__ import annotations

import warnings

import torch
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import PassKAnalytic
from lit_passk.modules import compute_advantages


def test_a_group_that_shrank_gets_no_advice_about_the_configured_size():
    """Of eight completions two are left: k = 2 has no signal there, and raising group_size would not help."""
    rollouts = scripted_rollouts([[1, 0] + [None] * 6, [1, 0, 0, 0, 0, 0, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advantages = compute_advantages(PassKAnalytic(2), rollouts)
    assert torch.equal(advantages[:2], torch.zeros(2))
    assert advantages[2:].abs().min() > 0
