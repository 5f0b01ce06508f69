"""What is done about completions of an engine whose log-probabilities differ from the policy's: weights and masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import completion_sum, is_first_token
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs

LARGEST_LOG_RATIO = 50.0
"""Log-ratios are cut here, far past every bound, so that squares of weights stay finite in float64."""


LOGGED = (
    Logged(
        "train/rollout_correction/ess",
        means="Effective sample size of the importance weights, as a share of the samples: 1 where engine and policy "
        "agree.",
        healthy="Above 0.95.",
        otherwise="Lower: engine and policy disagree. See `parity/mean`; compute both in one precision, avoid "
        "quantised weights, or sample with newer weights.",
    ),
    Logged(
        "train/rollout_correction/mean",
        means="Mean importance weight before it is bounded: 1 in expectation.",
        healthy="0.98 to 1.02.",
        otherwise="Far from 1: as for `train/rollout_correction/ess`.",
    ),
    Logged(
        "train/rollout_correction/clipped",
        means="Share of the importance weights that were bounded (`TIS` and other weights).",
        healthy="Below 0.01.",
        otherwise="As for `train/rollout_correction/ess`.",
    ),
    Logged(
        "train/rollout_correction/dropped train/rollout_correction/dropped/<class>",
        means="Share of the trained tokens that were left out, by all masks together and by each correction.",
        healthy="Below 0.05.",
        otherwise="Much of what was sampled is thrown away: mend the disagreement, or widen the bounds of the mask "
        "named.",
    ),
)


class RolloutCorrection(ABC):
    """Turns the difference between policy and engine into a factor on the loss of each token.

    The policy gradient is an expectation over the policy's own samples. Completions come from the engine, whose
    distribution differs by rounding (bfloat16, fp8, other kernels) or by age (one step off-policy). Importance weights
    (``TIS``, ``MIS``, ``IcePop``) correct for that, masks (``TokenMask``, ``GeometricMask``, ``WorstTokenMask``,
    ``OffPolicyMask``) leave out what is too far off to be corrected. ``model.correction`` takes one or a list of them;
    their factors are multiplied. Left-out tokens count in the denominators of the loss all the same.

    One of your own is a subclass with this one method.

    Example:
        >>> class Halve(RolloutCorrection):
        ...     def __call__(self, inputs):
        ...         return torch.where(inputs.rollout_logprobs < inputs.old_logprobs - 1, 0.5, 1.0)
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-1.0, -1.0]),
        ...     old_logprobs=torch.tensor([-1.0, -1.0]),
        ...     rollout_logprobs=torch.tensor([-1.0, -4.0]),
        ...     advantages=torch.ones(2),
        ...     weights=torch.ones(2),
        ...     completion_index=torch.tensor([0, 0]),
        ... )
        >>> correct([Halve()], inputs)[0]
        tensor([1.0000, 0.5000])

    """

    @abstractmethod
    def __call__(self, inputs: LossInputs) -> Tensor:
        """Compute the factors; called without gradient.

        Args:
            inputs: T tokens of whole completions, with ``rollout_logprobs``. ``old_logprobs`` are the policy's before
                this step's first update, ``logprobs`` those of now.

        Returns:
            Shape ``(T,)``, 0 or more; 0 leaves a token out.
        """


class ImportanceWeight(RolloutCorrection):
    """Base of the corrections that multiply by ``exp(old_logprobs - rollout_logprobs)``, kept within bounds.

    Args:
        level: ``token`` weights every token by its own ratio; ``sequence`` weights all tokens of a completion by the
            ratio of the whole completion, which has no bias but, for long completions, much variance.
        low: Lower bound, below 1.
        high: Upper bound, above 1.
    """

    def __init__(self, level: Literal["token", "sequence"], low: float, high: float) -> None:
        if level not in ("token", "sequence"):
            raise Refusal(f"{type(self).__name__} needs level token or sequence, but got {level!r}.")
        check_bounds(self, low, high)
        self.level = level
        self.low = low
        self.high = high

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Weights, shape ``(T,)``, float64."""
        return self.bound(self.ratio(inputs))

    def ratio(self, inputs: LossInputs) -> Tensor:
        """The unbounded weight of each token, shape ``(T,)``, float64."""
        log_ratio = log_ratios(inputs)  # (T,)
        if self.level == "sequence":
            log_ratio = completion_sum(log_ratio, inputs.completion_index)
        return _bounded_exp(log_ratio)

    @abstractmethod
    def bound(self, ratio: Tensor) -> Tensor:
        """Keep weights within the bounds, or drop those that are not."""


def log_ratios(inputs: LossInputs) -> Tensor:
    """``old_logprobs - rollout_logprobs``, shape ``(T,)``, float64."""
    assert inputs.rollout_logprobs is not None
    return inputs.old_logprobs.double() - inputs.rollout_logprobs.double()


def _bounded_exp(log_ratio: Tensor) -> Tensor:
    return log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()


def check_bounds(correction: RolloutCorrection, low: float, high: float) -> None:
    """Raise a ValueError unless ``0 <= low < 1 < high``: a ratio of 1 is agreement."""
    if not 0 <= low < 1 < high:
        raise Refusal(
            f"{type(correction).__name__} needs 0 <= low < 1 < high (a ratio of 1 is agreement), but got low {low} and "
            f"high {high}."
        )


def check_together(corrections: Sequence[RolloutCorrection]) -> None:
    """Refuse corrections whose factors must not be multiplied.

    Raises:
        ValueError: For two of one class, and for two importance weights.
    """
    names = [type(correction).__name__ for correction in corrections]
    if len(set(names)) < len(names):
        raise Refusal(f"`model.correction` needs each correction once, but got {', '.join(names)}.")
    weights = [type(c).__name__ for c in corrections if isinstance(c, ImportanceWeight)]
    if len(weights) > 1:
        raise Refusal(
            f"`model.correction` may hold one importance weight, but got {' and '.join(weights)}: a token would be "
            "weighted by its ratio twice. Put masks beside it (TokenMask is IcePop without the weight)."
        )


@torch.no_grad()
def correct(corrections: Sequence[RolloutCorrection], inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor]]:
    """Multiply the factors of several corrections.

    Args:
        corrections: Any number of them.
        inputs: T tokens of whole completions, with ``rollout_logprobs``.

    Returns:
        Factors for ``LossInputs.importance``, shape ``(T,)``, float32; and sums for ``correction_metrics``, float64
        scalars, to be added up over micro-batches and ranks.
    """
    ones = torch.ones_like(inputs.old_logprobs, dtype=torch.float64)  # (T,)
    factors, sums = ones, {"tokens": ones.sum()}
    for correction in corrections:
        own = correction(inputs).double()  # (T,)
        factors = factors * own
        sums[f"dropped/{type(correction).__name__}"] = (own == 0).double().sum()
    sums["dropped"] = (factors == 0).double().sum()
    weight = next((c for c in corrections if isinstance(c, ImportanceWeight)), None)
    level = weight.level if weight is not None else "token"
    # Each token carries its completion's ratio, which counts once.
    counted = ones if level == "token" else is_first_token(inputs.completion_index).double()  # (T,)
    ratio = weight.ratio(inputs) if weight is not None else _bounded_exp(log_ratios(inputs))  # (T,)
    sums |= {"weights": counted.sum(), "weight": (counted * ratio).sum(), "weight_squared": (counted * ratio**2).sum()}
    if weight is not None:
        sums["clipped"] = (counted * (weight.bound(ratio) != ratio)).sum()
    return factors.float(), sums


def correction_metrics(sums: Mapping[str, float]) -> dict[str, float]:
    """Turn the added-up sums of a batch into what is logged.

    Args:
        sums: The second results of ``correct``, added up; maybe empty.

    Returns:
        Under ``rollout_correction/``: ``ess``, the effective sample size as a share of the samples (Kish: squared sum
        of the weights over their number times their sum of squares; 1 is full agreement) and ``mean`` (1 in
        expectation), both of the unbounded weights, with masks alone of the tokens' ratios; ``clipped``, the share of
        weights that were bounded; ``dropped``, the share of trained tokens that were left out; and
        ``dropped/<class>``, the same for each correction alone.

    Example:
        >>> sums = {"tokens": 4.0, "dropped": 1.0, "weights": 2.0, "weight": 4.0, "weight_squared": 10.0}
        >>> {name: round(value, 4) for name, value in correction_metrics(sums).items()}
        {'rollout_correction/dropped': 0.25, 'rollout_correction/ess': 0.8, 'rollout_correction/mean': 2.0}

    """
    if not sums.get("tokens"):
        return {}
    shares = {name: value / sums["tokens"] for name, value in sums.items() if name.startswith("dropped")}
    shares["ess"] = sums["weight"] ** 2 / (sums["weights"] * sums["weight_squared"])
    shares["mean"] = sums["weight"] / sums["weights"]
    if "clipped" in sums:
        shares["clipped"] = sums["clipped"] / sums["weights"]
    return {f"rollout_correction/{name}": value for name, value in shares.items()}
