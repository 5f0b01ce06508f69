"""The embedded engine against plain forward passes of the same model."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from lit_passk.engines.transformers_engine import TransformersEngine, sample_tokens
from lit_passk.errors import CannotRun, Refusal
from lit_passk.types import Sampling

EOS = 1
PROMPTS = [[3, 4, 5], [6, 5, 4, 3, 7, 8, 9], [4], [5, 5, 6, 7]]
SEEDS = [100, 2000, 30000, 400000]


@pytest.fixture(scope="module")
def model(maze_policy):
    return AutoModelForCausalLM.from_pretrained(maze_policy).train()


@pytest.fixture
def engine(model):
    engine = TransformersEngine(batch_size=8)
    engine.start("", model, [EOS])
    engine.load_weights([], version=5)
    return engine


def run(engine, prompts=PROMPTS, seeds=SEEDS, **sampling):
    settings = Sampling(**{"max_tokens": 12, "n": 4, **sampling})
    return dict(engine.generate(prompts, settings, seeds))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_equal_a_plain_forward_pass(engine, model, temperature):
    for p, completions in run(engine, temperature=temperature).items():
        for completion in completions:
            ids = torch.tensor([PROMPTS[p] + list(completion.token_ids)])
            with torch.no_grad():
                logits = model.eval()(ids).logits[0, len(PROMPTS[p]) - 1 : -1].double()
            expected = (logits / temperature).log_softmax(-1)[range(len(completion.token_ids)), completion.token_ids]
            torch.testing.assert_close(torch.tensor(completion.logprobs).double(), expected, atol=2e-5, rtol=0)


def test_ends_with_the_end_token_or_at_the_limit(engine):
    completions = [c for group in run(engine, n=16, max_tokens=8).values() for c in group]
    assert {c.finish_reason for c in completions} == {"stop", "length"}
    for c in completions:
        assert len(c.token_ids) == len(c.logprobs)
        assert EOS not in c.token_ids[:-1]
        assert (c.token_ids[-1] == EOS) == (c.finish_reason == "stop")
        assert c.finish_reason == "stop" or len(c.token_ids) == 8
        assert c.version == 5


def test_a_completion_depends_on_its_own_seed_alone(engine):
    full = run(engine)
    for p, prompt in enumerate(PROMPTS):
        alone = run(engine, [prompt], [SEEDS[p]])[0]
        assert [c.token_ids for c in alone] == [c.token_ids for c in full[p]]
        for i, completion in enumerate(full[p]):  # sample i uses base + i
            single = run(engine, [prompt], [SEEDS[p] + i], n=1)[0][0]
            assert single.token_ids == completion.token_ids
    assert len({tuple(c.token_ids) for c in full[0]}) > 1


def test_samples_follow_the_distribution(engine, model):
    num = 4000
    first = [c.token_ids[0] for c in run(engine, [PROMPTS[0]], [7], n=num, max_tokens=1)[0]]
    with torch.no_grad():
        probabilities = model.eval()(torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(-1).double()
    counts = torch.bincount(torch.tensor(first), minlength=len(probabilities)).double()
    chi_square = float(((counts - num * probabilities) ** 2 / (num * probabilities)).sum())
    assert chi_square < 40  # 13 degrees of freedom: the chance of more is 1e-4


def test_greedy(engine, model):
    completion = run(engine, temperature=0.0, n=2)[1]
    assert completion[0].token_ids == completion[1].token_ids
    ids = list(PROMPTS[1])
    for token in completion[0].token_ids:
        with torch.no_grad():
            assert int(model.eval()(torch.tensor([ids])).logits[0, -1].argmax()) == token
        ids.append(token)


@pytest.mark.parametrize(("top_k", "top_p", "kept"), [(2, 1.0, 2), (0, 0.6, 2), (0, 0.4, 1), (1, 1.0, 1), (3, 0.9, 3)])
def test_top_k_and_top_p(top_k, top_p, kept):
    probabilities = torch.tensor([[0.3, 0.1, 0.5, 0.1]]).repeat(500, 1)
    u = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    token, logprob = sample_tokens(probabilities.log(), u, Sampling(top_k=top_k, top_p=top_p))
    allowed = probabilities[0].sort(descending=True, stable=True).indices[:kept]
    assert set(token.tolist()) == set(allowed.tolist())
    expected = probabilities[0, token] / probabilities[0, allowed].sum()
    torch.testing.assert_close(logprob.exp(), expected)


def test_extreme_draws_stay_inside():
    logits = torch.tensor([[0.0, -torch.inf, 0.0, -torch.inf]]).repeat(2, 1)
    token, logprob = sample_tokens(logits, torch.tensor([1e-17, 1 - 2**-53], dtype=torch.float64), Sampling())
    assert token.tolist() == [0, 2]
    assert torch.isfinite(logprob).all()


def test_leaves_the_model_and_the_random_state_alone(engine, model):
    model.train()
    before = torch.random.get_rng_state()
    run(engine)
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_group_larger_than_a_batch_is_sampled_in_parts(engine, model, monkeypatch):
    whole = run(engine, n=16)
    engine.batch_size = 5
    sizes = []
    sample = type(engine)._sample
    monkeypatch.setattr(type(engine), "_sample", lambda *a: sizes.append(len(a[1]) * a[3]) or sample(*a))
    assert [[c.token_ids for c in group] for _, group in sorted(run(engine, n=16).items())] == [
        [c.token_ids for c in group] for _, group in sorted(whole.items())
    ]
    assert max(sizes) == 5
    assert sum(sizes) == 16 * len(PROMPTS)


def test_a_prompt_that_leaves_no_room_is_refused_before_anything_is_sampled(engine):
    with pytest.raises(Refusal, match="120 tokens and a completion of max_tokens=12 do not fit in 128"):
        run(engine, [[3] * 120, [4]], [0, 1])
    assert len(run(engine, [[3] * 116], [0])[0][0].token_ids) <= 12


@pytest.mark.parametrize("temperature", [1.0, 0.0])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_numbers_are_named(maze_policy, temperature, value):
    broken = AutoModelForCausalLM.from_pretrained(maze_policy)
    with torch.no_grad():
        broken.transformer.h[1].mlp.c_fc.weight[0, 0] = value
    engine = TransformersEngine()
    engine.start("", broken, [EOS])
    engine.load_weights([], version=7)
    with pytest.raises(CannotRun, match=r"weights hold NaN or infinity in 1 tensors, transformer.h.1.mlp.c_fc.weight"):
        run(engine, temperature=temperature)


def test_no_prompts_and_misuse(engine):
    assert run(engine, [], []) == {}
    with pytest.raises(RuntimeError, match="before start"):
        run(TransformersEngine())
    with pytest.raises(RuntimeError, match="live policy"):
        TransformersEngine().start("", None, [EOS])
    with pytest.raises(ValueError, match="batch_size"):
        TransformersEngine(batch_size=0)
