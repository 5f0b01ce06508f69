"""The benchmark's own arithmetic: what it counts must be right, or its shares of the limit are not."""

import argparse
import importlib.util
import json
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "scripts" / "bench_step_worker.py"


@pytest.fixture(scope="module")
def worker():
    spec = importlib.util.spec_from_file_location("bench_step_worker", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def workload(tmp_path):
    rows = [
        {"prompt_ids": [2, 3, 4], "completion_ids": [[5, 6, 7], [5], [8, 9], [6, 6]], "rewards": [1.0, 0.0, 0.0, 0.0]},
        {"prompt_ids": [2, 3], "completion_ids": [[5, 6], [5], [8], [6]], "rewards": [1.0, 1.0, 1.0, 1.0]},
    ]
    path = tmp_path / "workload.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_counts_what_a_step_cannot_avoid(worker, workload, maze_policy):
    torch_threads = torch.get_num_threads()
    result = worker.run(
        argparse.Namespace(
            model=maze_policy, workload=str(workload), steps=2, token_budget=100, k=2, device="cpu", bf16=False,
            checkpointing=False, compile=False, kernels="fast", max_saved_logits_mib=256,
            threads=torch_threads, profile=None,
        )
    )  # fmt: skip
    # The second group is all right and silent. Of the first: 3 prompt tokens, 2 + 0 + 1 + 1 fed and 8 trained ones.
    assert (result["fed_tokens"], result["trained_tokens"], result["completion_tokens"]) == (7, 8, 13)
    assert result["largest_micro_batch"] == 7
    pairs = (1 + 2 + 3) + (4 + 5) + 4 + 4
    weights = 2 * (64 * 3 * 64 + 64 * 64 + 2 * 64 * 128)
    vocabulary = json.loads((Path(maze_policy) / "config.json").read_text())["vocab_size"]
    forward = 2 * (weights * 7 + 64 * vocabulary * 8) + 2 * 4 * 64 * pairs
    assert result["useful_operations"] == 3 * forward
    assert len(result["seconds"]) == len(result["rates"]) == len(result["utilisation"]) == 2
    assert all(0 < share < 1 for share in (*result["utilisation"], *result["overhead"]))
