"""What a group of completions teaches Pass@k Training: expected over groups of those at hand, or over a pass rate."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.functional.beta_binomial import beta_binomial_mean
from lit_passk.functional.g_pass_at_k import hypergeometric_pmf
from lit_passk.functional.passk_advantage import analytic_advantage

_MEANS = (1e-4, 1 - 1e-4)
_CONCENTRATIONS = (0.05, 1000.0)


class Beta(NamedTuple):
    """Parameters of a beta distribution of pass rates, both above 0."""

    a: float
    b: float


def gradient_weight(group_size: int, k: int) -> Tensor:
    r"""The summed size of a group's advantages, :math:`\sum_i |\hat A_i|`, for every number of correct completions.

    The advantages are those of ``PassKAnalytic(k)`` with the population standard deviation, for k = 1 those of ``GRPO``
    (arXiv 2508.10751, eq. 16). It is 0 for groups without a correct completion and for those with fewer than k wrong
    ones.

    Args:
        group_size: Completions G of a group.
        k: From 1 to G.

    Returns:
        Shape ``(G + 1,)``, float64.

    Example:
        >>> gradient_weight(group_size=8, k=4).round(decimals=4)
        tensor([0.0000, 2.0000, 2.0889, 1.6641, 0.9631, 0.0000, 0.0000, 0.0000, 0.0000],
               dtype=torch.float64)

    """
    correct = torch.ones(group_size + 1, group_size, dtype=torch.int64).tril(-1)  # (G + 1, G): row c has c of them
    return analytic_advantage(correct, k).abs().sum(dim=1)


def expected_over_groups(values: Tensor, num_correct: Tensor, num_samples: Tensor, prior: Beta) -> Tensor:
    """The mean of ``values[c]`` over the correct completions c of a group, for each of P problems.

    Where a problem has at least as many completions as a group, exactly over all groups that can be drawn from them
    (hypergeometric); else over new groups, its pass rate having the posterior ``Beta(c + a, n - c + b)``.

    Args:
        values: One for each c from 0 to G, shape ``(G + 1,)``.
        num_correct: Shape ``(P,)``, int64.
        num_samples: Shape ``(P,)``, int64.
        prior: Of the pass rates.

    Returns:
        Shape ``(P,)``, float64.

    Example:
        >>> solved = torch.tensor([0.0, 1.0, 1.0])  # pass@2
        >>> expected_over_groups(solved, torch.tensor([1, 1]), torch.tensor([4, 1]), Beta(1.0, 1.0)).round(decimals=4)
        tensor([0.5000, 0.8333], dtype=torch.float64)

    """
    size = len(values) - 1
    pairs, inverse = torch.stack([num_correct, num_samples], dim=1).unique(dim=0, return_inverse=True)  # (U, 2), (P,)
    correct, samples = pairs.unbind(dim=1)  # (U,)
    enough = samples >= size  # (U,)
    means = torch.zeros(len(pairs), dtype=torch.float64)  # (U,)
    means[enough] = hypergeometric_pmf(correct[enough], samples[enough], size) @ values.double()
    a, b = correct[~enough] + prior.a, samples[~enough] - correct[~enough] + prior.b
    means[~enough] = beta_binomial_mean(values, a, b)
    return means[inverse]


def fit_prior(num_correct: Tensor, num_samples: Tensor) -> Beta:
    """The beta distribution of pass rates under which the counts are likeliest (empirical Bayes).

    By a grid over its mean and its concentration ``a + b``, refined around the best three times; the mean stays within
    ``[1e-4, 1 - 1e-4]`` and the concentration within ``[0.05, 1000]``, where counts that are all 0, all n or all alike
    would lead beyond.

    Args:
        num_correct: Correct completions of each of P problems, shape ``(P,)``, int64.
        num_samples: Its completions, shape ``(P,)``, int64.

    Example:
        >>> prior = fit_prior(torch.tensor([0, 1, 2, 3, 4] * 20), torch.full((100,), 4))  # any count as often
        >>> round(prior.a, 1), round(prior.b, 1)
        (1.0, 1.0)

    """
    pairs, counts = torch.stack([num_correct, num_samples], dim=1).unique(dim=0, return_counts=True)  # (U, 2), (U,)
    correct, wrong = pairs[:, 0].double(), (pairs[:, 1] - pairs[:, 0]).double()  # (U,)
    bounds = [torch.tensor(pair, dtype=torch.float64) for pair in (_MEANS, _CONCENTRATIONS)]
    spans = [bounds[0].logit(), bounds[1].log()]
    for _ in range(4):
        axes = [torch.linspace(float(low), float(high), 41, dtype=torch.float64) for low, high in spans]
        logit, log_concentration = torch.meshgrid(*axes, indexing="ij")  # (41, 41)
        a = (logit.sigmoid() * log_concentration.exp())[..., None]  # (41, 41, 1)
        b = ((-logit).sigmoid() * log_concentration.exp())[..., None]
        likelihood = ((_log_beta(a + correct, b + wrong) - _log_beta(a, b)) * counts).sum(dim=-1)  # (41, 41)
        i, j = divmod(int(likelihood.argmax()), 41)
        best = Beta(float(a[i, j, 0]), float(b[i, j, 0]))
        spans = [axis[torch.tensor([max(n - 2, 0), min(n + 2, 40)])] for axis, n in zip(axes, (i, j), strict=True)]
    return best


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
