"""What lies around the package says what is true: version, scripts that are called, files that others parse."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from lit_passk import __version__
from lit_passk.cli import main

ROOT = Path(__file__).parents[1]
PARSED = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "scripts/cluster/skypilot.yaml"]


def output(command, folder, env=None):
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_one_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"lit-passk {__version__}\n"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize("file", PARSED, ids=lambda file: file.name)
def test_files_for_other_programs_parse_and_call_scripts_that_exist(file):
    text = file.read_text()
    assert isinstance(yaml.safe_load(text), dict)
    called = re.findall(r"\b(?:scripts|configs|tests)/[\w./-]+\.\w+", text)
    assert [path for path in called if not (ROOT / path).exists()] == []


def test_the_workflow_runs_the_rows_of_the_matrix():
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]
    rows = [entry["row"] for entry in jobs["versions"]["strategy"]["matrix"]["include"]]
    listed = subprocess.run(
        ["bash", "scripts/matrix.sh", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(rows) <= set(listed.stdout.split())


def test_the_slurm_script_resumes_a_run_that_has_checkpoints(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH={tmp_path}:$PATH\n")
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    slurm = {"SLURM_JOB_NAME": "maze", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "8", "PATH": "/usr/bin:/bin"}

    def started():
        command = ["bash", str(ROOT / "scripts/cluster/slurm.sh"), "maze.yaml", "--model.advantage.k", "8"]
        return subprocess.run(
            command, cwd=tmp_path, env=slurm, capture_output=True, text=True, check=True
        ).stdout.split()

    first = started()
    assert first[:4] == ["lit-passk", "fit", "--config", "maze.yaml"]
    assert first[-2:] == ["--model.advantage.k", "8"]
    assert "--ckpt_path" not in first
    (tmp_path / "runs/maze/checkpoints").mkdir(parents=True)
    again = started()
    assert again[again.index("--ckpt_path") + 1] == "last"


def test_the_image_installs_what_exists():
    text = (ROOT / "Dockerfile").read_text()
    extras = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in extras for extra in ("vllm", "vllm-cpu", "lora", "hub"))
    assert [
        path for path in re.findall(r"(?:scripts|constraints|configs)/[\w.]+", text) if not (ROOT / path).exists()
    ] == []
