import pytest
import torch

from lit_passk.functional.policy_loss import token_weights
from lit_passk.losses import LossInputs


@pytest.fixture
def make_inputs():
    """Inputs from one list of log-ratios and one advantage per completion; token-mean weights unless told otherwise."""

    def make(log_ratios, advantages, *, aggregation="token", importance=None, max_tokens=10, dtype=torch.float64):
        lengths = torch.tensor([len(row) for row in log_ratios], dtype=torch.int64)
        weights = token_weights(
            lengths,
            aggregation,
            total_tokens=max(int(lengths.sum()), 1),
            total_completions=max(len(lengths), 1),
            max_tokens=max_tokens,
        )
        old_logprobs = -torch.linspace(0.5, 2.0, int(lengths.sum()), dtype=dtype)
        flat = torch.tensor([value for row in log_ratios for value in row], dtype=dtype)
        return LossInputs(
            logprobs=(old_logprobs + flat).requires_grad_(),
            old_logprobs=old_logprobs,
            advantages=torch.tensor(advantages, dtype=dtype).repeat_interleave(lengths),
            weights=weights.repeat_interleave(lengths).to(dtype),
            completion_index=(3 * torch.arange(len(lengths)) + 5).repeat_interleave(lengths),  # ascending, with gaps
            importance=None if importance is None else torch.tensor(importance, dtype=dtype),
            entropy=torch.arange(len(flat), dtype=dtype).sin().abs(),
            top_logprobs=old_logprobs[:, None] - torch.tensor([0.0, 0.5, 1.0], dtype=dtype),
        )

    return make
