"""Training rollouts on disk: what a step's file holds, whose folder it is, what happens when the disk is full."""

import errno
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.scripted import scripted_rollouts

from lit_passk.errors import Refusal
from lit_passk.results import load_results, run_settings
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.results.step_files import StepFolder, step_files, step_path
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Sampling

SETTINGS = run_settings("org/model", Sampling(), seed=3)
ADVANTAGES = torch.tensor([1.5, -0.5, 0.25])


def started(root, step=0, **options):
    save = SaveRollouts(**options)
    save.start(root, SETTINGS, step)
    return save


def write(save, *steps):
    for step in steps:
        save.save(step, "train", scripted_rollouts([[1.0, None, 0.0], [0.0]], seed=step), ADVANTAGES)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_step_holds_every_completion_with_its_fate(tmp_path):
    save = started(tmp_path)
    extra = scripted_rollouts([[0.0, 0.0]]).groups
    save.save(
        1, "train", replace(scripted_rollouts([[1.0, None, 0.0], [0.0]]), not_trained=extra, version=4), ADVANTAGES
    )
    folder = StepFolder.open(tmp_path / "rollouts")
    assert (folder.settings["policy"], folder.settings["seed"]) == ("org/model", 3)
    ((step, records),) = folder.steps()
    assert step == 1
    # Problem 0 comes twice, so the samples of its second group are numbered on.
    assert [(r.problem_id, r.sample, r.trained, r.advantage, r.error) for r in records] == [
        ("0", 0, True, 1.5, None),
        ("0", 1, True, None, "hung"),
        ("0", 2, True, -0.5, None),
        ("1", 0, True, 0.25, None),
        ("0", 3, False, None, None),
        ("0", 4, False, None, None),
    ]
    assert {r.step for r in records} == {1}
    with gzip.open(step_path(folder.path, 1)) as stream:
        assert json.loads(stream.readline())["weights_of_step"] == 4


def test_completions_without_tokens_have_no_advantage(tmp_path):
    rollouts = scripted_rollouts([[1.0, 0.0]])
    group = rollouts.groups[0]
    empty = replace(group, completions=[replace(group.completions[0], token_ids=[], logprobs=[]), group.completions[1]])
    started(tmp_path).save(1, "train", collate_rollouts([empty]), torch.tensor([0.5]))
    records = load_results(step_path(tmp_path / "rollouts", 1)).records
    assert [(r.num_tokens > 0, r.mean_logprob is None, r.advantage) for r in records] == [
        (False, True, None),
        (True, False, 0.5),
    ]


def test_every_and_the_oldest_go_first(tmp_path, recwarn):
    write(started(tmp_path, every=3), *range(1, 9))
    assert list(step_files(tmp_path / "rollouts")) == [1, 4, 7]
    size = max(path.stat().st_size for path in step_files(tmp_path / "rollouts").values())
    save = started(tmp_path / "small", max_mib=3.5 * size / 2**20)
    write(save, *range(1, 7))
    kept = list(step_files(tmp_path / "small" / "rollouts"))
    assert kept[-1] == 6
    assert kept == list(range(kept[0], 7))
    assert 3 <= len(kept) < 6
    write(started(tmp_path / "tiny", max_mib=1e-6), 1, 2)
    assert list(step_files(tmp_path / "tiny" / "rollouts")) == [2], "the newest is kept whatever its size"


def test_a_resumed_run_goes_on_and_another_is_refused(tmp_path):
    first = started(tmp_path)
    write(first, 1, 2, 3)
    (tmp_path / "rollouts" / ".step_000004.jsonl.gz.abc").write_bytes(b"half")
    with pytest.raises(Refusal, match=r"another run \(RL steps 1 to 3\).*`--ckpt_path last`"):
        started(tmp_path)
    assert list(step_files(tmp_path / "rollouts")) == [1, 2, 3]
    resumed = SaveRollouts()
    resumed.run = first.run
    resumed.start(tmp_path, SETTINGS, step=2)
    assert names(tmp_path / "rollouts") == ["step_000001.jsonl.gz", "step_000002.jsonl.gz"], (
        "step 3 is to be made again"
    )
    again = SaveRollouts()
    again.starts_anew = True  # no checkpoint was left
    with pytest.raises(Refusal, match="another run"):
        again.start(tmp_path, {**SETTINGS, "seed": 4}, step=0)
    again.start(tmp_path, SETTINGS, step=0)
    assert names(tmp_path / "rollouts") == []


def test_a_full_disk_costs_one_warning_and_nothing_half_written_stays(tmp_path, monkeypatch):
    save = started(tmp_path)
    write(save, 1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lit_passk.results.atomic.os.fsync", full)
        with pytest.warns(UserWarning, match="RL step 2 are not in .*rollouts.*No space left") as caught:
            write(save, 2, 3)
    assert len([w for w in caught if "rollout.save" in str(w.message)]) == 1
    write(save, 4)
    assert names(tmp_path / "rollouts") == ["step_000001.jsonl.gz", "step_000004.jsonl.gz"]


def test_what_cannot_be_written_to_is_refused_at_the_start(tmp_path):
    (tmp_path / "rollouts").write_text("a file")
    with pytest.raises(Refusal, match=r"`rollout.save` cannot write to .*rollouts"):
        started(tmp_path)
    for options in ({"every": 0}, {"max_mib": 0}):
        with pytest.raises(Refusal, match="every >= 1 and max_mib > 0"):
            SaveRollouts(**options)


def test_little_room_is_said_at_the_start(tmp_path):
    with pytest.warns(UserWarning, match="MiB left"):
        started(tmp_path, max_mib=1e12)


def test_a_folder_of_steps_is_read_while_it_is_written(tmp_path):
    write(started(tmp_path), 1, 2, 3)
    folder = tmp_path / "rollouts"
    (folder / ".step_000004.jsonl.gz.x").write_bytes(b"\x1f\x8b half")
    opened = StepFolder.open(folder)
    step_path(folder, 2).unlink()  # the run removes its oldest meanwhile
    seen = [step for step, _ in opened.steps()]
    assert seen == [1, 3]
    with pytest.raises(Refusal, match=r"holds no training rollouts.*Name .*rollouts"):
        StepFolder.open(tmp_path)
    with pytest.raises(Refusal, match="is a folder"):
        load_results(folder)
