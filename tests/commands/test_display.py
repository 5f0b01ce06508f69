"""What Lightning shows by default is replaced, what the user chose is not."""

import logging

import lightning as L
import pytest
from helpers.small_runs import build
from lightning.pytorch.callbacks import ModelSummary, RichProgressBar

from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.commands.display import PolicySize, StepBar, show_plainly


def trainer_with(*callbacks, **settings):
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[*callbacks], **settings)
    show_plainly(trainer, [*callbacks])
    return trainer


def test_defaults_are_replaced():
    trainer = trainer_with(max_epochs=-1)
    assert [type(c) for c in trainer.callbacks if isinstance(c, ModelSummary)] == [PolicySize]
    assert isinstance(trainer.progress_bar_callback, StepBar)


def test_what_was_chosen_stays():
    bar, summary = RichProgressBar(leave=True), ModelSummary(max_depth=2)
    assert {bar, summary} <= set(trainer_with(bar, summary, max_epochs=1).callbacks)
    alone = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=bar)
    show_plainly(alone, bar)
    assert alone.progress_bar_callback is bar


def test_what_was_switched_off_stays_off():
    trainer = trainer_with(max_epochs=1, enable_progress_bar=False, enable_model_summary=False)
    assert not any(isinstance(c, ModelSummary | RichProgressBar) for c in trainer.callbacks)


@pytest.mark.parametrize(("max_epochs", "said"), [(-1, "Epoch 2"), (5, "Epoch 2/4")])
def test_the_bar_names_a_last_epoch_only_where_there_is_one(max_epochs, said):
    trainer = trainer_with(max_epochs=max_epochs)
    bar = trainer.progress_bar_callback
    bar.setup(trainer, L.LightningModule(), "fit")
    assert bar._get_train_description(2).strip() == said


def test_the_summary_is_one_line(caplog):
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        PolicySize.summarize([], 80320, 1024, 0.3, {}, total_flops=0)
    assert caplog.messages == ["1,024 of 80,320 parameters are trained"]


def test_the_bar_ends_with_the_last_rl_step(maze_policy, tmp_path):
    totals = []

    class Look(L.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            totals.append(trainer.progress_bar_callback.total_train_batches)

    for steps in (1, 2):  # of two optimizer steps each; the second run goes on
        trainer, module, data = build(
            maze_policy, tmp_path, StepBar(), Look(), steps=steps, of_trainer={"enable_progress_bar": True}
        )
        trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(tmp_path))
    assert totals == [1, 2]
