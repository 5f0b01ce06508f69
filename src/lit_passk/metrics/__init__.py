"""Metrics over scored completions: torchmetrics classes, thin over ``lit_passk.functional``."""

from lit_passk.metrics.pass_at_k import PassAtK

__all__ = ["PassAtK"]
