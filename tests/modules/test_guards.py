"""Nothing that a hook raises is lost in Lightning's loops; nothing that only shows a run to people ends it."""

import warnings

import lightning as L
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger

from lit_passk.modules.guards import guard, only_warn

TRAINING = ["on_train_epoch_start", "on_train_batch_start", "on_train_batch_end", "on_train_epoch_end"]
VALIDATION = ["on_validation_start", "on_validation_batch_start", "on_validation_batch_end", "on_validation_end"]
OTHERS = ["on_train_start", "on_before_optimizer_step", "on_after_backward", "on_save_checkpoint", "on_train_end"]


class Guarded(BoringModel):
    def setup(self, stage):
        guard(self.trainer)

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)["loss"]
        self.log("loss", loss)
        return loss


class Manual(Guarded):
    """Stops in the middle of a step of its own, as a strategy or a loss might."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        if batch_idx == 1:
            next(iter(()))


def trainer(tmp_path, *callbacks, **options):
    return L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=2,
        limit_val_batches=2,
        default_root_dir=tmp_path,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"logger": False, **options},
    )


def raises_in(hook, error):
    def stop(self, *args, **kwargs):
        raise error

    return type("Bad", (L.Callback,), {hook: stop})()


@pytest.mark.parametrize("hook", TRAINING + VALIDATION + OTHERS)
def test_a_stop_iteration_of_a_users_callback_is_an_error(tmp_path, hook):
    with pytest.raises(RuntimeError, match=rf"Bad\S*\.{hook} raised StopIteration") as caught:
        trainer(tmp_path, raises_in(hook, StopIteration())).fit(Guarded())
    assert isinstance(caught.value.__cause__, StopIteration), "its trace leads to where it came from"


@pytest.mark.parametrize(("verb", "stage"), [("validate", "validation"), ("test", "test"), ("predict", "predict")])
def test_also_in_an_evaluation(tmp_path, verb, stage):
    evaluate = getattr(trainer(tmp_path, raises_in(f"on_{stage}_batch_end", StopIteration())), verb)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        evaluate(Guarded())


def test_also_in_the_middle_of_a_step(tmp_path):
    with pytest.raises(RuntimeError, match=r"training_step raised StopIteration"):
        trainer(tmp_path).fit(Manual())


@pytest.mark.parametrize("profiler", ["simple", "advanced"])
def test_also_under_a_profiler_of_the_users(tmp_path, profiler):
    stop = raises_in("on_train_batch_end", StopIteration())
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        trainer(tmp_path, stop, profiler=profiler).fit(Guarded())


def test_lightnings_own_ways_to_stop_still_work(tmp_path):
    class Enough(L.Callback):
        seen = 0

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.seen += 1

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            trainer.should_stop = trainer.global_step == 1

    enough = Enough()
    one = trainer(tmp_path, enough)
    one.fit(Guarded())
    assert (enough.seen, one.global_step) == (1, 1)

    class SkipsEpochs(Guarded):
        def on_train_batch_start(self, batch, batch_idx):
            return -1

    other = trainer(tmp_path)
    other.fit(SkipsEpochs())
    assert (other.current_epoch, other.global_step) == (2, 0)


def test_guarding_twice_changes_nothing(tmp_path):
    one = trainer(tmp_path, logger=CSVLogger(tmp_path))
    guard(one)
    profile, log = one.profiler.profile, one.logger.log_metrics
    guard(one)
    assert one.profiler.profile is profile
    assert one.logger.log_metrics is log


class FullDisk(CSVLogger):
    def log_metrics(self, metrics, step=None):
        raise OSError(28, "No space left on device")

    def save(self):
        raise StopIteration

    def finalize(self, status):
        raise ValueError(status)


def test_a_logger_that_fails_costs_warnings_and_not_the_run(tmp_path):
    torch.manual_seed(0)
    module = Guarded()
    run = trainer(tmp_path, logger=FullDisk(tmp_path), log_every_n_steps=1, enable_checkpointing=True)
    with pytest.warns(UserWarning, match=r"FullDisk\.log_metrics failed; the run goes on(.|\n)*No space left"):
        run.fit(module)
    assert run.global_step == 4
    assert list(tmp_path.rglob("*.ckpt"))


class FullTwice(CSVLogger):
    """Raises one and the same error, as TensorBoard's writer does once its thread has ended."""

    steps = 0
    error = OSError(28, "No space left on device")

    def log_metrics(self, metrics, step=None):
        self.steps += 1
        if self.steps != 30:
            raise self.error


def test_a_logger_that_goes_on_failing_is_told_once_and_nothing_grows(tmp_path):
    run = trainer(tmp_path, logger=FullTwice(tmp_path))
    guard(run)
    traces = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(40):
            run.logger.log_metrics({}, step)
            traces.append(run.logger.error.__traceback__)
    assert traces == [None] * 40
    told = [str(warning.message) for warning in caught if "log_metrics failed" in str(warning.message)]
    assert len(told) == 2, "when it began, and after it had worked for a step"
    assert len(told[0].splitlines()) == len(told[1].splitlines())


def test_what_people_interrupt_is_interrupted():
    with pytest.raises(KeyboardInterrupt), only_warn("The picture"):
        raise KeyboardInterrupt
