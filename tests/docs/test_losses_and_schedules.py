"""The YAML in docs/losses.md and docs/schedules.md is a configuration, and every class named there exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from lit_passk import advantages, losses
from lit_passk.advantages import AdvantageStrategy
from lit_passk.losses import PolicyLoss, RolloutCorrection
from lit_passk.modules import PassKRLModule

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("losses.md", "schedules.md")}
BLOCKS = [block for page in PAGES.values() for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_are_configurations(block):
    written = yaml.safe_load(block)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PassKRLModule, "model")
    config = parser.parse_object({"model": {"policy": "p", **written.get("model", written)}})
    module = parser.instantiate_classes(config).model
    assert isinstance(module.advantage, AdvantageStrategy)
    if "advantage" in written:
        assert type(module.advantage).__name__ == written["advantage"]["class_path"]
        module.advantage.check_run(1000)


def test_there_is_a_block_for_everything():
    assert len(BLOCKS) == 5


def test_every_loss_and_correction_has_its_line():
    public = {name: getattr(losses, name) for name in losses.__all__}
    wanted = {name for name, cls in public.items() if issubclass(cls, PolicyLoss | RolloutCorrection)}
    lines = re.findall(r"^\| `(\w+)", PAGES["losses.md"], flags=re.MULTILINE)
    assert wanted - {"PolicyLoss", "RolloutCorrection"} <= set(lines)


def test_classes_named_in_the_text_exist():
    names = {name for page in PAGES.values() for name in re.findall(r"class_path: (\w+)(?![\w.])", page)}
    assert all(hasattr(advantages, name) or hasattr(losses, name) for name in names)
