"""Configurations are found by name, and the list of benchmarks says what they hold."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from lit_passk import cli
from lit_passk.commands import benchmarks, configurations
from lit_passk.errors import Refusal

ROOT = Path(__file__).parents[2]


def out(capsys, *args: str) -> str:
    cli.main(["benchmarks", *args])
    return capsys.readouterr().out


def test_every_configuration_is_found_by_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        name = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        for written in (name, f"{name}.yaml", f"configs/{name}.yaml"):
            assert configurations.find(written).samefile(path)
    own = tmp_path / "benchmarks" / "aime24.yaml"
    own.parent.mkdir()
    own.write_text("model: {}")
    assert configurations.find("benchmarks/aime24.yaml") == Path(
        "benchmarks/aime24.yaml"
    )  # a file of one's own goes first
    assert configurations.find("benchmarks/aime24").samefile(ROOT / "configs/benchmarks/aime24.yaml")


def test_names_stand_where_files_can(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    maze, aime = (str(configurations.find(name)) for name in ("maze_cpu", "benchmarks/aime24"))
    assert configurations.with_files(["--config", "maze_cpu", "--config=benchmarks/aime24", "--x", "maze_cpu"]) == [
        "--config", maze, f"--config={aime}", "--x", "maze_cpu"
    ]  # fmt: skip
    text = "{model: {ks: [1]}}"
    assert configurations.with_files(["-c", text]) == ["-c", text]
    with pytest.raises(Refusal, match=r"no configuration 'benchmarks/aime2': .* Near are benchmarks/aime2"):
        configurations.with_files(["--config", "benchmarks/aime2"])
    with pytest.raises(Refusal, match=r"'zzz': .* `lit-passk benchmarks` lists those of benchmarks"):
        configurations.find("zzz")


def test_a_benchmark_is_evaluated_by_name_from_anywhere(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["validate", "--config", "benchmarks/gpqa_diamond", "--model.policy", "org/model", "--print_config"])
    assert stop.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["val"]["gpqa_diamond"]["init_args"]["expected_rows"] == 198


def test_the_package_is_looked_into_first(monkeypatch, tmp_path):
    installed = tmp_path / "site-packages" / "lit_passk"
    (installed / "configs" / "benchmarks").mkdir(parents=True)
    (installed / "configs" / "benchmarks" / "one.yaml").write_text("# One.\ndata: {val: {}}\n")
    monkeypatch.setattr(configurations, "_PACKAGE", installed)
    assert configurations.names() == ["benchmarks/one"]
    monkeypatch.setattr(configurations, "_PACKAGE", tmp_path / "nowhere" / "lit_passk")
    with pytest.raises(Refusal, match="configurations that come with lit-passk are not here"):
        configurations.find("maze_cpu")


@pytest.mark.seconds
@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
def test_configurations_are_in_the_wheel(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    wanted = [f"lit_passk/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")]
    assert wanted
    assert set(wanted) <= set(names)


def test_the_list_names_every_benchmark_with_its_command(capsys):
    text = out(capsys)
    for path in (ROOT / "configs/benchmarks").glob("*.yaml"):
        assert f"lit-passk validate --config benchmarks/{path.stem} --model.policy POLICY" in text
    chosen = out(capsys, "benchmarks/gpqa_diamond", "maze")
    assert chosen.splitlines()[:4] == [
        "gpqa_diamond: GPQA diamond, 198 questions, options shuffled by seed.",
        "  problems   198",
        "  data set   Idavidrein/gpqa gpqa_diamond train",
        "  licence    CC BY 4.0, gated: access is asked for on the hub",
    ]
    assert "  problems   8 x 100\n  data set   made by the task\n  licence    made here\n  needs      nothing" in chosen
    with pytest.raises(SystemExit):
        cli.main(["benchmarks", "aime"])
    assert "There is no benchmark 'aime'. There are aime24, aime25" in capsys.readouterr().err


def test_every_data_set_has_a_licence_and_a_number_of_rows():
    used = {source.path for benchmark in benchmarks.benchmarks() for source in benchmark.sources}
    assert used - {None} == set(benchmarks.LICENCES)
    for benchmark in benchmarks.benchmarks():
        assert "?" not in benchmark.rows, benchmark.name


def test_rows_in_the_caches_of_the_hub_are_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    assert not benchmarks.is_here("HuggingFaceH4/MATH-500")
    (tmp_path / "hub/datasets--HuggingFaceH4--MATH-500/snapshots").mkdir(parents=True)
    (tmp_path / "datasets/RUC-AIBOX___olym_math/en-easy").mkdir(parents=True)
    (tmp_path / "datasets/openai___gsm8k").mkdir(parents=True)  # empty
    assert benchmarks.is_here("HuggingFaceH4/MATH-500")
    assert benchmarks.is_here("RUC-AIBOX/OlymMATH")
    assert not benchmarks.is_here("openai/gsm8k")
    assert benchmarks.is_here(str(tmp_path))
    assert benchmarks.is_here(None)
    (suite,) = [one for one in benchmarks.benchmarks() if one.name == "math_suite"]
    assert suite.here == "1 of 6"


def test_the_table_in_the_docs_is_this_list(capsys):
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    table = text.partition("<!-- lit-passk benchmarks --markdown -->\n")[2].partition("\n<!-- end -->")[0]
    assert table + os.linesep == out(capsys, "--markdown")
