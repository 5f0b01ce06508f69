import json
import logging
import multiprocessing
import time
from dataclasses import replace

import pytest
from helpers.result_files import (
    SETTINGS,
    ShareOfTokens,
    ShareOfTokensInWorkers,
    Times,
    TimesInWorkers,
    group,
    record,
    write_all,
    write_forever,
)

from lit_passk.results import ResultWriter, group_records, load_results, rescore, run_settings
from lit_passk.results.record import encode_record
from lit_passk.results.step_files import StepFolder
from lit_passk.scoring.scorer import Scorer
from lit_passk.types import Completion, Sampling, Score, ScoredGroup


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "run.jsonl"
    odd = record(
        "p2", 0, completion="half a pair \ud83d", answer=None, error="timeout", mean_logprob=None, correct=True
    )
    with ResultWriter(path, SETTINGS) as writer:
        assert writer.write(group("p1", range(3))) == 3
        assert writer.write([odd]) == 1
    results = load_results(path)
    assert results.records == [*group("p1", range(3)), odd]
    assert results.settings == json.loads(json.dumps(SETTINGS))
    assert "torch" in results.versions
    assert list(results.groups()["times"]) == ["p1", "p2"]


def test_files_of_earlier_releases_are_read(tmp_path):
    """As they were written before: an integer for a whole reward, half a surrogate pair as an escape."""
    path = tmp_path / "old.jsonl"
    path.write_text(
        '{"format": "lit-passk-results", "version": 1, "settings": {"policy": "p", "sampling": {"top_p": 1.0}}, '
        '"versions": {"torch": "2.9"}, "rescored": {"from": "older.jsonl", "versions": {}}}\n'
        '{"benchmark": "times", "problem_id": "p1", "sample": 0, "prompt": "q", "reference": "14", '
        '"completion": "\\ud83d", "answer": null, "reward": 1, "correct": true, "truncated": false, "error": null, '
        '"num_tokens": 3, "mean_logprob": null, "seed": 9223372036854775807}\n'
    )
    results = load_results(path)
    assert (results.settings["sampling"], results.versions) == ({"top_p": 1.0}, {"torch": "2.9"})
    (only,) = results.records
    assert (only.completion, only.answer, only.reward, only.seed) == ("\ud83d", None, 1.0, 2**63 - 1)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"format": "lit-passk-results", "version": 2, "settings": {}, "versions": {}}', "version 2, but .* reads 1"),
        (b'{"format": "lit-passk-results", "version": 1, "versions": {}}', "missing required field `settings`"),
        (b'{"format": "lit-passk-results", "version": 1, "settings": 3, "versions": {}}', r"at `\$\.settings`"),
    ],
)
def test_broken_headers_are_named(tmp_path, header, message):
    path = tmp_path / "run.jsonl"
    path.write_bytes(header + b"\n")
    with pytest.raises(ValueError, match=message) as caught:
        load_results(path)
    assert str(caught.value).startswith(f"{path}:1: ")


def test_missing_and_duplicates(tmp_path):
    with ResultWriter(tmp_path / "run.jsonl", SETTINGS) as writer:
        writer.write(group("p1", [0, 2]))
        assert writer.missing("times", "p1", 4) == [1, 3]
        assert writer.missing("times", "p1", 1) == []
        assert writer.missing("other", "p1", 2) == [0, 1]
        assert writer.write([*group("p1", [0, 1, 2, 3]), record("p1", 3)]) == 2
    assert [r.sample for r in load_results(tmp_path / "run.jsonl").records] == [0, 2, 1, 3]


def test_every_possible_tear_is_survived(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", range(2)))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with ResultWriter(path, SETTINGS) as writer:
            held = [sample for sample in range(2) if sample not in writer.missing("times", "p1", 2)]
            complete = max(whole[:size].count(b"\n") - 1, 0)
            assert held == list(range(complete)), size
            writer.write(group("p1", writer.missing("times", "p1", 2)))
        assert path.read_bytes() == whole, size


@pytest.mark.parametrize("length", [(1 << 16) - 1, 1 << 16, 3 << 16])
def test_a_long_torn_line_is_cut_off_where_the_last_whole_one_ends(tmp_path, length):
    """Wherever that end lies in the blocks that are read from the end of the file."""
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", range(2)))
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * length)
    with ResultWriter(path, SETTINGS) as writer:
        assert list(writer.missing("times", "p1", 3)) == [2]
    assert path.read_bytes() == whole


def test_reader_leaves_out_a_torn_line_and_changes_nothing(tmp_path, caplog):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", range(2)))
    torn = path.read_bytes()[:-5]
    path.write_bytes(torn)
    with caplog.at_level(logging.WARNING):
        assert len(load_results(path).records) == 1
    assert f"{path}:3" in caplog.text
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (run_settings("org/other", Sampling(temperature=0.6), seed=1), "policy: 'org/model' in the file, 'org/other'"),
        (run_settings("org/model", Sampling(temperature=1.0), seed=1), "sampling.temperature: 0.6 in the file, 1.0"),
        (run_settings("org/model", Sampling(temperature=0.6), seed=2), "seed: 1 in the file, 2"),
        (run_settings("org/model", Sampling(temperature=0.6), seed=1, chat=True), "chat: absent in the file, True"),
    ],
)
def test_other_settings_are_refused(tmp_path, changed, named):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", [0]))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="started with other settings") as caught:
        ResultWriter(path, changed)
    assert named in str(caught.value)
    assert path.read_bytes() == before


def test_a_higher_n_is_no_other_setting(tmp_path):
    with ResultWriter(tmp_path / "run.jsonl", SETTINGS) as writer:
        writer.write(group("p1", range(4)))
    more = run_settings("org/model", Sampling(temperature=0.6, n=8), seed=1)
    with ResultWriter(tmp_path / "run.jsonl", more) as writer:
        assert writer.missing("times", "p1", 8) == [4, 5, 6, 7]


def test_another_prompt_under_the_same_id_is_refused(tmp_path):
    with ResultWriter(tmp_path / "run.jsonl", SETTINGS) as writer:
        writer.write(group("p1", [0]))
        with pytest.raises(ValueError, match="another prompt or reference"):
            writer.write([record("p2", 0), record("p1", 1, prompt="something else")])
        assert writer.missing("times", "p2", 1) == [0]
    assert len(load_results(tmp_path / "run.jsonl").records) == 1


def test_numbers_json_cannot_hold_are_refused_and_nothing_is_written(tmp_path):
    with ResultWriter(tmp_path / "run.jsonl", SETTINGS) as writer:
        with pytest.raises(ValueError, match="problem_id='p1', sample=1"):
            writer.write([record(sample=0), record(sample=1, reward=float("nan"))])
        assert writer.missing("times", "p1", 2) == [0, 1]
        writer.write([record(sample=0)])
    assert len(load_results(tmp_path / "run.jsonl").records) == 1


def test_foreign_files_are_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    for content in (b"dear diary", b'{"format": "other"}\n', b'{"a": 1}\n', b"[]\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"notes.txt:1"):
            ResultWriter(path, SETTINGS)
        with pytest.raises(ValueError, match=r"notes.txt:1"):
            load_results(path)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"not json\n", "not a JSON line"),
        (b"\0" * 40 + b"\n", "not a JSON line"),
        (b"[" * 100_000 + b"\n", "not a JSON line"),
        (b'{"metadata": ' * 100_000 + b"\n", "not a JSON line"),
        (
            encode_record(record(sample=9)).replace(b'"answer": "9"', b'"answer": "\xe9"'),
            "not a JSON line .*can't decode",
        ),
        (b"[1]\n", "Expected `object`, got `array`"),
        (encode_record(record(sample=9)).replace(b'"seed"', b'"sead"'), "unknown field `sead`"),
        (
            encode_record(record(sample=9)).replace(b'"correct": false', b'"correct": 0'),
            r"`int` - at `\$\.correct`",
        ),
        (encode_record(record(sample=9)).replace(b'"sample": 9', b'"sample": true'), r"got `bool` - at `\$\.sample`"),
        (encode_record(record(sample=9)).replace(b'"answer": "9"', b'"answer": 9'), r"got `int` - at `\$\.answer`"),
        (encode_record(record(sample=9)).replace(b', "seed": 109', b""), "missing required field `seed`"),
        (encode_record(record(sample=9)).replace(b'"reward": 0.0', b'"reward": NaN'), "NaN is no finite number"),
        (encode_record(record(sample=9)).replace(b'"reward": 0.0', b'"reward": 1e999'), "1e999 is no finite number"),
        (encode_record(record(sample=9, reward=1e39)), "reward"),
        (encode_record(record(sample=9, mean_logprob=-1e39)), "mean_logprob"),
        (encode_record(record(sample=9, parts={"a": 1e39})), "parts"),
        (encode_record(record(sample=9, num_tokens=-1)), "num_tokens"),
        (encode_record(record(sample=9, num_tokens=10**400)), "num_tokens"),
        (encode_record(record(sample=9)).replace(b'"sample": 9', b'"sample": -1'), r">= 0 - at `\$\.sample`"),
        (encode_record(record(sample=0)), "is already on line 2"),
    ],
)
def test_broken_lines_are_named_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", [0, 1]))
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(ValueError, match=message) as caught:
        load_results(path)
    assert str(caught.value).startswith(f"{path}:4: ")


def test_a_file_with_a_sample_twice_is_not_continued(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", [0, 1]))
    path.write_bytes(path.read_bytes() + encode_record(record("p1", 1)))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"run\.jsonl:4: sample 1 of problem 'p1' \(times\) is already in the file"):
        ResultWriter(path, SETTINGS)
    assert path.read_bytes() == before


def test_two_processes_share_a_file(tmp_path):
    path = tmp_path / "run.jsonl"
    spawn = multiprocessing.get_context("spawn")
    ranks = [spawn.Process(target=write_all, args=(path, rank)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
        assert rank.exitcode == 0
    problems = load_results(path).groups()["times"]
    assert all([r.sample for r in group] == list(range(6)) for group in problems.values())
    assert len(problems) == 40


def test_killed_run_continues_where_it_stopped(tmp_path):
    path = tmp_path / "run.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=write_forever, args=(path,))
    process.start()
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size > 100_000):
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    with ResultWriter(path, SETTINGS) as writer:
        problems = list(load_results(path).groups()["times"])
        for problem in [*problems, "one more"]:
            missing = writer.missing("times", problem, 4)
            assert writer.write(group(problem, missing)) == len(missing)
    groups = load_results(path).groups()["times"]
    assert list(groups) == [*problems, "one more"]
    assert all([r.sample for r in group] == [0, 1, 2, 3] for group in groups.values())


def test_records_of_a_scored_group():
    scored = ScoredGroup(
        problem=Times()[3],
        index=3,
        prompt_ids=[1, 2],
        completions=[
            Completion(token_ids=[5, 6], logprobs=[-0.5, -1.5], finish_reason="stop"),
            Completion(token_ids=[], logprobs=[], finish_reason="length"),
        ],
        texts=["{3}", ""],
        scores=[Score(reward=1.0, correct=True, answer="3"), Score(reward=0.0, correct=False, error="no score")],
        seed=70,
    )
    first, second = group_records("times", scored, samples=[4, 5])
    assert (first.problem_id, first.prompt, first.reference) == ("p3", "question p3", "3")
    assert (first.sample, first.seed, first.num_tokens, first.mean_logprob) == (4, 70, 2, -1.0)
    assert (first.completion, first.answer, first.correct, first.truncated) == ("{3}", "3", True, False)
    assert (second.sample, second.seed, second.mean_logprob) == (5, 71, None)
    assert (second.error, second.truncated) == ("no score", True)
    assert [record.sample for record in group_records("times", scored)] == [0, 1]


class PaidByTokens(Times):
    def score(self, problem, completion):
        return Score(reward=-completion.num_tokens, correct=not completion.truncated, answer=len(completion))


def test_rescoring_shows_the_number_of_tokens_and_checks_scores(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write([record("p1", 0, num_tokens=7), record("p1", 1, truncated=True)])
    first, second = load_results(rescore(path, PaidByTokens()).path).records
    assert (first.reward, first.correct, first.answer) == (-7.0, True, str(len(first.completion)))
    assert (second.reward, second.correct) == (-3.0, False)


def test_rescoring_goes_over_groups_and_keeps_what_the_reward_is_made_of(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write([record("p1", 0, num_tokens=1), record("p2", 0, num_tokens=5), record("p1", 1, num_tokens=3)])
    tasks = {"times": ShareOfTokensInWorkers()}
    with Scorer(tasks, num_workers=1) as scorer:
        in_workers = rescore(path, tasks, out=tmp_path / "a.jsonl", submit=scorer.submit_group)
    for new in (in_workers, rescore(path, ShareOfTokens())):
        rows = load_results(new.path).records
        assert [(r.problem_id, r.reward, r.parts) for r in rows] == [
            ("p1", 0.25, {"share": 0.25}),
            ("p2", 1.0, {"share": 1.0}),
            ("p1", 0.75, {"share": 0.75}),
        ]
    assert b'"parts"' not in path.read_bytes(), "a reward of one piece needs no list of its parts"


def test_rescore_scores_again_and_keeps_the_samples(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p2", range(4)))
        writer.write(group("p1", range(2)))
    before = path.read_bytes()
    summary = rescore(path, Times())
    assert (summary.path, summary.num_completions, summary.num_changed) == (tmp_path / "run.rescored.jsonl", 6, 3)
    assert summary.num_unscored == 1
    assert path.read_bytes() == before
    new = load_results(summary.path)
    assert [(r.problem_id, r.sample) for r in new.records] == [("p2", s) for s in range(4)] + [("p1", 0), ("p1", 1)]
    assert [r.correct for r in new.records] == [False, False, True, False, False, True]
    assert [r.reference for r in new.records] == ["2"] * 4 + ["1"] * 2
    assert new.records[3].error == "no score"
    assert [r.completion for r in new.records] == [r.completion for r in load_results(path).records]
    with ResultWriter(summary.path, SETTINGS) as writer:
        assert writer.missing("times", "p2", 5) == [4]
    again = tmp_path / "again.jsonl"
    assert rescore(summary.path, {"times": Times()}, out=again).num_changed == 0
    assert rescore(path, Times(), out=again).num_changed == 3, "an earlier rescoring is replaced"
    with pytest.raises(ValueError, match="never overwrites"):
        rescore(again, Times(), out=again)


def test_rescore_says_whose_wording_changed(tmp_path, caplog):
    class Reworded(Times):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), prompt=f"another question p{index}")

    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", range(2)))
    rescore(path, Times())
    assert caplog.text == ""
    rescore(path, Reworded())
    assert "1 problems are worded differently in the task now, such as 'p1'" in caplog.text


def test_other_versions_than_the_file_s_are_said(tmp_path, caplog):
    path = tmp_path / "run.jsonl"
    for _ in range(2):
        ResultWriter(path, SETTINGS).close()
    assert caplog.text == ""
    header = json.loads(path.read_bytes())
    path.write_text(json.dumps({**header, "versions": {**header["versions"], "torch": "0.1"}}) + "\n")
    ResultWriter(path, SETTINGS).close()
    assert "continued with other package versions: torch: '0.1' in the file" in caplog.text


def test_a_folder_without_rollouts_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no training rollouts .* writes\.$"):
        StepFolder.open(tmp_path)


def test_rescore_in_worker_processes(tmp_path):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p2", range(4)))
    tasks = {"times": TimesInWorkers()}
    with Scorer(tasks, num_workers=1) as scorer:
        in_workers = rescore(path, tasks, out=tmp_path / "a.jsonl", submit=scorer.submit_group)
    inline = rescore(path, tasks, out=tmp_path / "b.jsonl")
    assert load_results(in_workers.path).records == load_results(inline.path).records


def test_rescore_fails_whole(tmp_path):
    class Broken(Times):
        def score(self, problem, completion):
            raise OSError("verifier is gone")

    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p9", [0]))
    with pytest.raises(ValueError, match="1 problems that Times does not have, such as 'p9'"):
        rescore(path, Times())
    with pytest.raises(ValueError, match="tasks were given for"):
        rescore(path, {"other": Times()})
    with pytest.raises(ValueError, match="never overwrites"):
        rescore(path, Times(), out=path)
    sampled, notes = tmp_path / "sampled.jsonl", tmp_path / "notes.jsonl"
    with ResultWriter(sampled, SETTINGS) as writer:
        writer.write(group("p9", [0]))
    notes.write_text("what I found\n")
    for there in (sampled, notes):
        before = there.read_bytes()
        with pytest.raises(ValueError, match="nor anything but an earlier rescoring"):
            rescore(path, Times(), out=there)
        assert there.read_bytes() == before
        there.unlink()
    with ResultWriter(tmp_path / "b.jsonl", SETTINGS) as writer:
        writer.write([record("p1"), record("p1", benchmark="other")])
    with pytest.raises(ValueError, match=r"several benchmarks \(\['other', 'times'\]\)"):
        rescore(tmp_path / "b.jsonl", Times())
    (tmp_path / "b.jsonl").unlink()
    with ResultWriter(tmp_path / "b.jsonl", SETTINGS) as writer:
        writer.write(group("p1", [0]))
    with pytest.raises(OSError, match="verifier is gone"):
        rescore(tmp_path / "b.jsonl", Broken())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.jsonl", "run.jsonl"]


@pytest.mark.parametrize("line", [0, 1])
def test_half_a_surrogate_pair_in_the_place_of_something_else_is_refused(tmp_path, line):
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write([record("p1", 0)])
    rows = [json.loads(text) for text in path.read_bytes().splitlines()]
    rows[line]["settings" if line == 0 else "sample"] = "\ud800"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=f"run.jsonl:{line + 1}"):
        load_results(path)
