"""How reliably problems are solved: pass^k, G-Pass@k, mean@n and coverage, exact over processes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lit_passk.functional.g_pass_at_k import g_pass_at_k, mg_pass_at_k
from lit_passk.functional.pass_hat_k import pass_hat_k
from lit_passk.functional.solve_rate import coverage, mean_at_n, threshold_count
from lit_passk.logged import Logged
from lit_passk.metrics.problem_counts import ProblemCountMetric

LOGGED = (
    Logged(
        "val/<task>/pass^<k>",
        means="Chance that all of k completions are correct (`PassHatK`).",
        healthy="Rises; never above pass@1.",
    ),
    Logged(
        "val/<task>/g-pass@<k>/<tau> val/<task>/mg-pass@<k>",
        means="Chance that at least a share tau of k completions is correct, and its mean over tau from 0.5 to 1 "
        "(`GPassAtK`).",
        healthy="Rises with pass@1.",
        otherwise="Stays behind pass@1: answers are right by chance rather than reliably.",
    ),
    Logged(
        "val/<task>/mean@n val/<task>/coverage@<tau>",
        means="Mean solve rate of the problems, and the share of them with a solve rate of at least tau (`SolveRate`).",
        healthy="Rises.",
    ),
)


class PassHatK(ProblemCountMetric):
    """pass^k: the chance that all of k completions are correct, averaged over problems.

    ``compute`` returns ``pass^k`` for each k, float64 scalars.

    Args:
        ks: Numbers of completions that must all be correct.

    Example:
        >>> import torch
        >>> metric = PassHatK(ks=[1, 2])
        >>> metric.update(torch.tensor([[True, True, False, False], [True, True, True, True]]))
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'pass^1': 0.75, 'pass^2': 0.5833}

    """

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__(ks)

    def compute(self) -> dict[str, Tensor]:
        """``pass^k`` of each k."""
        counts = self._counts()
        return {f"pass^{k}": self._scalar(pass_hat_k(*counts.at_least(k), k).mean()) for k in self.ks}


class GPassAtK(ProblemCountMetric):
    """G-Pass@k(tau): the chance that a share tau of k completions is correct, and its mean mG-Pass@k.

    ``compute`` returns ``g-pass@k/tau`` for each k and tau, and ``mg-pass@k`` for each k, float64 scalars.

    Args:
        ks: Numbers of completions, at least 2.
        taus: Shares in [0, 1] that must be correct; without any, ``mg-pass@k`` alone is computed.

    Example:
        >>> import torch
        >>> metric = GPassAtK(ks=[4], taus=[0.5])
        >>> metric.update(torch.tensor([[True] * 4 + [False] * 4]))
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'g-pass@4/0.5': 0.7571, 'mg-pass@4': 0.1286}

    """

    def __init__(self, ks: Sequence[int] = (4, 8), taus: Sequence[float] = (0.25, 0.5, 0.75, 1.0)) -> None:
        super().__init__(ks, least_k=2)
        for tau in taus:
            threshold_count(tau, 1)  # refuses what is no share
        self.taus = sorted(set(taus))

    def compute(self) -> dict[str, Tensor]:
        """``g-pass@k/tau`` and ``mg-pass@k``."""
        counts = self._counts()
        results = {}
        for k in self.ks:
            correct, samples = counts.at_least(k)
            for tau in self.taus:
                results[f"g-pass@{k}/{tau:g}"] = self._scalar(g_pass_at_k(correct, samples, k, tau).mean())
            results[f"mg-pass@{k}"] = self._scalar(mg_pass_at_k(correct, samples, k).mean())
        return results


class SolveRate(ProblemCountMetric):
    """mean@n, and the share of problems that are solved at least so often.

    ``compute`` returns ``mean@n`` and ``coverage@tau`` for each threshold, float64 scalars. Every problem with a scored
    completion counts the same, however many it has.

    Args:
        thresholds: Solve rates in [0, 1]; 0 counts problems that were ever solved.

    Example:
        >>> import torch
        >>> metric = SolveRate(thresholds=[0, 0.75])
        >>> metric.update(torch.tensor([[True, False], [True, True], [False, False], [True, False]]))
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'mean@n': 0.5, 'coverage@0': 0.75, 'coverage@0.75': 0.25}

    """

    def __init__(self, thresholds: Sequence[float] = (0.25, 0.5, 0.75, 1.0)) -> None:
        super().__init__(ks=[1])
        for threshold in thresholds:
            threshold_count(threshold, 1)  # refuses what is no share
        self.thresholds = sorted(set(thresholds))

    def compute(self) -> dict[str, Tensor]:
        """``mean@n`` and ``coverage@tau``."""
        counts = self._counts().at_least(1)
        shares = {f"coverage@{tau:g}": coverage(*counts, tau).mean() for tau in self.thresholds}
        return {name: self._scalar(value) for name, value in {"mean@n": mean_at_n(*counts).mean(), **shares}.items()}
