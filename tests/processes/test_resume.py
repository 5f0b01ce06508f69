"""A run that is killed and resumed ends with the weights of one that was not, to the bit."""

import random
import signal

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, LORA, STEPS, Run, arguments

from lit_passk.checkpointing.reading import is_whole
from lit_passk.checkpointing.run_folder import last_checkpoint

LAST = ("--ckpt_path", "last")
WAYS = {  # strategy, processes, options, where it is killed
    "shards, KL to a reference": ("fsdp2", 2, KL, ("start", "write", "rename")),
    "shards, adapters and KL to their absence": ("fsdp2", 2, (*KL, *LORA), ("update",)),
    "a file, two replicas": ("ddp", 2, KL, ("write",)),
    "a file, no KL, one process": ("auto", 1, (), ("update", "write", "rename")),
}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_killed_anywhere_and_resumed_is_bit_equal(way, train, policy, tmp_path):
    strategy, num_processes, options, places = way
    undisturbed = train(strategy, num_processes, options)
    draw = random.Random(str(way))  # other steps in each way, the same ones in each run of the test
    steps = sorted(draw.sample(range(1, STEPS), len(places)))
    for step, where in zip(steps, places, strict=True):
        before = last_checkpoint(tmp_path)
        kill = ["--trainer.callbacks+=helpers.faults.KillAt", f"--trainer.callbacks.step={step}"]
        kill.append(f"--trainer.callbacks.where={where}")
        args = arguments(policy, tmp_path, strategy, num_processes, *options, *LAST, *kill)
        codes = Ranks(args, num_processes, tmp_path).wait()
        assert -signal.SIGKILL in codes, (codes, step, where)
        last = last_checkpoint(tmp_path)
        done = step - 1 if where in ("write", "rename") else step
        assert (last.name if last else None) == (f"step={done}.ckpt" if done else None)
        assert before is None or last is not None
        if where in ("write", "rename"):
            left = list((tmp_path / "checkpoints").glob(".*.partial"))
            # Rank 0 alone ends the writing of shards: the other may see it die, and clear up, before it ends too.
            assert len(left) == 1 or (strategy, len(left)) == ("fsdp2", 0)
            assert where == "rename" or not any(is_whole(path) for path in left)
    ranks = Ranks(arguments(policy, tmp_path, strategy, num_processes, *options, *LAST), num_processes, tmp_path)
    resumed = Run(tmp_path, ranks.succeed().output(), num_processes)
    assert same(resumed.weights, undisturbed.weights)
    assert sorted(resumed.saved()) == [*range(1, STEPS + 1)]
    resumed.assert_same_saved(undisturbed)
    assert not list((tmp_path / "checkpoints").glob(".*")), "what the kills left behind was cleared away"
    # A resumed run compares engine and policy once more, and validated step 4 before it was killed.
    shared = {k: v for k, v in undisturbed.metrics.items() if not k.startswith(("time/", "parity/", "val/"))}
    assert {k: resumed.metrics[k] for k in shared} == shared


OTHERS = {
    "2 shards on 4": (("fsdp2", 2), ("fsdp2", 4)),
    "2 shards on 1": (("fsdp2", 2), ("fsdp2", 1)),
    "2 shards on 1 without sharding": (("fsdp2", 2), ("auto", 1)),
    "a file on 2 shards": (("auto", 1), ("fsdp2", 2)),
    "adapters of a file on 2 shards": (("auto", 1, (*KL, *LORA)), ("fsdp2", 2, (*KL, *LORA))),
}


@pytest.mark.parametrize(("before", "after"), OTHERS.values(), ids=OTHERS)
def test_other_processes_go_on_and_say_what_changes(before, after, train, policy, tmp_path):
    whole = train(*before)
    strategy, num_processes, options = (*after, KL)[:3]
    args = arguments(policy, tmp_path, strategy, num_processes, *options, "--ckpt_path", str(whole.checkpoint(3)))
    resumed = Run(tmp_path, Ranks(args, num_processes, tmp_path).succeed().output(), num_processes)
    assert sorted(resumed.steps()) == [3, 4]
    assert {s: resumed.steps()[s].keys() for s in (3, 4)} == {s: whole.steps()[s].keys() for s in (3, 4)}
    for name, values in whole.weights.items():
        torch.testing.assert_close(resumed.weights[name], values, rtol=0, atol=1e-5, msg=name)
    told = "The checkpoint is of" in resumed.output
    assert told == (before[1] != num_processes)


def test_a_checkpoint_that_lost_a_part_is_refused_and_passed_over(train, policy, tmp_path):
    import shutil

    whole = train("fsdp2", 2)
    folder = tmp_path / "checkpoints"
    for step in (2, 3):
        shutil.copytree(whole.checkpoint(step), folder / f"step={step}.ckpt")
    shards = sorted((folder / "step=3.ckpt").glob("*.distcp"))
    assert len(shards) == 2
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    assert last_checkpoint(tmp_path) == folder / "step=2.ckpt"
    args = arguments(policy, tmp_path, "fsdp2", 2, *KL, "--ckpt_path", str(folder / "step=3.ckpt"))
    ranks = Ranks(args, 2, tmp_path)
    assert ranks.wait() == [1, 1]
    assert "is not whole" in ranks.output()


def test_a_file_of_weights_alone_is_no_checkpoint_to_resume_from(train, policy, tmp_path):
    checkpoint = torch.load(train("auto", 1).checkpoint(3), weights_only=True)
    torch.save({"state_dict": checkpoint["state_dict"]}, tmp_path / "weights.ckpt")
    ranks = Ranks(arguments(policy, tmp_path, "fsdp2", 1, "--ckpt_path", str(tmp_path / "weights.ckpt")), 1, tmp_path)
    assert ranks.wait() == [1]
    assert "is not a checkpoint of `lit-passk fit`" in ranks.output()


def test_a_checkpoint_is_written_after_the_validation_of_its_step(train):
    checkpoint = torch.load(train("auto", 1, KL).checkpoint(4), weights_only=True)
    assert checkpoint["metrics"] == {name: value for name, value in checkpoint["metrics"].items() if value == value}, (
        "numbers"
    )
    assert {"val/pass@2", "val/ups/pass@1/low"} <= checkpoint["metrics"].keys()
    before = torch.load(train("auto", 1, KL).checkpoint(1), weights_only=True)
    assert "val/pass@2" not in before["metrics"]


def test_training_longer_than_the_data_lasts(train):
    """The five steps of these runs cross the end of an epoch, so the resumptions above do too."""
    prompts = [set(step) for _, step in sorted(train("auto", 1, ()).steps().items())]
    assert len(prompts) == STEPS
    assert set.union(*prompts[:3]) == set(range(7))
