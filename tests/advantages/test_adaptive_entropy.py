import pytest
import torch

from lit_passk.advantages import GRPO, AdaptiveEntropy, PassKAnalytic

CORRECT = torch.tensor(
    [[1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]]
)
# Means .4, .1, .3, .2: prompts 0 and 2 are the upper half, though single completions say otherwise.
ENTROPY = torch.tensor([[0.8, 0.0] * 4, [0.0, 0.2] * 4, [0.3] * 8, [0.4, 0.0] * 4])


def expected(pass_at_1_rows, k=4):
    rewards = CORRECT.float()
    chosen = torch.tensor([row in pass_at_1_rows for row in range(len(CORRECT))])[:, None]
    return torch.where(chosen, GRPO()(rewards), PassKAnalytic(k)(rewards))


def test_upper_half_by_mean_entropy_gets_pass_at_1(make_context):
    context = make_context(CORRECT, entropy=ENTROPY)
    torch.testing.assert_close(AdaptiveEntropy(4)(CORRECT.float(), context), expected({0, 2}))


@pytest.mark.parametrize(("quantile", "rows"), [(0.0, {0, 2, 3}), (0.25, {0, 2, 3}), (0.7, {0}), (1.0, set())])
def test_quantile_is_the_share_of_pass_at_k(make_context, quantile, rows):
    context = make_context(CORRECT, entropy=ENTROPY)
    torch.testing.assert_close(AdaptiveEntropy(4, quantile)(CORRECT.float(), context), expected(rows))


def test_prompts_of_other_ranks_move_the_threshold(make_context):
    everywhere = torch.cat([ENTROPY.mean(dim=1), torch.tensor([0.35, 0.36, 0.37, 0.38])])
    context = make_context(CORRECT, entropy=ENTROPY, batch_entropy=everywhere)  # median .355: prompt 0 alone is above
    torch.testing.assert_close(AdaptiveEntropy(4)(CORRECT.float(), context), expected({0}))


def test_prompt_at_the_median_of_an_odd_batch_gets_pass_at_k(make_context):
    torch.manual_seed(0)
    correct = torch.rand(101, 8) < 0.3
    entropy = torch.rand(101, 8)
    for batch_entropy in (entropy.mean(dim=1), entropy.double().mean(dim=1).float() * (1 - 1e-7)):  # rounded otherwise
        whole = make_context(correct, entropy=entropy, batch_entropy=batch_entropy)
        advantages = AdaptiveEntropy(2)(correct.float(), whole)
        ranks = entropy.double().mean(dim=1).argsort().argsort()
        torch.testing.assert_close(advantages[ranks > 50], GRPO()(correct[ranks > 50].float()))
        torch.testing.assert_close(advantages[ranks <= 50], PassKAnalytic(2)(correct[ranks <= 50].float()))


def test_without_a_context_is_refused():
    with pytest.raises(ValueError, match="without a context"):
        AdaptiveEntropy(4)(CORRECT.float())


@pytest.mark.parametrize("quantile", [-0.1, 1.5])
def test_quantile_is_checked(quantile):
    with pytest.raises(ValueError, match=r"\[0, 1\], but got"):
        AdaptiveEntropy(4, quantile)
