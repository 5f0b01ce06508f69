import csv
import io
import math
from pathlib import Path

import pytest
import torch

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import paired_difference, pass_at_k_interval
from lit_passk.report.compare import compare_all
from lit_passk.report.paper_table import paper_table
from lit_passk.report.suites import read_suites, suite_summaries
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


def runs(*paths):
    return [entry for path in paths for entry in summarize(load_results(path), path.stem)]


def test_comparison_is_the_paired_bootstrap(two_runs):
    (comparison,) = compare_all(runs(*two_runs), "base")
    assert (comparison.run, comparison.benchmark, comparison.num_problems, comparison.num_left_out) == (
        "better", "times", 4, 0,
    )  # fmt: skip
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
    (comparison,) = compare_all(runs(one, same), "one", ks=[1])
    assert comparison.differences[0] == (1, 0.0, 0.0, 0.0)
    assert not comparison.differences[0].clear


def test_many_runs_are_compared_with_any_baseline(two_runs, write_run, tmp_path):
    third = write_run(tmp_path / "third.jsonl", {"times": ["1111"] * 4, "minerva": ["11"]}, seed=2)
    summaries = runs(*two_runs, third)
    comparisons = compare_all(summaries, "better", ks=[1])
    assert [(c.run, c.benchmark) for c in comparisons] == [("base", "times"), ("third", "times"), ("third", "minerva")]
    (back,) = compare_all(runs(*two_runs), "base", ks=[1])
    assert comparisons[0].differences[0].value == pytest.approx(-back.differences[0].value, abs=1e-12)


def test_comparison_refuses_what_is_not_comparable(write_run, tmp_path, two_runs):
    other = write_run(tmp_path / "other.jsonl", {"plus": ["10"]})
    with pytest.raises(ValueError, match="share no benchmark: times against plus"):
        compare_all(runs(two_runs[0], other), "base")
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(two_runs[0].read_bytes().replace(b'"reference": "21"', b'"reference": "22"'))
    with pytest.raises(ValueError, match="Problem 'p3' of times has another reference"):
        compare_all(runs(two_runs[0], changed), "base")


def test_seeds_of_a_run_are_averaged_over_the_problems_they_share(two_runs):
    (pooled,) = summarize([load_results(path) for path in two_runs], "pooled")
    (base,), (better, _) = (runs(path) for path in two_runs)
    assert (pooled.num_seeds, pooled.num_samples, pooled.num_left_out) == (2, (3, 4), 0)
    for k in (1, 2, 3):
        one, other = base.pass_at_k[k][0], better.pass_at_k.get(k, (0.0,))[0]
        if k in better.pass_at_k:
            assert pooled.pass_at_k[k][0] == pytest.approx((one + other) / 2, abs=1e-12)
            assert pooled.spread(k) == pytest.approx(abs(one - other) / math.sqrt(2), abs=1e-12)
    assert base.spread(1) is None
    assert pooled.others["mean_length"] == pytest.approx(
        (base.others["mean_length"] + better.others["mean_length"]) / 2
    )
    correct, samples = torch.tensor([[0, 1, 2, 4], [1, 2, 3, 4]]), torch.tensor([[4, 4, 3, 4], [4, 4, 4, 4]])
    expected = pass_at_k_interval(correct, samples, [1, 2, 3])
    assert pooled.pass_at_k[2] == pytest.approx([float(bound[1]) for bound in expected], abs=1e-12)
    table = summary_table([pooled, better])
    assert table[0][3] == "seeds"
    assert table[1][3] == "2"
    assert " ± " in table[1][8]
    assert " ± " not in table[2][8]
    assert any("standard deviation over them" in line for line in notes([pooled], 0.95))


def test_seeds_with_other_problems_or_answer_keys(two_runs, write_run, tmp_path):
    fewer = write_run(tmp_path / "fewer.jsonl", {"times": ["0000", "1000"]})
    (pooled,) = summarize([load_results(two_runs[0]), load_results(fewer)], "pooled")
    assert (pooled.num_problems, pooled.num_left_out) == (2, 2)
    assert pooled.pass_at_k[1][0] == pytest.approx(1 / 8, abs=1e-12)
    assert any("2 problems that one of its seeds lacks" in line for line in notes([pooled], 0.95))
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(two_runs[0].read_bytes().replace(b'"reference": "7"', b'"reference": "8"'))
    with pytest.raises(ValueError, match=r"'p1' of times has another reference answer in .*changed"):
        summarize([load_results(two_runs[0]), load_results(changed)], "pooled")
    other = write_run(tmp_path / "other.jsonl", {"plus": ["10"]})
    with pytest.raises(ValueError, match="share no benchmark"):
        summarize([load_results(two_runs[0]), load_results(other)], "pooled")


def test_a_suite_is_the_unweighted_mean(two_runs):
    summaries = runs(*two_runs)
    (suite,), missing = suite_summaries(summaries, {"both": ["times", "minerva"]})
    _, times, minerva = summaries
    assert suite.pass_at_k[1][0] == pytest.approx((times.pass_at_k[1][0] + minerva.pass_at_k[1][0]) / 2, abs=1e-12)
    assert set(suite.pass_at_k) == {1, 2}
    assert (suite.num_problems, suite.num_samples, suite.run) == (5, (2, 4), "better")
    assert missing == ["base has no mean over both: it lacks minerva."]
    with pytest.raises(ValueError, match="has the name of a benchmark"):
        suite_summaries(summaries, {"times": ["minerva"]})
    with pytest.raises(ValueError, match=r"No run has all benchmarks of the suite 'x'.*times, minerva"):
        suite_summaries(summaries, {"x": ["aime"]})


def test_suites_of_the_command_line(tmp_path):
    assert read_suites(["math = aime24, aime25 "])["math"] == ["aime24", "aime25"]
    config = tmp_path / "math_suite.yaml"
    config.write_text("data: {val: {aime24: {class_path: MathTask}, amc23: {class_path: MathTask}}}")
    assert read_suites([str(config)]) == {"math_suite": ["aime24", "amc23"]}
    for wrong in ("math=", "=a", "math=a,a", "nosuch.yaml"):
        with pytest.raises(ValueError, match="A suite is `name=benchmark"):
            read_suites([wrong])


def test_tables_as_papers_print_them(two_runs):
    summaries = runs(*two_runs)
    lines = paper_table(summaries, "markdown", ks=[1, 2]).splitlines()
    assert lines[0] == "| run | times pass@1 | times pass@2 | minerva pass@1 | minerva pass@2 |"
    base, better = summaries[0].pass_at_k, summaries[1].pass_at_k
    assert lines[2] == f"| base | {100 * base[1][0]:.1f} | {100 * base[2][0]:.1f} | - | - |"
    assert lines[3].startswith(f"| better | **{100 * better[1][0]:.1f}** | **{100 * better[2][0]:.1f}** | **50.0** |")
    (pooled,) = summarize([load_results(path) for path in two_runs], "a_b")
    latex = paper_table([pooled], "latex", ks=[1])
    assert f"a\\_b & {100 * pooled.pass_at_k[1][0]:.1f} $\\pm$ {100 * pooled.spread(1):.1f} \\\\" in latex
    assert latex.count("{") == latex.count("}")
    wide = paper_table(summaries, "latex").splitlines()
    assert wide[3] == r" & \multicolumn{2}{c}{times} & \multicolumn{2}{c}{minerva} \\"
    assert wide[4] == r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}"
    assert {line.count("&") for line in wide[5:9] if "&" in line} == {4}


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
    comparisons = compare_all(summaries, "base")
    differences = comparison_table(comparisons)
    assert differences[1][4] == f"{100 * comparisons[0].differences[0].value:+.1f}"
    assert differences[1][6] in ("better", "worse", "not told apart")
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"data: [", "is not valid YAML"),
        (b"[" * 10_000, "is not valid YAML"),
        (b"\xff\xfe", "cannot be read"),
        (b"data:", "has no tasks under `data.val`"),
        (b"- 1", "has no tasks under `data.val`"),
        (b"data: [val]", "has no tasks under `data.val`"),
    ],
)
def test_a_suite_of_a_file_that_is_no_configuration(tmp_path, content, message):
    (tmp_path / "suite.yaml").write_bytes(content)
    with pytest.raises(Refusal, match=message):
        read_suites([str(tmp_path / "suite.yaml")])
