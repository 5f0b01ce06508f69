"""What an evaluation samples of problems whose results are there in part, and what it gives back."""

import pytest
from helpers.result_files import SETTINGS

from lit_passk.results import ResultWriter, group_records, load_results
from lit_passk.results.continuation import ResultsFile
from lit_passk.types import Completion, Problem, PromptBatch, Sampling, Score, ScoredGroup

BATCH = PromptBatch(
    problems=[Problem(id=name, prompt=f"{name}?", answer="") for name in "abc"],
    prompt_ids=[[1], [2], [3]],
    indices=[10, 11, 12],
    positions=[0, 1, 2],
    name="val",
)
SEEDS = [100, 200, 300]


def sampled(row, seed, n):
    """``n`` samples of a problem; the completion with seed s has the text s and s - 99 tokens, odd ones are cut."""
    seeds = range(seed, seed + n)
    return ScoredGroup(
        problem=BATCH.problems[row],
        index=BATCH.indices[row],
        prompt_ids=BATCH.prompt_ids[row],
        completions=[
            Completion(
                token_ids=[5] * (s - 99), logprobs=[-0.5] * (s - 99), finish_reason="length" if s % 2 else "stop"
            )
            for s in seeds
        ],
        texts=[str(s) for s in seeds],
        scores=[Score(reward=float(s), correct=s % 2 == 0, answer=str(s), parts={"p": 1.0}) for s in seeds],
        seed=seed,
    )


@pytest.fixture
def path(tmp_path):
    """Of four samples each ``a`` has the first and the third, ``b`` all and ``c`` none."""
    with ResultWriter(tmp_path / "results.jsonl", SETTINGS) as writer:
        writer.write(group_records("val", sampled(0, 100, 1), [0]))
        writer.write(group_records("val", sampled(0, 102, 1), [2]))
        writer.write(group_records("val", sampled(1, 200, 4)))
    return tmp_path / "results.jsonl"


def test_what_is_missing_is_sampled_by_the_seeds_of_its_places_and_written(path):
    file = ResultsFile(path, SETTINGS)
    parts = file.missing(BATCH, Sampling(n=4), SEEDS)
    asked = [([p.id for p in part.problems], sampling.n, seeds) for part, sampling, seeds in parts]
    assert asked == [(["a", "a"], 1, [101, 103]), (["c"], 4, [300])]
    new = [sampled(0, 101, 1), sampled(0, 103, 1), sampled(2, 300, 4)]
    for group in new:
        file.write("val", group)
    groups = file.complete(BATCH, new, Sampling(n=4))
    file.close()
    assert [group.texts for group in groups] == [
        ["100", "102", "101", "103"],  # those of the file first
        ["200", "201", "202", "203"],
        ["300", "301", "302", "303"],
    ]
    assert [(group.index, group.prompt_ids, group.seed) for group in groups] == [
        (10, [1], 100),
        (11, [2], 200),
        (12, [3], 300),
    ]
    expected = {(name, n): (seed + n, str(seed + n)) for name, seed in zip("abc", SEEDS, strict=True) for n in range(4)}
    assert {(r.problem_id, r.sample): (r.seed, r.completion) for r in load_results(path).records} == expected


def test_stored_samples_keep_all_but_their_tokens(path):
    file = ResultsFile(path, SETTINGS)
    file.missing(BATCH, Sampling(n=2), SEEDS)
    group = file.complete(BATCH, [sampled(0, 101, 1), sampled(2, 300, 2)], Sampling(n=2))[1]
    file.close()
    assert group.texts == ["200", "201"], "as many as are asked for"
    assert group.scores == sampled(1, 200, 2).scores
    for completion, length, reason in zip(group.completions, (101, 102), ("stop", "length"), strict=True):
        assert (len(completion.token_ids), completion.finish_reason) == (length, reason)
        assert completion.logprobs == [-0.5] * length  # exact: one half
