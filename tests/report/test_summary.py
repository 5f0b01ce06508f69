import csv
import io
import math
from pathlib import Path

import pytest
import torch

from lit_passk.functional.bootstrap import paired_difference, pass_at_k_interval
from lit_passk.report.compare import compare
from lit_passk.report.summary import default_ks, run_labels, summarize
from lit_passk.report.tables import as_csv, as_markdown, as_text, comparison_table, notes, summary_table
from lit_passk.results import load_results


def test_numbers_of_a_run(two_runs):
    (summary,) = summarize(load_results(two_runs[0]), "base")
    assert (summary.num_problems, summary.num_unscored, summary.num_samples) == (4, 0, (3, 4))
    estimate, low, high = pass_at_k_interval(torch.tensor([0, 1, 2, 4]), torch.tensor([4, 4, 3, 4]), [1, 2, 3])
    for i, k in enumerate([1, 2, 3]):
        assert summary.pass_at_k[k] == pytest.approx((float(estimate[i]), float(low[i]), float(high[i])), abs=1e-12)
    assert summary.pass_at_k[1][0] == pytest.approx((0 + 1 / 4 + 2 / 3 + 1) / 4)
    others = summary.others
    assert (others["truncated"], others["unscored"]) == (4 / 16, 1 / 16)
    assert (others["mean_length"], others["entropy"]) == (11.5, 0.5)
    assert others["pass^2"] == pytest.approx((0 + 0 + 1 / 3 + 1) / 4)
    assert others["coverage@0.5"] == 0.5
    assert "max@2" not in others
    assert summary.setting("sampling", "temperature") == 0.6  # exact: as given
    assert summary.setting("sampling", "nonsense") == ""


def test_graded_rewards_give_max_at_k(write_run, tmp_path):
    run = write_run(tmp_path / "graded.jsonl", {"times": ["00"]}, reward=lambda sample: 0.25 + 0.5 * sample)
    (summary,) = summarize(load_results(run), "graded")
    assert (summary.others["max@1"], summary.others["max@2"]) == (0.5, 0.75)


def test_problems_without_a_scored_completion_are_named_not_counted(write_run, tmp_path):
    run = write_run(tmp_path / "run.jsonl", {"times": ["xx", "10"]})
    (summary,) = summarize(load_results(run), "run")
    assert (summary.num_problems, summary.num_unscored) == (2, 1)
    assert summary.pass_at_k[1][0] == 0.5
    assert "1 of 2 problems have no completion that could be scored" in notes([summary], 0.95)[1]
    hopeless = write_run(tmp_path / "hopeless.jsonl", {"times": ["xx"]})
    with pytest.raises(ValueError, match="not one completion of times could be scored"):
        summarize(load_results(hopeless), "hopeless")


def test_labels():
    assert run_labels([Path("a/x.jsonl"), Path("b/y.jsonl")]) == ["x", "y"]
    assert run_labels([Path("r/a/v/x.jsonl"), Path("r/b/v/x.jsonl"), Path("z.jsonl")]) == ["a/v/x", "b/v/x", "z"]
    with pytest.raises(ValueError, match="given twice"):
        run_labels([Path("a/x.jsonl"), Path("a/x.jsonl")])
    assert default_ks(1) == [1]
    assert default_ks(64) == [1, 2, 4, 8, 16, 32, 64]


def test_comparison_is_the_paired_bootstrap(two_runs):
    (comparison,) = compare(*map(load_results, two_runs))
    assert (comparison.benchmark, comparison.num_problems, comparison.num_left_out) == ("times", 4, 0)
    first, better = torch.tensor([0, 1, 2, 4]), torch.tensor([1, 2, 3, 4])
    samples = torch.tensor([4, 4, 3, 4])
    for difference in comparison.differences:
        assert tuple(difference[1:]) == paired_difference(better, first, 4, samples, difference.k)
    assert [difference.k for difference in comparison.differences] == [1, 2, 3]
    assert comparison.differences[0].value == pytest.approx((1 / 4 + 1 / 4 + (3 / 4 - 2 / 3) + 0) / 4)


def test_comparison_pairs_by_problem_not_by_order(write_run, tmp_path):
    easy, hard = "1" * 8, "0" * 8
    one = write_run(tmp_path / "one.jsonl", {"times": [easy, hard] * 10})
    same = write_run(tmp_path / "same.jsonl", {"times": [easy, hard] * 10})
    shuffled = same.read_bytes().splitlines(keepends=True)
    same.write_bytes(b"".join([shuffled[0], *reversed(shuffled[1:])]))
    (comparison,) = compare(load_results(one), load_results(same), ks=[1])
    assert comparison.differences[0] == (1, 0.0, 0.0, 0.0)
    assert not comparison.differences[0].clear


def test_comparison_refuses_what_is_not_comparable(write_run, tmp_path, two_runs):
    other = write_run(tmp_path / "other.jsonl", {"plus": ["10"]})
    with pytest.raises(ValueError, match="share no benchmark: times against plus"):
        compare(load_results(two_runs[0]), load_results(other))
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(two_runs[0].read_bytes().replace(b'"reference": "21"', b'"reference": "22"'))
    with pytest.raises(ValueError, match="Problem 'p3' of times has another reference"):
        compare(load_results(two_runs[0]), load_results(changed))


def test_tables(two_runs):
    results = [load_results(path) for path in two_runs]
    summaries = [
        entry for run, label in zip(results, ("base", "bet|ter"), strict=True) for entry in summarize(run, label)
    ]
    table = summary_table(summaries)
    assert table[0][:4] == ["run", "benchmark", "problems", "n"]
    assert table[1][:8] == ["base", "times", "4", "3-4", "0.6", "1.0", "512", table[1][7]]
    value, low, high = (100 * number for number in summaries[0].pass_at_k[1])
    assert table[1][7] == f"{value:.1f} [{low:.1f}, {high:.1f}]"
    assert "bet\\|ter" in as_markdown(table)
    lines = as_text(table).splitlines()
    assert len(lines) == 5
    assert lines[0].index("benchmark") == lines[2].index("times")
    differences = comparison_table(compare(*results))
    assert differences[1][3] == f"{100 * compare(*results)[0].differences[0].value:+.1f}"
    assert differences[1][5] in ("better", "worse", "not told apart")
    rows = list(csv.DictReader(io.StringIO(as_csv(summaries))))
    by_name = {(row["run"], row["benchmark"], row["metric"]): row for row in rows}
    row = by_name["base", "times", "pass@2"]
    assert (float(row["value"]), float(row["low"]), float(row["high"])) == summaries[0].pass_at_k[2]
    assert (row["policy"], row["temperature"], row["n_min"], row["n_max"]) == ("org/base", "0.6", "3", "4")
    assert all(not math.isnan(float(row["value"])) for row in rows)


def test_chosen_columns(two_runs):
    summaries = [entry for path in two_runs for entry in summarize(load_results(path), path.stem)]
    assert [cell for cell in summary_table(summaries)[0] if cell.startswith("pass@")] == ["pass@1", "pass@2"]
    asked = summary_table(summaries, ks=[1, 3])
    assert [row[8] for row in asked[1:]][2] == "-"  # minerva has two completions only
