"""Validation: counts the correct completions of every problem of every task; further metrics where asked for."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_info
from torchmetrics import MetricCollection

from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.metrics import EvaluationMetric, PassAtK, metric_inputs
from lit_passk.results import group_records
from lit_passk.types import PromptBatch

Curve = dict[int, tuple[float, float, float]]
"""For each k: pass@k and the bounds of its confidence interval."""


LOGGED = (
    Logged(
        "val/pass@<k>",
        means="Mean of `val/<task>/pass@k` over the tasks, each counting the same. Checkpoints may be chosen by it.",
        healthy="As for `val/<task>/pass@<k>`.",
    ),
)


class ValidationMetrics:
    """pass@k and other metrics of each validation task, made when the task's first batch comes.

    Args:
        ks: Values of k to report.
        others: Further metrics; each task gets copies of its own.
    """

    def __init__(self, ks: Sequence[int], others: Sequence[EvaluationMetric] = ()) -> None:
        if not ks or min(ks) < 1:
            raise Refusal(f"`model.ks` needs values of at least 1, but got {list(ks)}.")
        self.ks = sorted(ks)
        self.others = others
        self.curves: dict[str, Curve] = {}
        """What the last validation found, by task."""
        self._metrics: dict[str, MetricCollection] = {}

    def check_samples(self, n: int, training: bool) -> None:
        """Compare the values of k with the number of completions sampled per problem.

        An evaluation leaves larger ones out and says so, because `rollout.val_sampling.n` alone is to be changed there.
        In training, where checkpoints may be chosen by them, they raise a Refusal.
        """
        reachable = [k for k in self.ks if k <= n]
        if reachable == self.ks:
            return
        if training or not reachable:
            raise Refusal(
                f"`model.ks` asks for pass@{max(self.ks)}, but validation samples only {n} completions per problem. "
                "Raise `rollout.val_sampling.n` or shorten `model.ks`."
            )
        left_out = ", ".join(f"pass@{k}" for k in self.ks if k > n)
        rank_zero_info(f"{left_out} of `model.ks` left out: `rollout.val_sampling.n` is {n}.")
        self.ks = reachable

    def start(self) -> None:
        """Forget what was counted."""
        self._metrics = {}

    def update(self, batch: PromptBatch) -> None:
        """Count a batch with rollouts."""
        if batch.name not in self._metrics:
            metrics = [PassAtK(self.ks), *(metric.clone() for metric in self.others)]
            self._metrics[batch.name] = MetricCollection(metrics, compute_groups=False)
        # As a results file holds them, so that `lit-passk report` counts the same.
        samples = {group.index: group_records(batch.name, group) for group in batch.rollouts.groups}
        self._metrics[batch.name].update(**metric_inputs(samples))

    def compute(self) -> dict[str, float]:
        """Return ``<task>/<metric>`` for each task, and ``pass@k``, the unweighted mean over the tasks.

        pass@k comes with the bounds of its interval, ``<task>/pass@k/low`` and ``/high``. Every rank must call this.
        """
        found: dict[str, float] = {}
        self.curves = {}
        for name, metrics in self._metrics.items():
            values = {key: float(value) for key, value in metrics.compute().items()}
            found |= {f"{name}/{key}": value for key, value in values.items()}
            self.curves[name] = {k: _curve_point(values, k) for k in self.ks}
        for k in self.ks if self.curves else ():
            found[f"pass@{k}"] = sum(curve[k][0] for curve in self.curves.values()) / len(self.curves)
        return found


def _curve_point(values: dict[str, float], k: int) -> tuple[float, float, float]:
    return values[f"pass@{k}"], values[f"pass@{k}/low"], values[f"pass@{k}/high"]
