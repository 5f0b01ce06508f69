"""``lit-passk sft``: the cold start, from demonstrations to the folder of a small policy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lit_passk.checkpointing.model_folders import check_replaceable
from lit_passk.checkpointing.run_folder import FolderLock
from lit_passk.commands import short_names  # noqa: F401 - see there
from lit_passk.commands.display import show_plainly
from lit_passk.commands.option_checks import check_options
from lit_passk.commands.quiet import quieten
from lit_passk.data import DemonstrationDataModule
from lit_passk.inputs import expanded
from lit_passk.modules import SFTModule


class SFTCLI(LightningCLI):
    """The cold start: fit, then write the policy to ``--out``."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--out``."""
        parser.add_argument("--out", type=str, required=True, help="Folder to write the policy to.")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.set_defaults({"trainer.max_epochs": -1, "trainer.log_every_n_steps": 10})

    def before_instantiate_classes(self) -> None:
        """Look at what the parser lets through."""
        check_options(self.parser, self.config)


def main(args: Sequence[str]) -> None:
    """Run ``lit-passk sft``; ``args`` are its options."""
    quieten()
    cli = SFTCLI(
        SFTModule,
        DemonstrationDataModule,
        run=False,
        seed_everything_default=0,
        save_config_callback=None,
        parser_kwargs={"prog": "lit-passk sft", "usage": "lit-passk sft [--config FILE] [--KEY VALUE ...] --out DIR"},
        args=list(args),
    )
    out = expanded(cli.config.out).absolute()  # of "." too the name is known
    check_replaceable(out, models=False)
    show_plainly(cli.trainer, cli.config_init.trainer.callbacks)
    with ExitStack() as stack:
        if cli.trainer.is_global_zero:
            stack.callback(FolderLock(out.parent / f".{out.name}.lock", f"`--out` {cli.config.out!r}").release)
        cli.trainer.fit(cli.model, datamodule=cli.datamodule)
        cli.model.export(out)
    print(f"wrote {cli.config.out}")
