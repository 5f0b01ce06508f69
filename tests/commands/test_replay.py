"""A step that was saved is run again: what differs, and where the first value lies that is not finite."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from helpers.scripted import scripted_rollouts, train
from safetensors import safe_open
from safetensors.torch import save_file

from lit_passk import cli
from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import SaveForReplay
from lit_passk.errors import CannotRun, Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.results.saved_step import read_step, write_step


def config(policy, folder, **changes):
    """A small run on mazes, of which step 2 is kept."""
    return {
        "model": {
            "policy": policy,
            "ks": [1],
            "advantage": {"class_path": "MaxAtK", "init_args": {"k": 2}},
            "kl_coef": 0.01,
            "entropy_coef": 0.01,
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-2}},
            **changes,
        },
        "rollout": {
            "group_size": 6,
            "sampling": {"max_tokens": 4},
        },
        "data": {
            "prompts_per_step": 3,
            "train": {"class_path": "helpers.counting.MoreUps", "init_args": {"num_problems": 6}},
        },
        "trainer": {
            "accelerator": "cpu",
            "max_steps": 2,
            "logger": False,
            "log_every_n_steps": 7,  # the step that is saved is none that is logged
            "enable_progress_bar": False,
            "default_root_dir": str(folder),
            "callbacks": [{"class_path": "lit_passk.callbacks.SaveForReplay", "init_args": {"steps": [2]}}],
        },
    }


def fit(policy, folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config(policy, folder / "run", **changes)))
    cli.main(["fit", "--config", str(path)])
    return folder / "run" / "replay" / "step_000002.safetensors"


@pytest.fixture(scope="module")
def kept(maze_policy, tmp_path_factory):
    """The second step of a run that is well; it began with other weights than the policy's folder has."""
    return fit(maze_policy, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def copied(kept, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(kept.parent, tmp_path / "replay")
    return tmp_path / "replay" / kept.name


def said(capsys, *args):
    """What is printed, by what it is about, and the exit status."""
    try:
        cli.main(["replay", *map(str, args)])
        status = 0
    except SystemExit as end:
        status = end.code
    out = capsys.readouterr()
    return out.out, out.err, status


def lines(out, mark):
    return [line for line in out.splitlines() if line.startswith(f"{mark} ")]


def test_a_step_that_is_well_shows_nothing(kept, capsys):
    out, _, status = said(capsys, kept)
    assert status == 0, out
    assert not lines(out, "!")
    assert "RL step 2 of a run from" in out
    assert "step_000002.ckpt (after 1 RL steps)" in out
    for text in (
        "MaxAtK makes the same of the same rewards",
        "not finite  nothing",
        "in the run",
        "fast and plain kernels",
        "starts with R (sample",
    ):
        assert text in out
    saved = read_step(kept)
    assert saved.metrics["train/grad_norm"] > 0


def test_other_weights_are_told_and_not_judged(copied, capsys):
    copied.with_suffix(".ckpt").unlink()
    out, _, status = said(capsys, copied)
    assert "not those that the step began with" in out
    assert "it is not judged" in out
    assert status == 0, out


def spoil_weights(file, name, index, value):
    path = file.with_suffix(".ckpt")
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"][name].view(-1)[index] = value
    torch.save(checkpoint, path)


def test_a_weight_that_is_no_number_is_named_and_the_module_where_it_shows_first(copied, capsys):
    spoil_weights(copied, "policy.model.transformer.h.1.mlp.c_fc.weight", 5, math.nan)
    out, _, status = said(capsys, copied)
    assert status == 1
    assert "! weights     NaN or infinity in transformer.h.1.mlp.c_fc.weight (1 values)" in out
    assert "first in the forward pass: the output of transformer.h.1.mlp.c_fc (Conv1D) at token 0 " in out
    assert "first in the backward pass: the gradient of the log-probabilities" in out


def test_one_token_is_named_where_one_is_wrong(copied, capsys):
    """The embedding of a position that only the longest sequences reach."""
    saved = read_step(copied)
    last = max(len(group.prompt_ids) + len(c.token_ids) - 2 for group in saved.groups for c in group.completions)
    spoil_weights(copied, "policy.model.transformer.wpe.weight", last * 64, math.inf)
    out, _, _ = said(capsys, copied)
    assert "NaN or infinity in transformer.wpe.weight" in out
    found = re.search(
        r"first in the forward pass: the output of transformer.wpe \(Embedding\) at token (\d) \(id \d+\) of sample \d "
        r"of problem '(\d)'",
        out,
    )
    prompt = next(group.prompt_ids for group in saved.groups if group.problem.id == found[2])
    assert len(prompt) + int(found[1]) == last


def test_other_weights_than_sampled_are_noticed(copied, capsys):
    spoil_weights(copied, "policy.model.transformer.h.1.mlp.c_fc.weight", slice(0, 4000), 3.0)
    out, _, status = said(capsys, copied)
    assert status == 1
    assert any("engine and policy: log-probabilities differ" in line for line in lines(out, "!"))
    assert not any("fast and plain kernels: log-probabilities" in line for line in lines(out, "!"))
    assert any(line.startswith("! gradient ") for line in lines(out, "!")), "another than the run had"


def test_a_reward_that_was_no_number_and_advantages_of_others_are_named(copied, capsys):
    saved = read_step(copied)
    group = saved.groups[1]
    nan = replace(group.scores[2], error="`Mine.score`: its reward is nan, which is not finite in float32")
    groups = [saved.groups[0], replace(group, scores=[*group.scores[:2], nan, *group.scores[3:]]), *saved.groups[2:]]
    scored = sum(score.error is None for one in groups for score in one.scores)
    write_step(copied, replace(saved, groups=groups, advantages=torch.full((scored,), 0.123)))
    out, _, status = said(capsys, copied)
    assert status == 1
    assert f"its reward is nan, which is not finite in float32 (sample 2 of problem {group.problem.id!r})" in out
    assert "! advantages  MaxAtK makes others of the same rewards: sample 0 of problem" in out
    assert "0.123, now " in out


def test_an_advantage_that_is_no_number_is_named(copied, capsys):
    saved = read_step(copied)
    advantages = saved.advantages.clone()
    advantages[0] = math.nan
    write_step(copied, replace(saved, advantages=advantages))
    out, _, status = said(capsys, copied)
    assert status == 1
    first = saved.groups[0].problem.id
    assert f"! advantages  not finite: sample 0 of problem {first!r} (nan); MaxAtK makes 0 such" in out
    assert "the gradient of the log-probabilities at trained token 0 (id " in out


def test_an_engine_that_recorded_no_number_is_named(copied, capsys):
    saved = read_step(copied)
    completion = saved.groups[0].completions[0]
    spoilt = replace(completion, logprobs=[math.nan, *completion.logprobs[1:]])
    groups = [replace(saved.groups[0], completions=[spoilt, *saved.groups[0].completions[1:]]), *saved.groups[1:]]
    write_step(copied, replace(saved, groups=groups))
    out, _, status = said(capsys, copied)
    assert status == 1
    where = f"token 0 (id {completion.token_ids[0]}) of sample 0"
    assert f"! engine      recorded log-probabilities that are not finite: {where}" in out


def test_tokens_that_the_policy_does_not_know_cost_a_sentence(copied, capsys):
    saved = read_step(copied)
    groups = [replace(saved.groups[0], prompt_ids=[*saved.groups[0].prompt_ids, 10**6]), *saved.groups[1:]]
    write_step(copied, replace(saved, groups=groups))
    _, err, status = said(capsys, copied)
    assert status == 2
    assert "The step holds token 1000000, but the policy " in err


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda:99", "cpu cpu"])
def test_devices_that_are_not_there_cost_a_sentence(copied, capsys, device):
    _, err, status = said(capsys, copied, "--device", device)
    assert status == 2
    assert f"`--device` must be cpu or one of this machine's {torch.cuda.device_count()} GPUs" in err


def test_wrong_files_cost_a_sentence(copied, capsys, tmp_path):
    whole = copied.read_bytes()
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(whole[: len(whole) // 2])
    with safe_open(copied, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        for name in ("token_ids", "logprobs", "trained"):
            tensors |= {part: tensors[part][:0] for part in (name, f"{name}/lengths")}
        save_file(tensors, tmp_path / "lacking.safetensors", file.metadata())
        lengths = file.get_tensor("prompt_ids/lengths")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        tensors |= {"prompt_ids": lengths[:0], "prompt_ids/lengths": lengths * 0}
        save_file(tensors, tmp_path / "unasked.safetensors", file.metadata())
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"x": 1}, pickled)
    for path, message in (
        (tmp_path / "none", "There is no file"),
        (tmp_path, "There is no file"),
        (foreign, "not a saved step"),
        (torn, "not a saved step, or torn"),
        (tmp_path / "lacking.safetensors", "a saved step that is damaged (StopIteration"),
        (tmp_path / "unasked.safetensors", "a prompt and a completion need a token"),
        (pickled, "not a saved step, or torn"),
    ):
        _, err, status = said(capsys, path)
        assert status == 2
        assert message in err
    for config, message in (
        (b"model: [", "is not valid YAML"),
        (b"[" * 10_000, "is not valid YAML"),
        (b"\xff\xfe", "is no UTF-8 text"),
    ):
        (tmp_path / "model.yaml").write_bytes(config)
        _, err, status = said(capsys, copied, "--config", tmp_path / "model.yaml")
        assert status == 2
        assert "model.yaml" in err
        assert message in err
    copied.with_suffix(".ckpt").write_bytes(b"half")
    _, err, status = said(capsys, copied)
    assert status == 2
    assert "is not whole" in err
    with pytest.raises(Refusal, match=r"SaveForReplay needs RL steps, counted from 1, but got \[0\]"):
        SaveForReplay([0])


def test_a_run_without_the_command_line_is_described_by_a_file(maze_policy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    class Ruins(DrGRPO):
        def __call__(self, rewards, context=None):
            return super().__call__(rewards, context) / 0.0

    module = PassKRLModule(maze_policy, advantage=Ruins(), max_skipped_steps=0)
    with (
        pytest.raises(CannotRun, match=r"RL step 1: the loss is not a finite number"),
        pytest.warns(UserWarning, match="RL step 1"),
    ):
        train(module, scripted_rollouts([[1, 0, 0], [1, 1, 0]]))
    file = Path("replay/step_000001.safetensors")
    _, err, status = said(capsys, file)
    assert status == 2
    assert "give it by `--config`" in err
    Path("model.yaml").write_text("model: {advantage: DrGRPO}")
    out, _, status = said(capsys, file, "--config", "model.yaml")
    assert status == 1
    assert "DrGRPO makes 0 such of the same rewards now" in out
