"""Numbers that are not finite on one rank of two: both skip the update, and both stop."""

from pathlib import Path

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, LORA, arguments

from lit_passk import cli
from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.results.saved_step import read_step


def nan_at(steps, rank):
    return (
        "--trainer.callbacks+=helpers.faults.NanAt",
        f"--trainer.callbacks.steps={steps}",
        f"--trainer.callbacks.rank={rank}",
    )


@pytest.mark.parametrize("strategy", ["fsdp2", "ddp"])
def test_both_skip_what_one_cannot_make(train, strategy):
    """As one process does that has the fault in everything."""
    alone, several = train("auto", 1, (*KL, *nan_at([1], 0))), train(strategy, 2, (*KL, *nan_at([1], 1)))
    assert "RL step 2: 2 of its updates skipped, the loss is not a finite number" in several.output
    for name, values in alone.weights.items():
        assert values.isfinite().all()
        torch.testing.assert_close(several.weights[name], values, rtol=0, atol=1e-4, msg=name)
    assert several.checkpoint(2).exists()


@pytest.mark.parametrize(("strategy", "more"), [("fsdp2", ()), ("ddp", LORA)], ids=["fsdp2", "ddp with lora"])
def test_both_stop_and_the_step_of_both_is_saved(policy, tmp_path, strategy, more, capsys):
    fault = (*nan_at([0, 1], 1), "--model.max_skipped_steps", "1")
    ranks = Ranks(arguments(policy, tmp_path, strategy, 2, *KL, *more, *fault), 2, tmp_path)
    codes = ranks.wait()
    assert codes == [1, 1], ranks.output()
    saved = read_step(tmp_path / "replay" / "step_000002.safetensors")
    assert f"lit-passk replay {tmp_path / 'replay' / 'step_000002.safetensors'}" in ranks.output()
    assert len(saved.groups) == 3, "prompts of both ranks"
    assert list(saved.positions) == [0, 1, 2]
    scored = [score for group in saved.groups for score in group.scores if score.error is None]
    assert len(saved.advantages) == len(scored)
    weights = CheckpointFiles().load_checkpoint(tmp_path / "replay" / saved.weights)
    assert weights["rl_step"] == 1
    assert all(values.isfinite().all() for values in weights["state_dict"].values())
    assert all("lora" in name for name in weights["state_dict"]) == bool(more)
    assert not list(Path(tmp_path).rglob(".*partial*"))
    cli.main(["replay", str(tmp_path / "replay" / "step_000002.safetensors")])  # nothing is wrong with it by itself
    out = capsys.readouterr().out
    assert "(after 1 RL steps)\n" in out
    assert "not finite  nothing" in out
