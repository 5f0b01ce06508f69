from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.policy.shared_prompt import SharedPromptPlan, shared_prompt_attention


def oracle(q, k, v, prompt_lengths, fed_lengths, prompt_of, scale):
    """Softmax over what a token sees, one token at a time."""
    starts = torch.tensor([0, *prompt_lengths, *fed_lengths]).cumsum(0).tolist()
    rows = [range(a, b) for a, b in pairwise(starts)]
    prompts, completions = rows[: len(prompt_lengths)], rows[len(prompt_lengths) :]
    seen = {i: list(range(run.start, i + 1)) for run in prompts for i in run}
    for p, run in zip(prompt_of, completions, strict=True):
        seen |= {i: [*prompts[p], *range(run.start, i + 1)] for i in run}
    out = []
    for i in range(len(q)):
        weights = torch.softmax(torch.einsum("hd,jhd->hj", q[i], k[seen[i]]) * scale, dim=1)
        out.append(torch.einsum("hj,jhd->hd", weights, v[seen[i]]))
    return torch.stack(out)


def compare(prompt_lengths, fed_lengths, prompt_of, dtype, heads=2, size=8, **tolerance):
    generator = torch.Generator().manual_seed(sum(fed_lengths))
    shape = (4, sum(prompt_lengths) + sum(fed_lengths), heads, size)
    q, k, v, upstream = (torch.randn(shape, generator=generator, dtype=torch.float64) * 2).unbind()
    exact = [x.clone().requires_grad_() for x in (q, k, v)]
    expected = oracle(*exact, prompt_lengths, fed_lengths, prompt_of, 0.3)
    inputs = [x.to(dtype).requires_grad_() for x in (q, k, v)]
    plan = SharedPromptPlan(prompt_lengths, fed_lengths, prompt_of)
    actual = shared_prompt_attention(*inputs, plan, 0.3)
    torch.testing.assert_close(actual.double(), expected, **tolerance)
    torch.testing.assert_close(
        [g.double() for g in torch.autograd.grad((actual * upstream.to(dtype)).sum(), inputs)],
        list(torch.autograd.grad((expected * upstream).sum(), exact)),
        **tolerance,
    )


@pytest.mark.seconds
@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 20), st.lists(st.integers(0, 20), max_size=5)), min_size=1, max_size=4))
def test_equals_attention_one_token_at_a_time(groups):
    fed = [n for _, lengths in groups for n in lengths]
    prompt_of = [p for p, (_, lengths) in enumerate(groups) for _ in lengths]
    compare([length for length, _ in groups], fed, prompt_of, torch.float64, rtol=1e-9, atol=1e-9)


@pytest.mark.seconds
def test_many_equal_groups_share_calls():
    fed = [3 + i % 7 for i in range(40)]
    prompt_of = [i // 5 for i in range(40)]
    compare([6] * 8, fed, prompt_of, torch.float64, rtol=1e-9, atol=1e-9)
    plan = SharedPromptPlan([6] * 8, fed, prompt_of)
    assert len(plan.within) + len(plan.across) < 10


def test_long_sequences_cross_the_kernels_blocks():
    compare([300, 7], [530, 70, 1], [0, 0, 1], torch.float64, heads=1, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.06)])
def test_errs_by_rounding_only(dtype, tolerance):
    compare([9, 14], [5, 0, 12, 3], [0, 0, 1, 1], dtype, rtol=tolerance, atol=tolerance)


def test_gradient_by_finite_differences():
    plan = SharedPromptPlan([3, 2], [2, 1, 2], [0, 0, 1])
    inputs = [torch.randn(10, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda q, k, v: shared_prompt_attention(q, k, v, plan, 0.5), inputs)


def test_fewer_key_heads_serve_several_query_heads():
    plan = SharedPromptPlan([4, 3], [3, 2, 4], [0, 0, 1])
    q = torch.randn(16, 6, 8, dtype=torch.float64, requires_grad=True)
    few = [torch.randn(16, 2, 8, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    repeated = [x[:, [0, 0, 0, 1, 1, 1]] for x in few]
    actual, expected = shared_prompt_attention(q, *few, plan, 0.3), shared_prompt_attention(q, *repeated, plan, 0.3)
    torch.testing.assert_close(actual, expected)
    upstream = torch.randn_like(actual)
    torch.testing.assert_close(
        torch.autograd.grad((actual * upstream).sum(), [q, *few]),
        torch.autograd.grad((expected * upstream).sum(), [q, *few]),
    )
