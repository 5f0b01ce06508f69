"""Tables and figures in the real loggers, offline, read back from what they wrote."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import lightning as L
import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_passk.callbacks import TrackioLogger
from lit_passk.callbacks.completions_table import completion_rows
from lit_passk.callbacks.loggers import log_figure, log_table, markdown_table
from lit_passk.errors import Refusal
from lit_passk.report.plot import plot_pass_at_k
from lit_passk.types import Problem, Score, ScoredGroup

COLUMNS = ["problem", "completion", "reward"]
ROWS = [["1 + 1 =", "It is <b>2</b>|\n\u2028\\boxed{007}", 1.0], ["1 + 1 =", "", -0.25]]
FIGURE = plot_pass_at_k({"maze": {1: (0.1, 0.05, 0.2), 8: (0.6, 0.5, 0.7)}})


def log_both(logger: Logger, step: int = 7) -> None:
    trainer = L.Trainer(logger=logger, accelerator="cpu", enable_checkpointing=False, barebones=False)
    logger.log_metrics({"train/reward": 0.5}, step=step)
    log_table(trainer, "train/completions", COLUMNS, ROWS, step, "The table")
    log_figure(trainer, "val/pass@k", FIGURE, step, "The picture")
    logger.finalize("success")


def assert_is_the_figure(path: Path) -> None:
    pixels = np.round(255 * imread(path)[..., :3])
    width, height = FIGURE.canvas.get_width_height()
    assert pixels.shape == (height, width, 3)
    assert (np.abs(pixels - [0, 0x72, 0xB2]).sum(axis=2) < 20).any(), "the first curve's blue is in it"


@pytest.mark.seconds
def test_tensorboard(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    log_both(logger)
    board = EventAccumulator(logger.log_dir)
    board.Reload()
    (table,) = board.Tensors("train/completions/text_summary")
    assert table.step == 7
    assert table.tensor_proto.string_val[0].decode() == markdown_table(COLUMNS, ROWS)
    (image,) = board.Images("val/pass@k")
    assert (image.step, image.encoded_image_string[:4]) == (7, b"\x89PNG")


@pytest.mark.seconds
def test_wandb(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs wandb (the extra `wandb`)")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(project="test", save_dir=tmp_path, offline=True, settings=wandb.Settings(console="off"))
    log_both(logger)
    folder = next(tmp_path.glob("wandb/offline-run-*/files/media"))
    wandb.finish()
    (table,) = folder.rglob("*.table.json")
    assert json.loads(table.read_text()) | {"columns": COLUMNS, "data": ROWS} == json.loads(table.read_text())
    (image,) = folder.rglob("*.png")
    assert_is_the_figure(image)


@pytest.mark.seconds
def test_mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a data base would need more than mlflow-skinny
    pytest.importorskip("mlflow", reason="needs mlflow (the extra `mlflow`)")
    logger = MLFlowLogger(save_dir=str(tmp_path))
    log_both(logger)
    folder = tmp_path / logger.experiment_id / logger.run_id / "artifacts"
    table = json.loads((folder / "train" / "completions" / "step_000007.json").read_text())
    assert table == {"columns": COLUMNS, "data": ROWS}
    (image,) = (folder / "images").glob("val~pass_at_k+step+7+*.png")
    assert_is_the_figure(image)


@pytest.mark.seconds
def test_trackio(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # which trackio reads when it is imported
    pytest.importorskip("trackio", reason="needs trackio (the extra `trackio`)")
    from trackio.sqlite_storage import SQLiteStorage

    logger = TrackioLogger("test", name="run", settings={"auto_log_cpu": False, "auto_log_gpu": False})
    logger.log_hyperparams({"model": {"policy": "org/m"}})
    log_both(logger)
    logs = SQLiteStorage.get_logs("test", "run")
    found = {key: value for entry in logs for key, value in entry.items() if entry["step"] == 7}
    assert found["train/reward"] == 0.5
    assert [list(row.values()) for row in found["train/completions"]["_value"]] == ROWS
    assert_is_the_figure(tmp_path / "media" / found["val/pass@k"]["file_path"])


def test_a_logger_without_tables_is_named_once(tmp_path, caplog):
    class Mine(CSVLogger):
        pass

    logger = Mine(tmp_path)
    with caplog.at_level(logging.INFO):
        log_both(logger)
        log_both(logger)
    (message,) = [text for text in caplog.messages if "takes numbers only" in text]
    assert message.startswith("Mine takes numbers only")
    assert "W&B, MLflow and Trackio" in message


def test_a_logger_of_ones_own_gets_them_by_the_methods_of_wandb(tmp_path):
    got = []

    class Mine(CSVLogger):
        def log_table(self, key, columns, data, step):
            got.append((key, columns, data, step))

        def log_image(self, key, images, step):
            raise OSError("no room")

    with pytest.warns(UserWarning, match=r"The picture failed; the run goes on(.|\n)*no room"):
        log_both(Mine(tmp_path))
    assert got == [("train/completions", COLUMNS, ROWS, 7)]


def test_rows_say_why_a_completion_was_not_scored():
    scores = [Score(reward=1.0, correct=True, answer="2"), Score(reward=0.0, correct=False, error="timed out")]
    problem = Problem(
        id="p", prompt=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1"}], answer="2"
    )
    group = ScoredGroup(
        problem=problem, index=0, prompt_ids=[1], completions=[], texts=["2", "two"], scores=scores, seed=0
    )
    text = "Be brief.\n\n1 + 1"
    assert completion_rows([group], 4) == [[text, "2", "2", 1.0, "yes"], [text, "two", "", 0.0, "timed out"]]
    assert completion_rows([group], 1) == [[text, "2", "2", 1.0, "yes"]]


def test_trackio_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("lit_passk.callbacks.trackio_logger.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"lit-passk\[trackio\]"):
        TrackioLogger()
