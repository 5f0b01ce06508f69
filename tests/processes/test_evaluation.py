"""Evaluations on several processes: one file, nothing sampled twice, the numbers of one process."""

import json

import pytest
from helpers.ranks import Ranks
from helpers.runs import KL, arguments


def validate(policy, folder, checkpoint, num_processes, *more):
    """Of a checkpoint, with the completions in ``folder/completions.jsonl``."""
    strategy = "fsdp2" if num_processes > 1 else "auto"
    _, *options = arguments(policy, folder, strategy, num_processes, *KL, recorded=False)
    args = [
        "validate",
        *options,
        "--ckpt_path",
        str(checkpoint),
        "--rollout.results",
        str(folder / "completions.jsonl"),
    ]
    args += more
    return Ranks(args, num_processes, folder).succeed().output()


def completions(folder):
    lines = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()[1:]]
    found = {(r["problem_id"], r["sample"]): r["completion"] for r in lines}
    assert len(found) == len(lines), "a sample was written twice"
    return found


@pytest.fixture(scope="module")
def checkpoint(train):
    return train("fsdp2", 2).checkpoint(4)


def test_two_processes_write_what_one_does(policy, checkpoint, tmp_path):
    validate(policy, tmp_path / "one", checkpoint, 1)
    validate(policy, tmp_path / "two", checkpoint, 2)
    assert completions(tmp_path / "one") == completions(tmp_path / "two")
    assert len(completions(tmp_path / "two")) == 5 * 4


def test_a_file_that_holds_all_of_one_ranks_problems_is_completed_by_the_other(policy, checkpoint, tmp_path):
    validate(policy, tmp_path, checkpoint, 2)
    whole = completions(tmp_path)
    file = tmp_path / "completions.jsonl"
    header, *lines = file.read_text().splitlines(keepends=True)
    # Batches are problems 0 1 2 and 3 4; the second rank has 1 and 4.
    file.write_text("".join([header, *(line for line in lines if json.loads(line)["problem_id"] in ("0", "2"))]))
    validate(policy, tmp_path, checkpoint, 2)
    assert completions(tmp_path) == whole
