"""What the parser lets through: `null` costs a sentence, an empty section is as if it were left out."""

import math

import pytest
import yaml
from jsonargparse import ArgumentParser, Namespace

from lit_passk.commands.option_checks import check_options
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule


class Pool:
    def __init__(self, size: float = 3, name: str | None = None):
        self.size = size


class Rates(Pool):
    def __init__(self, rates: dict[str, list[float]]):
        self.rates = rates


class Part:
    def __init__(
        self, pools: list[Pool] | None = None, pool: Pool | None = None, rate: float = 0.5, top: float | None = 1
    ):
        self.pools = pools


def parsed(config):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Part, "part")
    config = parser.parse_object(config)
    check_options(parser, config)
    return config.part


POOL = {"class_path": f"{__name__}.Pool"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rate": None}, r"`part\.rate` is null, but it needs a value\. Leave it out for its default, 0\.5\."),
        ({"pool": {**POOL, "init_args": {"size": None}}}, r"`part\.pool\.init_args\.size` is null.* default, 3\."),
        ({"pools": [POOL, {**POOL, "init_args": {"size": None}}]}, r"`part\.pools\.1\.init_args\.size` is null"),
        (0.5, r"`part` is 0\.5, but it has options below \(pools, pool, rate, top\)"),
    ],
)
def test_null_where_a_value_is_needed(config, message):
    with pytest.raises(Refusal, match=message):
        parsed({"part": config})


@pytest.mark.parametrize(
    "config", [{}, {"top": None}, {"pool": None, "pools": None}, {"pool": {**POOL, "init_args": {"name": None}}}]
)
def test_null_where_it_is_a_value(config):
    assert parsed({"part": config}).rate == 0.5


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"rate": math.nan}, "part.rate"),
        ({"pool": {**POOL, "init_args": {"size": math.nan}}}, "part.pool.init_args.size"),
        (
            {"pools": [POOL, {"class_path": f"{__name__}.Rates", "init_args": {"rates": {"a": [1.0, math.nan]}}}]},
            "rates.a.1",
        ),
    ],
)
def test_no_option_goes_by_nan(config, place):
    with pytest.raises(Refusal, match=rf"{place}` is NaN"):
        parsed({"part": config})
    assert parsed({"part": {"rate": math.inf}}).rate == math.inf


def test_an_empty_section_is_as_if_it_were_left_out():
    assert parsed({"part": None}) == parsed({}) == Namespace(pools=None, pool=None, rate=0.5, top=1)


@pytest.mark.parametrize(
    "section", ["trainer", "data", "rollout", "completions_table", "model.compute", "rollout.sampling"]
)
def test_sections_of_the_command_line(section, maze_policy, tmp_path):
    *above, name = section.split(".")
    config = {"model": {"policy": maze_policy}}
    (config.setdefault(above[0], {}) if above else config)[name] = None
    (tmp_path / "empty.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "short.yaml").write_text(yaml.safe_dump({"model": {"policy": maze_policy}}))

    def options(file):
        args = ["--config", str(tmp_path / file), "--trainer.accelerator", "cpu"]
        return LitPassKCLI(PassKRLModule, PromptDataModule, run=False, save_config_callback=None, args=args).config

    empty, short = options("empty.yaml"), options("short.yaml")
    del empty["config"], short["config"]
    assert empty == short


@pytest.mark.parametrize(("interval", "epochs"), [("0.5", 1), ("1.0", 1), ("2", None), ("00:01:00:00", None)])
def test_a_share_of_an_epoch_is_counted_by_epochs(maze_policy, interval, epochs):
    args = ["--model.policy", maze_policy, "--trainer.accelerator", "cpu", "--trainer.val_check_interval", interval]
    command = LitPassKCLI(PassKRLModule, PromptDataModule, run=False, save_config_callback=None, args=args)
    assert command.trainer.check_val_every_n_epoch == epochs


def test_a_callback_whose_default_is_an_enumeration_can_be_written_down(maze_policy):
    args = ["--model.policy", maze_policy, "--trainer.accelerator", "cpu", "--trainer.callbacks"]
    args += ['[{"class_path": "lightning.pytorch.callbacks.Timer", "init_args": {"duration": "00:01:00:00"}}]']
    command = LitPassKCLI(PassKRLModule, PromptDataModule, run=False, save_config_callback=None, args=args)
    assert yaml.safe_load(command.model.config_yaml)["trainer"]["callbacks"][0]["init_args"]["interval"] == "step"
