"""The commands that train and evaluate: ``lit-passk sft | fit | validate | test | predict``, by LightningCLI."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import lit_passk.advantages
import lit_passk.losses
import lit_passk.tasks  # noqa: F401 - imported so that short class names resolve
from lit_passk.callbacks import CompletionsTable, PassAtKCurve, RolloutCallback
from lit_passk.data import DemonstrationDataModule, PromptDataModule
from lit_passk.modules import PassKRLModule, SFTModule

class LitPassKCLI(LightningCLI):
    """LightningCLI with the rollout callback always there, under ``rollout``."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``rollout.*`` and share what two parts need."""
        parser.add_lightning_class_args(RolloutCallback, "rollout")  # type: ignore[arg-type]
        parser.add_lightning_class_args(CompletionsTable, "completions_table")  # type: ignore[arg-type]
        parser.add_lightning_class_args(PassAtKCurve, "pass_at_k_curve")  # type: ignore[arg-type]
        parser.link_arguments("model.policy", "data.tokenizer")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "rollout.seed", compute_fn=int)
        parser.set_defaults(TRAINER_DEFAULTS)


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


def run(args: Sequence[str]) -> None:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; ``args`` starts with the command."""
    _quieten()
    LitPassKCLI(
        PassKRLModule,
        PromptDataModule,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": "lit-passk"},
        args=list(args),
    )


class SFTCLI(LightningCLI):
    """The cold start: fit, then write the policy to ``--out``."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--out``."""
        parser.add_argument("--out", type=str, required=True, help="Folder to write the policy to.")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.set_defaults({"trainer.max_epochs": -1, "trainer.log_every_n_steps": 10})


def sft(args: Sequence[str]) -> None:
    """Run ``lit-passk sft``; ``args`` are its options."""
    _quieten()
    cli = SFTCLI(
        SFTModule,
        DemonstrationDataModule,
        run=False,
        seed_everything_default=0,
        save_config_callback=None,
        parser_kwargs={"prog": "lit-passk sft"},
        args=list(args),
    )
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    cli.model.export(cli.config.out)
    print(f"wrote {Path(cli.config.out)}")


def _quieten() -> None:
    """Silence what tells a user of this command nothing."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
