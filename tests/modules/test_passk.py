"""The training step against a plain padded computation that shares no code with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from helpers.scripted import scripted_rollouts, train
from transformers import AutoModelForCausalLM, CohereConfig, CohereForCausalLM

from lit_passk.advantages import DrGRPO, PassKAnalytic
from lit_passk.losses import TIS, ClipCovLoss, KLCovLoss, LossInputs, SimKOLoss, TokenMask
from lit_passk.modules import PassKRLModule
from lit_passk.modules.policies import Compute, pack_step
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy import attention
from lit_passk.policy.model import load_policy
from lit_passk.policy.packed_batch import PackedBatch
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import PromptBatch, Sampling

REWARDS = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1.0)


def constant(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def make(policy, **settings):
    defaults = {"advantage": PassKAnalytic(k=2), "optimizer": sgd, "lr_scheduler": constant, "max_grad_norm": 0.0}
    return PassKRLModule(policy, **{**defaults, **settings})


def distributions(model, rollouts, n):
    """Log-probs of the whole vocabulary at every token of a completion, shape (tokens, V), requiring grad, float64."""
    prompt, completion = rollouts.prompt_ids[rollouts.prompt_index[n]], rollouts.completion_ids[n]
    logits = model(torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1]
    return (logits / rollouts.sampling.temperature).log_softmax(-1)


def plain_logprobs(model, rollouts):
    """Per-token log-probs (requiring grad) and entropies of every completion, one forward pass each, float64."""
    logprobs, entropies = [], []
    for n, completion in enumerate(rollouts.completion_ids):
        full = distributions(model, rollouts, n)
        logprobs.append(full.gather(1, completion[:, None])[:, 0])
        entropies.append(-(full.exp() * full).sum(-1))
    return logprobs, entropies


def plain_gradient(policy, rollouts, advantages, aggregation="token", kl=0.0, entropy=0.0, weights=None):
    """Gradient of the policy-gradient loss over the trained tokens, written down from its definition in float64."""
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float64, attn_implementation="eager").eval()
    logprobs, entropies = plain_logprobs(model, rollouts)
    lengths = [int(mask.sum()) for mask in rollouts.trained]
    number = sum(length > 0 for length in lengths)
    loss = 0.0
    for n, (lp, ent) in enumerate(zip(logprobs, entropies, strict=True)):
        token = -advantages[n] * (lp - lp.detach()).exp() * (1.0 if weights is None else weights[n])
        token = token + kl * 0.5 * (lp - lp.detach()) ** 2 - entropy * ent  # k2 at the reference: no gradient
        scale = {
            "token": 1 / sum(lengths),
            "sequence": 1 / (number * max(lengths[n], 1)),
            "constant": 1 / (number * rollouts.sampling.max_tokens),
        }[aggregation]
        loss = loss + scale * token[rollouts.trained[n]].sum()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters()}


def gradient_of(module, policy):
    """What an SGD step of size 1 without momentum has taken off the weights."""
    before = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float64)
    after = dict(module.policy.model.named_parameters())
    return {name: p.detach() - after[name].detach().double() for name, p in before.named_parameters()}


def assert_same(found, expected):
    scale = max(float(g.abs().max()) for g in expected.values())
    assert scale > 1e-3  # the comparison is about something
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=2e-6 * max(scale, 1), rtol=1e-4, msg=name)


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
@pytest.mark.parametrize("token_budget", [10_000, 25])  # one micro-batch, and many
def test_gradient_equals_the_plain_one(maze_policy, aggregation, token_budget):
    rollouts = scripted_rollouts(REWARDS)
    module = make(maze_policy, aggregation=aggregation, compute=Compute(token_budget=token_budget))
    logged = train(module, rollouts)
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    expected = plain_gradient(maze_policy, rollouts, advantages, aggregation)
    assert_same(gradient_of(module, maze_policy), expected)
    norm = sum(float((g**2).sum()) for g in expected.values()) ** 0.5
    assert logged["train/grad_norm"] == pytest.approx(norm, rel=1e-4)
    assert logged["train/with_advantage"] == pytest.approx(
        2 / 5
    )  # with k = 2 a group of one wrong answer is silent too
    assert logged["train/solved"] == pytest.approx(4 / 5)
    assert logged["train/reward"] == pytest.approx(10 / 20)


@pytest.mark.parametrize("token_budget", [10_000, 40])
def test_a_model_that_cannot_be_packed_keeps_to_the_budget_too(tmp_path, monkeypatch, token_budget):
    config = CohereConfig(
        vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0
    )
    CohereForCausalLM(config).save_pretrained(tmp_path)
    rows = []
    padded = PackedBatch.padded
    monkeypatch.setattr(PackedBatch, "padded", lambda batch: rows.append(padded(batch)[0]) or padded(batch))
    rollouts = scripted_rollouts(REWARDS)
    module = make(str(tmp_path), compute=Compute(token_budget=token_budget))
    train(module, rollouts)
    assert max(row.numel() for row in rows) <= token_budget
    assert (len(rows) > 1) == (token_budget == 40)
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    assert_same(gradient_of(module, str(tmp_path)), plain_gradient(str(tmp_path), rollouts, advantages))


def test_micro_batches_are_balanced_by_the_policys_own_costs(maze_policy):
    policy = load_policy(maze_policy)
    # One long completion attends to more pairs than two groups of short ones, which have as many tokens.
    lengths = [[401], [101] * 2, [101] * 2, [101] * 2]
    batch = TrainingBatch(
        prompt_ids=(torch.ones(10, dtype=torch.int64),) * 4,
        completion_ids=tuple(torch.ones(n, dtype=torch.int64) for group in lengths for n in group),
        rollout_logprobs=(),
        trained=(),
        prompt_index=torch.tensor([0, 1, 1, 2, 2, 3, 3]),
        advantages=torch.ones(7),
        weights=torch.ones(7),
        minibatch=torch.zeros(7, dtype=torch.int64),
        temperature=1.0,
        version=0,
        full_precision=True,
    )
    assert sorted(len(micro.completions) for micro in pack_step(policy, batch, None, 700)) == [1, 6]


def test_the_setting_for_saved_logits_reaches_the_policy(maze_policy):
    rollouts = scripted_rollouts(REWARDS)
    module = make(maze_policy, compute=Compute(max_saved_logits_mib=0))
    train(module, rollouts)
    assert module.policy.max_saved_logits_mib == 0
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    assert_same(gradient_of(module, maze_policy), plain_gradient(maze_policy, rollouts, advantages))


def test_temperature_and_entropy_bonus(maze_policy):
    rollouts = scripted_rollouts(REWARDS, sampling=Sampling(temperature=0.6, max_tokens=7))
    module = make(maze_policy, entropy_coef=0.3)
    train(module, rollouts)
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    assert_same(gradient_of(module, maze_policy), plain_gradient(maze_policy, rollouts, advantages, entropy=0.3))


def test_unscored_completions_leave_their_group(maze_policy):
    rewards = [[1, 0, None, 0], [1, 1, 0, 0], [None, None, 0, 1]]
    rollouts = scripted_rollouts(rewards)
    module = make(maze_policy, advantage=DrGRPO())
    logged = train(module, rollouts)
    advantages = torch.tensor([2, -1, -1, 1.5, 1.5, -1.5, -1.5, -1.5, 1.5]) / 3
    assert len(rollouts.completion_ids) == 9
    assert_same(gradient_of(module, maze_policy), plain_gradient(maze_policy, rollouts, advantages))
    assert logged["train/unscored"] == 3


def test_a_group_that_shrank_below_k_is_silent(maze_policy):
    rollouts = scripted_rollouts([[1, None, None, None], [1, 0, 0, 0]])
    module = make(maze_policy, advantage=PassKAnalytic(k=2))
    logged = train(module, rollouts)
    assert logged["train/with_advantage"] == 0.5


def test_no_signal_changes_nothing(maze_policy):
    module = make(maze_policy)
    logged = train(module, scripted_rollouts([[1, 1, 1, 1], [0, 0, 0, 0]]))
    assert all(float(g.abs().max()) == 0 for g in gradient_of(module, maze_policy).values())
    assert logged["train/grad_norm"] == 0
    assert module.rl_step == 1


def test_kl_at_the_reference_has_no_gradient_and_then_pulls_back(maze_policy):
    silent = scripted_rollouts([[0, 0, 0, 0]])
    module = make(
        maze_policy, kl_coef=0.5, kl_estimator="k2", optimizer=lambda p: torch.optim.SGD(p, lr=0.02), max_grad_norm=1.0
    )
    logged = train(module, silent)
    assert logged["train/loss/kl"] == pytest.approx(0, abs=1e-6)
    assert all(float(g.abs().max()) < 1e-5 for g in gradient_of(module, maze_policy).values())
    assert module.reference is not None
    assert not any("reference" in name for name in module.state_dict())

    with torch.no_grad():  # away from the reference
        for p in module.policy.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    first = train(module, silent)["train/loss/kl"]
    for _ in range(5):
        last = train(module, silent)["train/loss/kl"]
    assert 0 < last < first


def test_no_reference_is_built_without_kl(maze_policy):
    module = make(maze_policy)
    train(module, scripted_rollouts(REWARDS))
    assert module.reference is None


def test_several_updates_use_the_log_probs_before_the_first(maze_policy):
    """Two epochs of two mini-batches equal four hand-made updates with frozen old log-probs."""
    rollouts = scripted_rollouts([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
    module = make(maze_policy, num_epochs=2, num_minibatches=2)
    train(module, rollouts)

    model = AutoModelForCausalLM.from_pretrained(maze_policy, dtype=torch.float64, attn_implementation="eager").eval()
    advantages = PassKAnalytic(k=2)(rollouts.rewards.reshape(4, 4)).flatten()
    with torch.no_grad():
        old, _ = plain_logprobs(model, rollouts)
    optimizer = sgd(model.parameters())
    for rows in [range(8), range(8, 16)] * 2:
        new, _ = plain_logprobs(model, rollouts)
        total = sum(len(rollouts.completion_ids[n]) for n in rows)
        loss = 0.0
        for n in rows:
            ratio = (new[n] - old[n]).exp()
            loss = loss - torch.minimum(ratio * advantages[n], ratio.clamp(0.8, 1.28) * advantages[n]).sum() / total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = dict(module.policy.model.named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(after[name].double(), p, atol=5e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kernels", ["fast", "plain"])
@pytest.mark.parametrize(
    "loss", [KLCovLoss(share=0.3, kl_coef=0.5), ClipCovLoss(share=0.3, cov_low=0.0)], ids=["KLCov", "ClipCov"]
)
def test_a_loss_that_looks_at_the_whole_update(maze_policy, loss, kernels):
    """Many micro-batches, two epochs of two mini-batches: the tokens are those of the whole mini-batch, each time."""
    rollouts = scripted_rollouts([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
    compute = Compute(token_budget=25, kernels=kernels)
    module = make(maze_policy, num_epochs=2, num_minibatches=2, loss=loss, compute=compute)
    train(module, rollouts)

    model = AutoModelForCausalLM.from_pretrained(maze_policy, dtype=torch.float64, attn_implementation="eager").eval()
    advantages = PassKAnalytic(k=2)(rollouts.rewards.reshape(4, 4)).flatten().double()
    with torch.no_grad():
        old, _ = plain_logprobs(model, rollouts)
    optimizer = sgd(model.parameters())
    for update, rows in enumerate([range(8), range(8, 16)] * 2):
        new, _ = plain_logprobs(model, rollouts)
        lengths = torch.tensor([len(new[n]) for n in rows])
        now, before = torch.cat([new[n] for n in rows]), torch.cat([old[n] for n in rows])
        a = advantages[rows.start : rows.stop].repeat_interleave(lengths)
        inputs = LossInputs(
            logprobs=now,
            old_logprobs=before,
            advantages=a,
            weights=a,
            completion_index=torch.repeat_interleave(lengths),
        )
        chosen, ratio = loss.select(inputs, update), (now - before).exp()
        assert 0 < int(chosen.sum()) < len(now)
        if isinstance(loss, KLCovLoss):
            tokens = -ratio * a + 0.5 * (now - before).abs() * chosen
        else:
            tokens = torch.maximum(-ratio * a, -ratio.clamp(0.8, 1.2) * a) * ~chosen
        optimizer.zero_grad()
        (tokens.sum() / len(now)).backward()
        optimizer.step()
    after = dict(module.policy.model.named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(after[name].double(), p, atol=5e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kernels", ["fast", "plain"])
def test_a_loss_that_asks_for_the_likeliest_tokens(maze_policy, kernels):
    """The paper's formula, ratios of the likeliest to what they were before the step included."""
    rollouts = scripted_rollouts([[1, 0, 0, 0], [1, 1, 0, 0]])
    loss = SimKOLoss(num_top=3, alpha=0.3, entropy_quantile=0.5, top_penalty=2.0)
    compute = Compute(token_budget=25, kernels=kernels, max_saved_logits_mib=0)
    module = make(maze_policy, num_epochs=2, loss=loss, compute=compute)
    train(module, rollouts)

    model = AutoModelForCausalLM.from_pretrained(maze_policy, dtype=torch.float64, attn_implementation="eager").eval()
    advantages = PassKAnalytic(k=2)(rollouts.rewards.reshape(2, 4)).flatten().double()
    optimizer, old = sgd(model.parameters()), None
    shared = penalised = 0
    for _ in range(2):
        everything = [distributions(model, rollouts, n) for n in range(len(advantages))]
        old = [logp.detach() for logp in everything] if old is None else old
        total, count = 0.0, 0
        for n, logp in enumerate(everything):
            sampled, a = rollouts.completion_ids[n][:, None], advantages[n]
            entropy = -(logp.exp() * logp).sum(1).detach()
            undecided = entropy > entropy.quantile(0.5)
            likeliest = logp.detach().argsort(dim=1, descending=True)[:, :3]
            ratio = (logp - old[n]).gather(1, sampled).exp()[:, 0]
            ratios = (logp - old[n]).gather(1, likeliest).exp()
            mixed = 0.7 * ratio + 0.1 * ((ratio[:, None] / ratios).detach() * ratios).sum(1)
            scale = torch.where(undecided & (likeliest[:, 0] == sampled[:, 0]), 2.0, 1.0) if a < 0 else 1.0
            ratio = torch.where(undecided, mixed, ratio) if a > 0 else ratio
            total = total - torch.minimum(ratio * a * scale, ratio.clamp(0.8, 1.2) * a * scale).sum()
            count += len(sampled)
            shared += int((undecided & (a > 0)).sum())
            penalised += int((torch.as_tensor(scale) > 1).sum())
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    assert shared
    assert penalised
    after = dict(module.policy.model.named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(after[name].double(), p, atol=5e-6, rtol=1e-4, msg=name)


def test_a_quantised_policy_is_refused_before_it_is_loaded(maze_policy, tmp_path):
    shutil.copytree(maze_policy, tmp_path / "policy")
    config = tmp_path / "policy" / "config.json"
    quantization = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    config.write_text(json.dumps(json.loads(config.read_text()) | quantization))
    with pytest.raises(ValueError, match=r"is quantised \(bitsandbytes\), and such weights cannot be trained"):
        train(make(str(tmp_path / "policy")), scripted_rollouts(REWARDS))


def test_gradients_are_clipped_to_the_norm(maze_policy):
    module = make(maze_policy, max_grad_norm=1e-2)
    train(module, scripted_rollouts(REWARDS))
    norm = sum(float((g**2).sum()) for g in gradient_of(module, maze_policy).values()) ** 0.5
    assert norm == pytest.approx(1e-2, rel=1e-3)


def test_rollout_correction_weights_the_tokens(maze_policy):
    rollouts = scripted_rollouts(REWARDS)
    module = make(
        maze_policy, correction=[TIS(high=2.0), TokenMask(low=0.3, high=9.0)], compute=Compute(token_budget=25)
    )
    logged = train(module, rollouts)
    model = AutoModelForCausalLM.from_pretrained(maze_policy, dtype=torch.float64).eval()
    with torch.no_grad():
        logprobs, _ = plain_logprobs(model, rollouts)
    ratios = [(lp - r.double()).exp() for lp, r in zip(logprobs, rollouts.rollout_logprobs, strict=True)]
    weights = [ratio.clamp(max=2) * ((ratio >= 0.3) & (ratio <= 9)) for ratio in ratios]
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    assert_same(gradient_of(module, maze_policy), plain_gradient(maze_policy, rollouts, advantages, weights=weights))
    assert 0 < logged["train/rollout_correction/ess"] < 1
    dropped = (
        torch.cat(weights)[torch.cat([a.expand(len(w)) for a, w in zip(advantages, weights, strict=True)]) != 0] == 0
    )
    assert 0 < logged["train/rollout_correction/dropped/TokenMask"] == pytest.approx(float(dropped.float().mean()))


def masked(rollouts, seed=0):
    """The same completions, of which random tokens are trained: of the first none, of the second the last."""
    draw, groups = torch.Generator().manual_seed(seed), []
    for group in rollouts.groups:
        masks = [(torch.rand(len(c.token_ids), generator=draw) < 0.5).tolist() for c in group.completions]
        completions = [replace(c, trained=mask) for c, mask in zip(group.completions, masks, strict=True)]
        groups.append(replace(group, completions=completions))
    first = groups[0].completions
    none, last = [False] * len(first[0].token_ids), [False] * (len(first[1].token_ids) - 1) + [True]
    edges = [replace(first[0], trained=none), replace(first[1], trained=last)]
    groups[0] = replace(groups[0], completions=[*edges, *first[2:]])
    return collate_rollouts(groups, rollouts.sampling)


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
@pytest.mark.parametrize("token_budget", [10_000, 25])
def test_only_the_trained_tokens_are_trained(maze_policy, aggregation, token_budget):
    rollouts = masked(scripted_rollouts(REWARDS))
    module = make(maze_policy, aggregation=aggregation, compute=Compute(token_budget=token_budget), entropy_coef=0.1)
    logged = train(module, rollouts)
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    expected = plain_gradient(maze_policy, rollouts, advantages, aggregation, entropy=0.1)
    assert_same(gradient_of(module, maze_policy), expected)
    logprobs = torch.cat([x[m] for x, m in zip(rollouts.rollout_logprobs, rollouts.trained, strict=True)])
    assert logged["train/entropy"] == pytest.approx(-float(logprobs.mean()), rel=1e-5)


def test_log_probs_of_trained_tokens_alone(maze_policy):
    rollouts = masked(scripted_rollouts(REWARDS))
    module = make(maze_policy)
    module.policy = load_policy(maze_policy)
    model = AutoModelForCausalLM.from_pretrained(maze_policy, dtype=torch.float64).eval()
    expected, _ = plain_logprobs(model, rollouts)
    for found, plain, mask in zip(module.completion_logprobs(rollouts), expected, rollouts.trained, strict=True):
        torch.testing.assert_close(found.double(), plain[mask].detach(), atol=1e-5, rtol=1e-5)


def test_a_mask_of_the_wrong_length_is_refused():
    rollouts = scripted_rollouts([[1.0]])
    group = rollouts.groups[0]
    completion = replace(group.completions[0], trained=[True] * (len(group.completions[0].token_ids) + 1))
    with pytest.raises(ValueError, match="one bool per token"):
        collate_rollouts([replace(group, completions=[completion])])


def test_missing_rollouts_are_an_error(maze_policy):
    batch = PromptBatch(problems=[], prompt_ids=[], indices=[], positions=[])
    with pytest.raises(RuntimeError, match="RolloutCallback"):
        make(maze_policy).training_step(batch, 0)


@pytest.mark.parametrize("settings", [{"num_epochs": 0}, {"num_minibatches": 0}, {"ks": []}, {"ks": [0]}])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match="at least 1"):
        PassKRLModule("x", **settings)


def test_the_plain_kernels_by_a_setting(maze_policy, monkeypatch):
    monkeypatch.setattr(attention, "shared_prompt_attention", None)  # the fast path would call it
    rollouts = scripted_rollouts(REWARDS)
    module = make(maze_policy, compute=Compute(kernels="plain", token_budget=25))
    train(module, rollouts)
    advantages = PassKAnalytic(k=2)(torch.tensor(REWARDS, dtype=torch.float32)).flatten()
    assert_same(gradient_of(module, maze_policy), plain_gradient(maze_policy, rollouts, advantages))
