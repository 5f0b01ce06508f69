"""A checkpoint that is damaged, or of something else, costs a sentence: what was needed, what came, what to change."""

import math
import shutil
from argparse import Namespace

import pytest
import torch
import yaml
from helpers.runs import write_letters
from helpers.small_runs import build, run
from safetensors.torch import load_file, save_file

from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.commands.export import export
from lit_passk.errors import Refusal
from lit_passk.policy.lora import LoRA


@pytest.fixture(scope="module")
def whole(maze_policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run(maze_policy, folder)
    return last_checkpoint(folder)


def content(whole):
    return torch.load(whole, weights_only=True)


def changed(whole, path, *without, **changes):
    """The checkpoint without some of its entries, others replaced."""
    entries = content(whole) | changes
    torch.save({name: value for name, value in entries.items() if name not in without}, path)


def flipped(whole, path):
    """One bit of one weight, which torch reads without a word."""
    data = bytearray(whole.read_bytes())
    weight = content(whole)["state_dict"]["policy.model.transformer.wte.weight"]
    at = data.index(weight.numpy().tobytes())
    data[at + 100] ^= 1
    path.write_bytes(data)
    torch.load(path, weights_only=True)


FILES = {
    "truncated": (lambda w, p: p.write_bytes(w.read_bytes()[:-1]), "is not whole"),
    "empty": (lambda w, p: p.write_bytes(b""), "is not whole"),
    "one bit": (flipped, "is damaged.*Remove it to go on from the one before"),
    "a directory": (lambda w, p: p.mkdir(), "holds no checkpoint"),
    "a run": (lambda w, p: p.symlink_to(w.parents[1]), r"holds no checkpoint\. Name one in it, such as .*step=4\.ckpt"),
    "another project": (lambda w, p: torch.save({"state_dict": {}, "loops": {}}, p), "is not a checkpoint of"),
    "a tensor": (lambda w, p: torch.save(torch.zeros(3), p), "is not a checkpoint of"),
    "other code": (
        lambda w, p: torch.save({"state_dict": {}, "hyper_parameters": Namespace(lr=1)}, p),
        "cannot be read as tensors and plain values.*argparse.Namespace",
    ),
    "something before it": (lambda w, p: p.write_bytes(b"<html>" + w.read_bytes()), "is not whole"),
    "a count that is a text": (lambda w, p: changed(w, p, rl_step="4"), "its rl_step is of type str"),
    "weights that are a list": (lambda w, p: changed(w, p, state_dict=[]), "its state_dict is of type list"),
    "weights that are texts": (lambda w, p: changed(w, p, state_dict={"policy.a": "1"}), "'policy.a' is no tensor"),
    "a weight that is stretched": (
        lambda w, p: changed(w, p, state_dict={"policy.a": torch.zeros(1).expand(10**7, 10**6)}),
        "'policy.a' is no tensor of real numbers",
    ),
    "adapters that are a text": (lambda w, p: changed(w, p, lora="yes"), "its lora is of type str"),
    "an earlier version": (
        lambda w, p: changed(w, p, "random_states", "metrics", lit_passk="0.0.7"),
        r"holds no random_states, metrics: it was written by lit-passk 0\.0\.7",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_whole_checkpoint(maze_policy, whole, tmp_path, what):
    make, message = FILES[what]
    path = tmp_path / "given.ckpt"
    make(whole, path)
    if what not in ("a run", "an earlier version"):  # an export finds a run's last one, and needs no random numbers
        with pytest.raises(Refusal, match=message):
            export(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    trainer, module, data = build(maze_policy, tmp_path / "run")
    with pytest.raises(Refusal, match=message):
        trainer.fit(module, datamodule=data, ckpt_path=path)
    assert not list((tmp_path / "run").rglob("*.ckpt"))


RANDOM = {
    "nothing": {},
    "a text": {"torch": "x"},
    "of another length": {"torch": torch.zeros(3, dtype=torch.uint8)},
}


@pytest.mark.parametrize("what", RANDOM)
def test_random_states_that_are_none(maze_policy, whole, tmp_path, what):
    changed(whole, tmp_path / "given.ckpt", random_states=[RANDOM[what]])
    trainer, module, data = build(maze_policy, tmp_path / "run", steps=5)
    with pytest.raises(Refusal, match="random_states are none"):
        trainer.fit(module, datamodule=data, ckpt_path=tmp_path / "given.ckpt")


def test_no_state_of_an_optimizer_is_nothing_to_go_on_from(maze_policy, whole, tmp_path):
    changed(whole, tmp_path / "given.ckpt", optimizer_states=[])
    trainer, module, data = build(maze_policy, tmp_path / "run", steps=5)
    with pytest.raises(Refusal, match="holds weights alone, no optimizer state"):
        trainer.fit(module, datamodule=data, ckpt_path=tmp_path / "given.ckpt")


def test_what_a_checkpoint_lists_for_removal_are_checkpoints_of_the_folder(maze_policy, whole, tmp_path):
    """The names that a file holds are removed as new ones come; ``..`` would be the run's folder."""
    folder = tmp_path / "run" / "checkpoints"
    for name in ("step=1.ckpt", "mine.ckpt", "step=2.ckpt.old"):
        (folder / name).mkdir(parents=True)
    listed = ["..", ".", "", "../..", str(tmp_path), "mine.ckpt", "step=2.ckpt.old", "/elsewhere/step=1.ckpt", 3, None]
    callbacks = content(whole)["callbacks"] | {"ResumeCheckpoint": {"saved": listed}}
    changed(whole, tmp_path / "run" / "given.ckpt", callbacks=callbacks)
    trainer, module, data = build(maze_policy, tmp_path / "run", steps=5)
    trainer.fit(module, datamodule=data, ckpt_path=tmp_path / "run" / "given.ckpt")
    left = {path.name for path in folder.iterdir()}
    assert left == {"mine.ckpt", "step=2.ckpt.old", "step=5.ckpt"}
    assert (tmp_path / "run" / "given.ckpt").is_file()


def adding(values):
    return {name: tensor + 0.1 if tensor.is_floating_point() else tensor for name, tensor in values.items()}


@pytest.mark.parametrize("settings", [{"lora": LoRA(rank=2)}, {"kl_coef": 0.1}, {}], ids=["adapters", "KL", "neither"])
def test_other_weights_in_the_policys_folder_are_refused_where_they_are_needed(maze_policy, tmp_path, settings):
    """Of the same shapes, so that nothing else would show it."""
    policy, copy = tmp_path / "policy", tmp_path / "copy"
    for folder in (policy, copy):
        shutil.copytree(maze_policy, folder)
    trainer, module, data = build(str(policy), tmp_path / "run", steps=1, **settings)
    trainer.fit(module, datamodule=data)
    path = tmp_path / "run" / "checkpoints" / "step=1.ckpt"
    save_file(adding(load_file(policy / "model.safetensors")), policy / "model.safetensors", {"format": "pt"})

    def go_on(source):
        trainer, module, data = build(str(source), tmp_path / "run", steps=2, **settings)
        trainer.fit(module, datamodule=data, ckpt_path=path)

    if settings:
        with pytest.raises(Refusal, match=r"are not those that the run began with.* name by `model\.policy` where"):
            go_on(policy)
    if "lora" in settings:
        with pytest.raises(Refusal, match="name by `--policy` where"):
            export(path, tmp_path / "out")
    else:
        export(path, tmp_path / "out", policy=str(policy))
    export(path, tmp_path / "out", policy=str(copy))
    go_on(copy if settings else policy)


def test_weights_of_other_shapes_are_not_exported(maze_policy, whole, tmp_path):
    state = {name: values.new_zeros(()) for name, values in content(whole)["state_dict"].items()}
    changed(whole, tmp_path / "given.ckpt", state_dict=state)
    with pytest.raises(Refusal, match=r"do not fit .*size mismatch for .*Say by `--policy`"):
        export(tmp_path / "given.ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_no_numbers_are_not_exported(whole, tmp_path):
    state = content(whole)["state_dict"]
    name = sorted(state)[-1]
    changed(whole, tmp_path / "given.ckpt", state_dict=state | {name: state[name] * math.nan})
    with pytest.raises(Refusal, match=r"holds NaN in .* Export an earlier checkpoint"):
        export(tmp_path / "given.ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_none_is_not_shown(whole, tmp_path):
    changed(whole, tmp_path / "given.ckpt", config="[1, 2]")
    with pytest.raises(Refusal, match=r"The configuration in .* is no mapping, but list"):
        export(tmp_path / "given.ckpt", tmp_path / "out")


def test_no_text_of_a_configuration_ends_its_block_in_the_model_card(whole, tmp_path):
    hostile = {"model": 3, "data": {"train": {"class_path": "X", "init_args": 3}}, "a": "\n```\n<script>\n`````\n"}
    changed(whole, tmp_path / "given.ckpt", config=yaml.safe_dump(hostile))
    export(tmp_path / "given.ckpt", tmp_path / "out")
    block = (tmp_path / "out" / "README.md").read_text().partition("## Configuration\n\n")[2]
    fence = block.partition("yaml\n")[0]
    assert fence == "``````"
    assert block.count(fence) == 2
    assert block.endswith(f"{fence}\n")


OTHERS = {
    "another policy": ({"policy": "llama"}, "does not fit `model.policy` '.*llama': "),
    "adapters": ({"lora": LoRA(rank=2)}, r"with `model\.lora` None, but this run has \{'rank': 2"),
    "another optimizer": (
        {"optimizer": lambda p: torch.optim.SGD(p, lr=1e-2)},
        r"has the state of AdamW, but `model\.optimizer` is SGD",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_run(maze_policy, whole, tmp_path, what):
    settings, message = dict(OTHERS[what][0]), OTHERS[what][1]
    policy = settings.pop("policy", maze_policy)
    if policy != maze_policy:
        policy = str(tmp_path / policy)
        write_letters(policy)
    trainer, module, data = build(policy, tmp_path / "run", steps=5, **settings)
    with pytest.raises(Refusal, match=message):
        trainer.fit(module, datamodule=data, ckpt_path=whole)
    if what != "another optimizer":
        trainer, module, data = build(policy, tmp_path / "run", **settings)
        with pytest.raises(Refusal, match=message):
            trainer.validate(module, datamodule=data, ckpt_path=whole)


def test_weights_alone_are_validated_and_not_gone_on_from(maze_policy, whole, tmp_path):
    changed(whole, tmp_path / "weights.ckpt", "optimizer_states", "lr_schedulers")
    trainer, module, data = build(maze_policy, tmp_path / "run")
    with pytest.raises(Refusal, match="holds weights alone, no optimizer state"):
        trainer.fit(module, datamodule=data, ckpt_path=tmp_path / "weights.ckpt")
    trainer, module, data = build(maze_policy, tmp_path / "run")
    trainer.ckpt_path = tmp_path / "weights.ckpt"  # as the command line does
    trainer.validate(module, datamodule=data)
    assert module.rl_step == 4
