"""What validation counts is what `lit-passk report` prints of the same completions."""

import math

import pytest

from lit_passk.data.replay import filled_batch
from lit_passk.metrics import AnswerDiversity, CompletionStatistics, GPassAtK, MajorityAtK, MaxRewardAtK, PassHatK
from lit_passk.modules.validation import ValidationMetrics
from lit_passk.report.summary import summarize
from lit_passk.results import ResultWriter, group_records, load_results, run_settings
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Completion, Problem, Sampling, Score, ScoredGroup

SAMPLING = Sampling(temperature=1.0, n=4)


def group(index, outcomes):
    """Completions of one problem: 1 correct, 0 wrong, x unscored, e correct and without a token."""
    return ScoredGroup(
        problem=Problem(id=f"p{index}", prompt=f"question {index}", answer="7"),
        index=index,
        prompt_ids=[1, 2],
        completions=[
            Completion(token_ids=tokens, logprobs=[-0.25 * (1 + index)] * len(tokens), finish_reason="stop")
            for tokens in ([] if outcome == "e" else [5] * (1 + sample) for sample, outcome in enumerate(outcomes))
        ],
        texts=list(outcomes),
        scores=[
            Score(
                reward=0.5 + 0.25 * sample,
                correct=outcome in "1e",
                answer="7" if outcome in "1e" else str(sample % 2),
                error="no score" if outcome == "x" else None,
            )
            for sample, outcome in enumerate(outcomes)
        ],
        seed=index,
    )


GROUPS = [group(3, "1000"), group(0, "11x0"), group(4, "1e11"), group(1, "0000")]


@pytest.fixture
def counted():
    metrics = ValidationMetrics(
        [1, 2, 3],
        [
            MajorityAtK([2, 3]),
            PassHatK([2, 3]),
            GPassAtK([2, 3], taus=[]),
            MaxRewardAtK([1, 2, 3]),
            AnswerDiversity([2, 3]),
            CompletionStatistics(),
        ],
    )
    metrics.start()
    for part in (GROUPS[:3], GROUPS[3:]):
        metrics.update(filled_batch(collate_rollouts(part, SAMPLING), "sums"))
    return metrics.compute()


def test_validation_and_report_give_one_number(counted, tmp_path):
    with ResultWriter(tmp_path / "run.jsonl", run_settings("org/model", SAMPLING, seed=0)) as writer:
        for one in GROUPS:
            writer.write(group_records("sums", one))
    (summary,) = summarize(load_results(tmp_path / "run.jsonl"), "run")
    assert sorted(summary.pass_at_k) == [1, 2, 3]
    for k, bounds in summary.pass_at_k.items():
        logged = [counted[f"sums/pass@{k}{end}"] for end in ("", "/low", "/high")]
        assert logged == pytest.approx(list(bounds), abs=1e-12)
    shared = summary.others.keys() & {name.removeprefix("sums/") for name in counted}
    assert shared >= {"maj@2", "maj@n", "pass^3", "mg-pass@2", "max@3", "distinct@2", "unscored", "entropy"}
    for name in shared:
        assert counted[f"sums/{name}"] == pytest.approx(summary.others[name], abs=1e-12)


def test_the_numbers_are_those_of_the_completions(counted):
    assert counted["sums/pass@1"] == pytest.approx((1 / 4 + 2 / 3 + 1 + 0) / 4)
    assert counted["pass@1"] == counted["sums/pass@1"]
    assert counted["sums/unscored"] == pytest.approx(1 / 16)
    assert counted["sums/mean_length"] == pytest.approx((4 * 10 - 2) / 16)


def test_nothing_scored_is_nan_and_no_error():
    metrics = ValidationMetrics([1], [MajorityAtK([1]), MaxRewardAtK([1])])
    metrics.update(filled_batch(collate_rollouts([group(0, "xx")], SAMPLING), "sums"))
    with pytest.warns(UserWarning, match="1 of 1 problems have fewer than 1 scored completions"):
        found = metrics.compute()
    assert math.isnan(found["pass@1"])
    assert math.isnan(found["sums/maj@1"])
    assert math.isnan(found["sums/max@1"])
