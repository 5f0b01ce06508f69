"""A training that is killed before every change it makes to its files, and in every phase of a step, loses nothing."""

import csv
import json
import signal

import pytest
import torch
from helpers import kills
from helpers.faults import PHASES
from helpers.ranks import Ranks
from helpers.waiting import await_end

from lit_passk.checkpointing.reading import is_whole
from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.results import load_results

pytestmark = pytest.mark.bit_equal

LOGGERS = ("lightning.pytorch.loggers.csv_logs.experiment", "lightning.fabric.loggers.csv_logs.__init__")
KILLS = [  # by which function that changes files, in the order of a run
    "checkpointing.run_folder.__init__#1",  # the lock
    "results.save_rollouts._take_folder#1",
    "results.save_rollouts._write#1",  # its folder, which somebody may have removed
    "results.atomic.write_atomically#3",  # the rollouts of a step, after two changes that try the folder out
    "results.atomic.write_atomically#4",
    "lightning.fabric.loggers.csv_logs.save#1",
    "checkpointing.files.whole_or_nothing#1",
    "checkpointing.files.save_checkpoint#1",  # half of it
    "checkpointing.files.save_checkpoint#2",
    "checkpointing.files.put_in_place#1",
    "checkpointing.files.remove#2",  # the checkpoint before
    "lightning.fabric.loggers.csv_logs._rewrite_with_new_header#1",
    "checkpointing.run_folder.release#1",  # at the very end
]
PLACES = {kill.partition("#")[0] for kill in KILLS} | set(LOGGERS)
A_START_AND_A_STEP = 20  # changes


def train(policy, folder, *where, target=kills.train):
    """The exit code of a training, and what it printed."""
    beside = folder.with_name(f"{folder.name}.beside")
    ranks = Ranks([policy, str(folder), *where], 1, beside, target=target)
    return ranks.wait()[0], ranks.output()


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "logs" not in str(path))


@pytest.fixture(scope="module")
def undisturbed(maze_policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    code, output = train(maze_policy, folder, "")
    assert code == 0, output
    return folder


def the_end(folder):
    return torch.load(folder.with_name("run.beside") / "end.pt", weights_only=True)


def test_every_place_that_changes_files_is_known(undisturbed):
    assert set(the_end(undisturbed)["changes"]) == PLACES, "a new one is killed by the tests below once it is here"


WAYS = {
    "places": [[kill] for kill in KILLS],
    "workers": [["sampling", "1", "workers"], ["validation", "2", "workers"]],
    "every change": [[str(number)] for number in range(1, A_START_AND_A_STEP + 1)],
    "every phase": [[phase, str(step)] for step, phase in enumerate(PHASES)],
}
SLOW = [pytest.param(way, marks=pytest.mark.slow) for way in ("every change", "every phase")]


@pytest.mark.parametrize("way", ["places", "workers", *SLOW])
def test_killed_anywhere_and_resumed_it_ends_as_if_nothing_had_happened(maze_policy, undisturbed, tmp_path, way):
    folder, done = tmp_path / "run", 0
    for where in WAYS[way]:
        code, output = train(maze_policy, folder, *where)
        assert code == -signal.SIGKILL, (where, output)
        words = json.loads((tmp_path / "run.beside" / "last_words.json").read_text())
        assert way == "every change" or words["where"] == where[0].partition("#")[0]
        assert (len(words["started"]) > 0) == ("workers" in where)
        assert await_end(*words["started"]), "the processes that score end with it"
        last = last_checkpoint(folder)
        step = 0 if last is None else int(last.stem.partition("=")[2])
        assert step >= done, (where, "nothing is lost")
        done = step
        assert all(is_whole(path) for path in folder.glob("checkpoints/step=*.ckpt")), where
    code, output = train(maze_policy, folder, "")
    assert code == 0, output
    theirs, ours = the_end(undisturbed), the_end(folder)
    assert all(torch.equal(ours["weights"][name], theirs["weights"][name]) for name in theirs["weights"])
    shared = [name for name in theirs["metrics"] if not name.startswith("time/") and name in ours["metrics"]]
    assert {name: ours["metrics"][name] for name in shared} == {name: theirs["metrics"][name] for name in shared}
    assert files(folder) == files(undisturbed), "what the kills left behind was cleared away"
    assert logged(folder) >= logged(undisturbed)


def logged(folder):
    """The rewards of all steps that are in the logs of any of the starts."""
    rows = [row for file in folder.rglob("metrics.csv") for row in csv.DictReader(file.open(newline=""))]
    return {(row["step"], row["train/reward"]) for row in rows if row.get("train/reward")}


def test_few_open_files_and_full_shared_memory_change_nothing(maze_policy, undisturbed, tmp_path):
    folder = tmp_path / "run"
    code, output = train(maze_policy, folder, "", "workers", target=kills.train_within_limits)
    assert code == 0, output
    theirs, ours = the_end(undisturbed)["weights"], the_end(folder)["weights"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_evaluation_that_is_killed_while_it_writes_results_goes_on(maze_policy, tmp_path):
    folders = [tmp_path / "undisturbed", tmp_path / "run"]
    code, output = train(maze_policy, folders[0], "0", target=kills.evaluate)
    assert code == 0, output
    for number in (1, 3):  # the header, and the second group after it
        code, output = train(maze_policy, folders[1], str(number), target=kills.evaluate)
        assert code == -signal.SIGKILL, output
    held = len(load_results(folders[1] / "results.jsonl").records)
    assert held > 0
    code, output = train(maze_policy, folders[1], "0", target=kills.evaluate)
    assert code == 0, output
    theirs, ours = (load_results(folder / "results.jsonl").records for folder in folders)
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    written = [json.loads((tmp_path / f"{folder.name}.beside" / "writes.json").read_text()) for folder in folders]
    assert written[1] < written[0], "what was there was not sampled again"
