"""The plain path is the oracle of the fast one, and computes by stock operations alone."""

import pytest
import torch
from helpers.policies import FAMILIES, build, make_masks, make_step, packed

from lit_passk.policy import plain
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import pack


def assert_equal(fast, slow, found, expected, tolerance=2e-5):
    """Outputs of every completion, and gradients of every parameter."""
    assert found.keys() == expected.keys()
    for i in expected:
        torch.testing.assert_close(found[i], expected[i], rtol=tolerance, atol=tolerance)
    for (name, a), b in zip(fast.named_parameters(), slow.parameters(), strict=True):
        scale = b.grad.abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=tolerance * scale, msg=name)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("masked", [False, True], ids=["all trained", "some trained"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_fast_kernels_give_the_same(family, masked, temperature):
    step = make_step()
    case = {"temperature": temperature, "trained": make_masks(step, 2) if masked else None, "token_budget": 25}
    assert len(pack(*step, None, 25, trained=case["trained"])) > 1  # gradients add up over micro-batches
    fast, slow = (build(FAMILIES[family], kernels=kernels)[0] for kernels in ("fast", "plain"))
    assert_equal(fast, slow, packed(fast, step, **case), packed(slow, step, **case))


@pytest.mark.parametrize("max_saved_logits_mib", [0, 256])
@pytest.mark.parametrize("family", ["llama tied", "gemma2"])
def test_chunks_change_nothing(family, max_saved_logits_mib, monkeypatch):
    monkeypatch.setattr(plain, "CHUNK", 3)
    step = make_step()
    fast, slow = (build(FAMILIES[family], kernels=kernels)[0] for kernels in ("fast", "plain"))
    fast.max_saved_logits_mib = max_saved_logits_mib
    assert_equal(fast, slow, packed(fast, step), packed(slow, step))


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_checkpointed_blocks_and_a_frozen_head_take_part(family):
    step = make_step()
    fast, slow = (build(FAMILIES[family], kernels=kernels)[0] for kernels in ("fast", "plain"))
    slow.checkpoint_activations()
    for policy in (fast, slow):
        policy.model.get_output_embeddings().weight.requires_grad_(False)
    found, expected = packed(fast, step), packed(slow, step)
    for (name, a), b in zip(fast.named_parameters(), slow.named_parameters(), strict=True):
        assert (a.grad is None) == (b[1].grad is None) == (not a.requires_grad), name
    for policy in (fast, slow):
        for parameter in policy.parameters():
            if not parameter.requires_grad:
                parameter.grad = torch.ones_like(parameter)
    assert_equal(fast, slow, found, expected)


def test_logits_exist_a_chunk_at_a_time(monkeypatch):
    monkeypatch.setattr(plain, "CHUNK", 4)
    policy, _ = build(FAMILIES["llama"], kernels="plain")
    sizes = []
    policy.model.lm_head.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    (batch,) = pack(*make_step(), None, 10_000)
    logprobs, entropy, _ = policy(batch)
    assert max(sizes) == 4
    assert sum(sizes) == len(batch.labels)
    (logprobs.sum() + entropy.sum()).backward()
    assert sum(sizes) == 2 * len(batch.labels)  # made again


@pytest.mark.parametrize("family", FAMILIES)
def test_no_kernel_of_ours_runs(family, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a fast kernel ran")

    for name in ("attention.shared_prompt_attention", "attention._flex", "model.token_logprobs"):
        monkeypatch.setattr(f"lit_passk.policy.{name}", refuse)
    monkeypatch.setattr("lit_passk.policy.attention.USE_FLEX", True)
    policy, _ = build(FAMILIES[family])
    with pytest.raises(AssertionError, match="a fast kernel ran"):
        packed(policy, make_step())
    policy.kernels = "plain"
    packed(policy, make_step())


def test_an_empty_batch_gives_zero_gradients():
    policy, _ = build(FAMILIES["llama tied"], kernels="plain")
    step = make_step()
    (batch,) = pack(*step, torch.zeros(len(step[1]), dtype=torch.bool), 40)
    logprobs, entropy, _ = policy(batch)
    assert logprobs.shape == entropy.shape == (0,)
    (logprobs.sum() + entropy.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


def test_without_entropy_the_log_probs_are_the_same():
    policy, _ = build(FAMILIES["llama"], kernels="plain")
    (batch,) = pack(*make_step(), None, 10_000)
    full, entropy, _ = policy(batch)
    logprobs, zeros, _ = policy(batch, with_entropy=False)
    torch.testing.assert_close(logprobs, full)
    assert entropy.min() > 0
    assert not zeros.any()


@pytest.mark.parametrize("family", ["llama", "llama tied", "gemma2"])
def test_the_likeliest_tokens_are_the_same_by_every_path(family):
    """Fast kernels, fast kernels in pieces, plain ones, whole padded rows: values and gradients."""
    found = []
    for path in ("fast", "pieces", "plain", "padded"):
        policy, _ = build(FAMILIES[family], kernels="plain" if path == "plain" else "fast")
        policy.packs = path != "padded"
        policy.max_saved_logits_mib = 0 if path == "pieces" else 256
        tops = {}
        for batch in pack(*make_step(), None, 60, share_prompts=policy.packs):
            logprobs, _, top = policy(batch, 0.7, with_entropy=False, num_top=3)
            assert top.shape == (len(batch.labels), 3)
            (logprobs.sin().sum() + (top * torch.tensor([1.0, -0.5, 2.0])).cos().sum()).backward()
            tops |= dict(zip(batch.completions, batch.split(top.detach()), strict=True))
        found.append([tops, *(p.grad for p in policy.parameters())])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-3, atol=1e-4)


def test_an_unknown_name_is_refused():
    model = build(FAMILIES["llama"])[1]
    with pytest.raises(ValueError, match="kernels 'fast' or 'plain', but got 'slow'"):
        CausalPolicy(model, kernels="slow")
