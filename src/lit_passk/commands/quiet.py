"""What other libraries say and a user of the command line has no use for."""

from __future__ import annotations

import logging
import warnings

WARNINGS = (
    "LightningCLI's args parameter",
    ".*LeafSpec.*",
    "`weights_only` was not set",
    "MLFlow only allows",  # its name for pass@8 is pass8: docs/logs.md
    "It is recommended to use `self.log",  # what is logged is a number over all ranks already
)
MESSAGES = (
    "`weights_only` was not set",
    "💡 Tip:",
    "TPU available: False",
    "Seed set to",
    "Restoring states from the checkpoint path",  # said again once it is done
)
LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
    "lightning.fabric.utilities.seed",
)


def quieten() -> None:
    """Silence it; errors, and warnings of anything else, are shown as ever."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(says_something)


def says_something(record: logging.LogRecord) -> bool:
    """Whether a message is one that a user can do something with."""
    return not record.getMessage().startswith(MESSAGES)
