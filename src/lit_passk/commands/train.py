"""The commands that train and evaluate: ``lit-passk fit | validate | test | predict``, by LightningCLI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import lightning.pytorch.strategies
from jsonargparse import Namespace
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.callbacks import (
    CompletionsTable,
    PassAtKCurve,
    ResumeCheckpoint,
    RolloutCallback,
    StopOnSignal,
    StopTogether,
)
from lit_passk.callbacks.stop_on_signal import signals_end_at_once
from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.checkpointing.run_folder import check_own, last_checkpoint
from lit_passk.commands import short_names  # noqa: F401 - see there
from lit_passk.commands.display import show_plainly
from lit_passk.commands.option_checks import check_options, write_out_enums
from lit_passk.commands.quiet import quieten
from lit_passk.credentials import check_without_credentials
from lit_passk.data import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule


class LitPassKCLI(LightningCLI):
    """LightningCLI with the rollout callback always there, under ``rollout``."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``rollout.*`` and share what two parts need."""
        parser.add_lightning_class_args(RolloutCallback, "rollout")
        parser.add_lightning_class_args(CompletionsTable, "completions_table")
        parser.add_lightning_class_args(PassAtKCurve, "pass_at_k_curve")
        parser.add_lightning_class_args(ResumeCheckpoint, "checkpoint")
        parser.link_arguments("model.policy", "data.tokenizer")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "rollout.seed", compute_fn=int)
        parser.set_defaults(TRAINER_DEFAULTS)

    def _options(self, config: Namespace) -> Namespace:
        """The options of the subcommand; all of them under ``run=False``, which has none."""
        return config if self.subcommand is None else config[self.subcommand]

    def _parse_ckpt_path(self) -> None:
        """Do not read a whole checkpoint for the constructor arguments it may hold: this project's hold none."""

    def _set_seed(self) -> None:
        """Seed, or refuse what no random generator takes."""
        seed = self._options(self.config).seed_everything
        if not 0 <= int(seed) < 2**32:
            raise Refusal(f"`seed_everything` must be between 0 and {2**32 - 1}, but got {seed}.")
        super()._set_seed()

    def before_instantiate_classes(self) -> None:
        """Put this project's FSDP2 strategy, with its safe checkpoints, in the place of Lightning's.

        A ``val_check_interval`` that is a share of an epoch has validations counted by epochs.

        Raises:
            Refusal: If an option is null that needs a value, or the configuration, which is saved in many places, holds
                a credential.
        """
        config = self._options(self.config)
        write_out_enums(config)
        check_options(self._parser(self.subcommand), config)
        check_without_credentials(config.as_dict())
        if isinstance(config.trainer.val_check_interval, float) and config.trainer.check_val_every_n_epoch is None:
            config.trainer.check_val_every_n_epoch = 1  # whole numbers alone count steps over epochs
        strategy = config.trainer.strategy
        if isinstance(strategy, str) and strategy in lightning.pytorch.strategies.__all__:  # a class without options
            strategy = Namespace(class_path=f"lightning.pytorch.strategies.{strategy}", init_args=Namespace())
            config.trainer.strategy = strategy
        if isinstance(strategy, Namespace) and strategy.class_path.endswith(".ModelParallelStrategy"):
            strategy.class_path = "lit_passk.checkpointing.strategy.ShardedStrategy"

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """As Lightning does, with checkpoints that are whole or do not exist."""
        if self._options(self.config_init).trainer.enable_checkpointing is False:
            self._parser(self.subcommand).callback_keys.remove("checkpoint")
        trainer = super().instantiate_trainer(**kwargs)
        show_plainly(trainer, self._options(self.config_init).trainer.callbacks)
        # Before callbacks that clean up, which may take long, and that sample.
        trainer.callbacks[:0] = [StopTogether(), StopOnSignal()]  # type: ignore[attr-defined]
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = CheckpointFiles()
        self.model.config_yaml = self._parser(self.subcommand).dump(self._options(self.config), skip_none=True)
        return trainer

    def before_fit(self) -> None:
        """Find the checkpoint that ``--ckpt_path last`` means; refuse the folder of another run."""
        last = self._options(self.config_init).ckpt_path == "last"
        self._find_checkpoint()
        root, ckpt_path = self.trainer.default_root_dir, self._options(self.config_init).ckpt_path
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RolloutCallback) and callback.save is not None:
                callback.save.starts_anew = last and ckpt_path is None
        requeued = any(Path(root).glob("hpc_ckpt_*.ckpt"))  # Lightning goes on from these by itself under SLURM
        if any(isinstance(c, ResumeCheckpoint) for c in self.trainer.callbacks) and not requeued:  # type: ignore[attr-defined]
            check_own(root, ckpt_path)

    def _find_checkpoint(self) -> None:
        """Find the checkpoint that ``--ckpt_path last`` means; without any the run starts anew."""
        options = self._options(self.config_init)
        if options.ckpt_path == "best":
            raise Refusal(
                "`--ckpt_path best` is known only to the process that wrote the checkpoints: name the file (that of "
                "`ModelCheckpoint`, for instance), or `last`."
            )
        if options.ckpt_path == "last":
            options.ckpt_path = last_checkpoint(self.trainer.default_root_dir)
            rank_zero_info(f"ckpt_path last: {options.ckpt_path or 'there is none, so the run starts anew'}")
        elif options.ckpt_path is not None:
            options.ckpt_path = os.path.expanduser(options.ckpt_path)

    def before_validate(self) -> None:
        """Find the checkpoint that ``--ckpt_path last`` means; refuse to evaluate on nothing."""
        if not self.datamodule.val:
            raise Refusal("`data.val` is not set: there is nothing to evaluate on.")
        self._find_checkpoint()
        if self._options(self.config).ckpt_path == "last" and self._options(self.config_init).ckpt_path is None:
            raise Refusal(
                f"`--ckpt_path last` found no whole checkpoint under {self.trainer.default_root_dir}: set "
                "`trainer.default_root_dir` to the folder of the run."
            )
        options = self._options(self.config_init)
        if options.ckpt_path is not None and Path(options.ckpt_path).exists():
            # Handed over now, so that `setup` knows: an engine that loads the policy by itself has no checkpoint.
            self.trainer.ckpt_path, options.ckpt_path = options.ckpt_path, None

    before_test = before_validate
    before_predict = before_validate


class SaveConfig(SaveConfigCallback):
    """The configuration, beside the logs; an evaluation leaves that of a training alone."""

    def setup(self, trainer: Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write down what an evaluation was asked for, where there is room."""
        there = Path(trainer.log_dir or trainer.default_root_dir) / self.config_filename
        if stage != "fit" and not trainer.strategy.broadcast(there.exists()):
            super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: Trainer, pl_module: L.LightningModule) -> None:
        """Write down what a training was asked for, now that nothing refused the folder."""
        super().setup(trainer, pl_module, "fit")


TRAINER_DEFAULTS = {
    "trainer.max_epochs": -1,
    "trainer.num_sanity_val_steps": 0,
    "trainer.check_val_every_n_epoch": None,  # `val_check_interval` then counts RL steps over epochs
    "trainer.log_every_n_steps": 1,
    # The data module shards by itself; Lightning's sampler would evaluate some problems twice.
    "trainer.use_distributed_sampler": False,
    # Weights that an engine takes over inside inference mode could never be trained again.
    "trainer.inference_mode": False,
}


HELP = (
    "The options below may stand in a YAML (`--config FILE`) or on the command line, which wins. Those of a class are "
    "shown by its `.help`: `--model.advantage.help PassKAnalytic`, `--data.train.help MathTask`."
)


def main(args: Sequence[str]) -> None:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; ``args`` starts with the command."""
    quieten()
    command = args[0]

    class OneCommand(LitPassKCLI):
        """Builds the options of one command instead of four, which takes most of a start."""

        @staticmethod
        def subcommands() -> dict[str, set[str]]:
            return {command: LightningCLI.subcommands()[command]}

    with signals_end_at_once():
        OneCommand(
            PassKRLModule,
            PromptDataModule,
            seed_everything_default=0,
            save_config_callback=SaveConfig,
            save_config_kwargs={"overwrite": True},
            # Without its own, the usage in front of an error would list every option.
            parser_kwargs={
                "prog": "lit-passk",
                command: {"usage": f"lit-passk {command} [--config FILE] [--KEY VALUE ...]", "description": HELP},
            },
            args=list(args),
        )
