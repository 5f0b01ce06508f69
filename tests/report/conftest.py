"""Result files with known numbers."""

from __future__ import annotations

import random

import pytest

from lit_passk.results import CompletionRecord, ResultWriter, run_settings
from lit_passk.types import Sampling


def _write_run(path, benchmarks, seed=0, reward=None, **sampling):
    """A result file: benchmark to a string per problem: 1 correct, 0 wrong, x unscored."""
    settings = run_settings(f"org/{path.stem}", Sampling(**{"temperature": 0.6, **sampling}), seed=seed)
    draw = random.Random(seed)
    with ResultWriter(path, settings) as writer:
        for benchmark, problems in benchmarks.items():
            for number, outcomes in enumerate(problems):
                writer.write(
                    CompletionRecord(
                        benchmark=benchmark,
                        problem_id=f"p{number}",
                        sample=sample,
                        prompt=f"What is ${number} \\times 7$? </script><script>alert(1)</script>",
                        reference=str(7 * number),
                        completion=f"It is $\\frac{{{7 * number}}}{{1}}$: \\boxed{{{7 * number if v == '1' else 'y'}}}",
                        answer=str(7 * number) if v == "1" else draw.choice(["1", "x + 1", None]),
                        reward=float(v == "1") if reward is None else reward(sample),
                        correct=v == "1",
                        truncated=sample == 0,
                        error="verifier timed out" if v == "x" else None,
                        num_tokens=10 + sample,
                        mean_logprob=-0.5,
                        seed=sample,
                    )
                    for sample, v in enumerate(outcomes)
                )
    return path


@pytest.fixture
def write_run():
    """The function that writes a result file."""
    return _write_run


@pytest.fixture
def two_runs(tmp_path, write_run):
    """A baseline and a better run; minerva only in the second."""
    base = write_run(tmp_path / "base.jsonl", {"times": ["0000", "1000", "11x0", "1111"]})
    better = write_run(
        tmp_path / "better.jsonl", {"times": ["1000", "1100", "1110", "1111"], "minerva": ["10"]}, seed=1
    )
    return base, better
