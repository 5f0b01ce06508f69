"""Two training processes with vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm
TESTS = str(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def results(tied_folder: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    folder = tmp_path_factory.mktemp("ranks")
    paths = os.pathsep.join(filter(None, [TESTS, os.environ.get("PYTHONPATH")]))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "helpers.vllm_rank", str(rank), str(folder), tied_folder],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=400)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(output[-3000:] for output in outputs)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_every_rank_samples_its_own_prompts(results: list[dict]) -> None:
    first, second = (rank["own"] for rank in results)
    assert (len(first), len(second)) == (2, 3)
    assert first[1] != second[1]  # the same prompt with other seeds


def test_ranks_that_share_an_engine_sample_what_they_would_alone(results: list[dict]) -> None:
    for rank in results:
        assert rank["shared"] == rank["own"]
