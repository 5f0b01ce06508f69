"""The command line: ``lit-passk sft | fit | validate | test | predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import lit_passk.advantages
import lit_passk.losses
import lit_passk.tasks  # noqa: F401 - imported so that short class names resolve
from lit_passk.callbacks import CompletionsTable, PassAtKCurve, RolloutCallback
from lit_passk.data import DemonstrationDataModule, PromptDataModule
from lit_passk.modules import PassKRLModule, SFTModule

OVERVIEW = """Pass@k Training of language models.

usage: lit-passk COMMAND [--config FILE] [--KEY VALUE ...]

  sft       cold-start a small policy on a task's demonstrations; writes a Hugging Face folder
  fit       train a policy by reinforcement learning with verifiable rewards
  validate  measure pass@k of a policy on the tasks of `data.val`
  test      the same, logged under test/
  predict   write completions with their scores to JSONL

`lit-passk COMMAND --help` lists every option, `--print_config` prints the configuration in force."""


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


def main(args: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        args: Command and options; None takes the process's own.
    """
    args = list(sys.argv[1:] if args is None else args)
    if not args or args[0] in ("-h", "--help"):
        print(OVERVIEW)
        return
    if args[0] == "sft":
        sft(args[1:])
        return
    LitPassKCLI(
        PassKRLModule,
        PromptDataModule,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": "lit-passk"},
        args=args,
    )


class SFTCLI(LightningCLI):
    """The cold start: fit, then write the policy to ``--out``."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--out``."""
        parser.add_argument("--out", type=str, required=True, help="Folder to write the policy to.")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.set_defaults({"trainer.max_epochs": -1, "trainer.log_every_n_steps": 10})


def sft(args: list[str]) -> None:
    """Run ``lit-passk sft``."""
    cli = SFTCLI(
        SFTModule,
        DemonstrationDataModule,
        run=False,
        seed_everything_default=0,
        save_config_callback=None,
        parser_kwargs={"prog": "lit-passk sft"},
        args=args,
    )
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    cli.model.export(cli.config.out)
    print(f"wrote {Path(cli.config.out)}")
