"""docs/sampling.md: its configuration parses and can be built, its sampler draws, its table is what is computed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch
import yaml
from helpers.letters import CHAT_TEMPLATE

from lit_passk.advantages import GRPO, PassKAnalytic
from lit_passk.advantages.mass import advantage_mass
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.data.module import load_tokenizer
from lit_passk.data.pass_rates import Counts
from lit_passk.data.samplers import Candidates, ExpectedAdvantage
from lit_passk.modules import PassKRLModule
from lit_passk.tasks import Mixture
from lit_passk.types import CompletionText

PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text()


def test_the_configuration_is_built_as_it_stands(maze_policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```yaml\n(# mixture.yaml\n.*?)```", PAGE, flags=re.S)
    Path("mixture.yaml").write_text(text)
    Path("math.jsonl").write_text(
        "".join(json.dumps({"problem": f"{i} + 1?", "answer": str(i + 1)}) + "\n" for i in range(60))
    )
    tokenizer = load_tokenizer(maze_policy)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained("policy")
    parts = LitPassKCLI(
        PassKRLModule,
        PromptDataModule,
        run=False,
        seed_everything_default=0,
        save_config_callback=None,
        args=["--config", "mixture.yaml", "--model.policy", "policy", "--trainer.accelerator", "cpu"],
    )
    data = parts.datamodule
    assert isinstance(data.train, Mixture)
    assert isinstance(data.sampler, ExpectedAdvantage)
    written = yaml.safe_load(text)["data"]["train"]["init_args"]["tasks"]
    assert {name: part.weight for name, part in data.train.tasks.items()} == {
        n: t["weight"] for n, t in written.items()
    }
    data.sampler.prepare(parts.model.advantage, 16, 10)
    batch = data.train_dataloader().peek()
    names = [problem.id.partition("/")[0] for problem in batch.problems]
    assert (names.count("maze"), names.count("math")) == (16, 48)
    begins = {(name, data.decode(ids)[0]) for ids, name in zip(batch.prompt_ids, names, strict=True)}
    assert begins == {("maze", "U"), ("math", "S")}, "a system turn before those of one task"
    score = data.train.score(
        data.train[data.train.spans["math"].start], CompletionText("1 is \\boxed{1}", num_tokens=9)
    )
    assert set(score.parts) == {"verdict", "short"}


def test_the_sampler_of_ones_own():
    (code,) = re.findall(r"```python\n(# my_project/samplers.py\n.*?)```", PAGE, flags=re.S)
    scope: dict = {}
    exec(code, scope)
    counts = Counts(torch.tensor([0.0, 4.0, 10.0]), torch.tensor([10.0, 10.0, 10.0]))
    candidates = Candidates(rows=range(3), counts=counts, step=0, seed=1, in_order=lambda count: [])
    chances = scope["SeldomSolved"]().chances(candidates)
    assert chances[1] > chances[0] > chances[2] > 0


def test_the_table_is_what_the_strategies_give():
    rows = re.findall(r"^\| (0\.\d+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, flags=re.M)
    assert len(rows) == 7
    masses = [advantage_mass(s, 16) for s in (GRPO(), PassKAnalytic(4), PassKAnalytic(8), PassKAnalytic(4, std="none"))]
    for row in rows:
        p, *printed = map(float, row)
        chances = torch.tensor([math.comb(16, c) * p**c * (1 - p) ** (16 - c) for c in range(17)], dtype=torch.float64)
        assert printed == pytest.approx([float(mass @ chances) for mass in masses], abs=0.006)
