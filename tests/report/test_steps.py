"""Trainings by step: numbers against plain arithmetic, the page, and a folder that is being written."""

import csv
import gzip
import io
import math
import re
import statistics
from dataclasses import replace

import pytest
import torch
from helpers.pages import CHROMIUM, dump_dom, unpack

from lit_passk.commands.report import main
from lit_passk.functional import pass_at_k_interval
from lit_passk.report.runs import open_runs
from lit_passk.report.step_tables import step_table, steps_csv
from lit_passk.report.steps import read_history
from lit_passk.results import load_results, run_settings
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.results.step_files import step_path
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Completion, Problem, Sampling, Score, ScoredGroup

STEPS = [  # of each RL step: problem to outcomes, as in conftest; the last problem of step 2 is not trained on
    {"a": "1000", "b": "0000"},
    {"a": "1100", "c": "1x11"},
    {"b": "0100", "a": "1111"},
]


def scored_group(problem, outcomes, step):
    return ScoredGroup(
        problem=Problem(id=problem, prompt=f"What is ${problem}$?", answer="7"),
        index=ord(problem),
        prompt_ids=[1],
        completions=[Completion(token_ids=[1, 2], logprobs=[-1.0, -1.0], finish_reason="stop")] * 4,
        texts=[f"step {step}, sample {sample}: \\boxed{{7}} </script>" for sample in range(4)],
        scores=[
            Score(
                reward=float(v == "1") - 0.25,
                correct=v == "1",
                answer="7" if v == "1" else str(sample),
                error="hung" if v == "x" else None,
                parts={"format": 0.5},
            )
            for sample, v in enumerate(outcomes)
        ],
        seed=step,
    )


@pytest.fixture
def folder(tmp_path):
    save = SaveRollouts()
    save.start(tmp_path / "run", run_settings("org/model", Sampling(), seed=0), 0)
    for step, problems in enumerate(STEPS, start=1):
        groups = [scored_group(problem, outcomes, step) for problem, outcomes in problems.items()]
        aside = [groups.pop()] if step == 2 else []
        rollouts = collate_rollouts(groups, not_trained=aside)
        save.save(step, "train", rollouts, torch.full_like(rollouts.rewards, 0.5))
    return tmp_path / "run" / "rollouts"


def history_of(folder, most_completions=1000):
    _, (training,) = open_runs([str(folder)])
    return read_history(training, most_completions)


def test_numbers_of_each_step(folder):
    history = history_of(folder)
    assert history.label == "run"
    first, second, third = history.points(most=10)
    assert [(p.first, p.last, p.num_prompts) for p in (first, second, third)] == [(1, 1, 2), (2, 2, 2), (3, 3, 2)]
    assert first.reward[0] == pytest.approx(1 / 8 - 0.25)
    group_means = [1 / 4 - 0.25, 0 - 0.25]
    half = statistics.NormalDist().inv_cdf(0.975) * statistics.stdev(group_means) / math.sqrt(2)
    assert first.reward[1:] == pytest.approx((first.reward[0] - half, first.reward[0] + half))
    expected = [float(x[0]) for x in pass_at_k_interval(torch.tensor([1, 0]), 4, [2])]
    assert first.pass_at_k[2] == pytest.approx(expected, abs=1e-12)
    assert second.unscored == 1 / 8
    assert second.reward[0] == pytest.approx(5 / 7 - 0.25)
    assert second.pass_at_k[4][0] == 1.0, "only the group with four scored completions"
    assert third.pass_at_k[1][0] == pytest.approx(5 / 8)
    (whole,) = history.points(most=1, ks=[4])
    assert (whole.first, whole.last, whole.num_prompts, list(whole.pass_at_k)) == (1, 3, 6, [4])
    assert whole.pass_at_k[4][0] == pytest.approx((1 + 0 + 1 + 1 + 1) / 5)


def test_table_and_csv(folder):
    heading, table, notes = step_table(history_of(folder), None, 0.95)
    assert heading == "run by RL step"
    assert table[0] == [
        "RL steps",
        "prompts",
        "reward",
        "pass@1",
        "pass@2",
        "pass@4",
        "truncated",
        "unscored",
        "mean_length",
    ]
    assert [row[0] for row in table[1:]] == ["1", "2", "3"]
    assert "RL steps 1 to 3, 3 of them on disk." in notes
    rows = list(csv.DictReader(io.StringIO(steps_csv([history_of(folder)], [1], 0.95))))
    values = {(row["first_step"], row["metric"]): float(row["value"]) for row in rows}
    assert values["3", "pass@1"] == pytest.approx(5 / 8)
    assert values["2", "unscored"] == pytest.approx(1 / 8)


def test_a_large_training_keeps_some_completions_and_counts_every_visit(folder):
    history = history_of(folder, most_completions=12)
    assert (history.kept, history.stride) == (2, 1)
    assert [len(prompt.completions) for prompt in history.prompts] == [6, 4, 2]
    assert [len(prompt.visits) for prompt in history.prompts] == [3, 2, 1]
    assert "the first 2 completions of every visit" in step_table(history, None, 0.95)[2][-1]
    sparse = history_of(folder, most_completions=3)
    assert (sparse.kept, sparse.stride) == (1, 2)
    assert sum(len(prompt.completions) for prompt in sparse.prompts) == 3
    assert history.points(1)[0] == sparse.points(1)[0]


def test_report_of_a_running_training_beside_an_evaluation(folder, two_runs, tmp_path, capsys):
    (folder / ".step_000004.jsonl.gz.half").write_bytes(b"\x1f\x8b\x08")
    out = tmp_path / "out"
    assert main([str(folder), f"base={two_runs[0]}", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "run by RL step" in printed
    assert "base" in printed
    names = ["report.csv", "report.html", "report.md", "report.png", "steps.csv", "steps.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    text = (out / "report.html").read_text()
    index = unpack(text, "index")
    assert [run["label"] for run in index["runs"]] == ["base", "run"]
    (row,) = [problem for problem in index["problems"] if problem["id"] == "c"]
    assert row["cells"][0] is None
    assert row["cells"][1] == [4, 3, 1, 0, 2, 2, [[2, 3, 3, 4, 0.75, False]]]
    blob = unpack(text, f"p{index['problems'].index(row)}")[1]
    assert [completion[10:] for completion in blob["completions"]] == [[{"format": 0.5}, 2, None]] * 4
    assert "policy `org/model`" in (out / "report.md").read_text()


def test_what_a_folder_cannot_be(folder, two_runs, tmp_path, capsys):
    assert main([str(folder.parent)]) == 2
    assert f"Name {folder}" in capsys.readouterr().err
    assert main([str(folder), "--table", "latex"]) == 2
    assert "only folders of rollouts were given" in capsys.readouterr().err
    assert main([str(folder), str(two_runs[0]), "--compare"]) == 2
    assert "two result files or more" in capsys.readouterr().err
    assert main([f"x={two_runs[0]}+{folder}"]) == 2
    assert "is a folder" in capsys.readouterr().err
    first = gzip.decompress(step_path(folder, 3).read_bytes()).partition(b"\n")[0]
    step_path(tmp_path, 1).write_bytes(gzip.compress(first + b"\n"))
    assert main([str(tmp_path)]) == 2
    assert "holds no completions yet" in capsys.readouterr().err


def test_compressed_files_and_single_steps_are_results_too(folder, two_runs, tmp_path, capsys):
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(two_runs[0].read_bytes()))
    assert replace(load_results(packed), path=two_runs[0]) == load_results(two_runs[0])
    assert main([str(packed), str(step_path(folder, 3))]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^packed +times +4 ", printed, re.M)
    assert re.search(r"^step_000003 +train +2 ", printed, re.M)
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(packed.read_bytes()[:-40])
    assert 0 < len(load_results(torn).records) < len(load_results(packed).records)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (`apt-get install chromium`)")
def test_steps_in_a_real_browser(folder, tmp_path):
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    page = tmp_path / "out" / "report.html"
    dom = dump_dom(page, "tab=problems&sort=improved", tmp_path / "profile")
    assert 'data-ready="true"' in dom
    assert re.findall(r'<div class="id">([^<]*)</div>', dom) == ["a", "b", "c"]
    assert dom.count('class="visit"') == 3
    headings = [
        "step 1: 1 of 4 correct, reward 0",
        "step 2: 2 of 4 correct, reward 0.25",
        "step 3: 4 of 4 correct, reward 0.75",
    ]
    assert re.findall(r"<h3>([^<]*)</h3>", dom) == headings
    dom = dump_dom(page, "tab=problems&problem=2&step=2", tmp_path / "profile")
    assert re.findall(r"<h3>([^<]*)</h3>", dom) == ["step 2: 3 of 3 correct, reward 0.75, not trained on"]
    assert dom.count('class="visit aside"') == 1
    assert dom.count("format 0.5") == 4
    assert "step 2, sample 0" in dom
