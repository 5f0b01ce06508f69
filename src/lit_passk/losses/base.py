"""The interface of policy losses: flat tensors of tokens in, weighted sums out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.kl import kl_estimate
from lit_passk.logged import Logged

LOGGED = (
    Logged(
        "train/loss/approx_kl",
        means="How far the policy has moved since the rollout, nats per token (k3 estimate of KL(old || policy)).",
        healthy="0 with one update a step (`num_minibatches` and `num_epochs` 1). With several, below about 0.01.",
        otherwise="Larger: fewer updates a step, or a lower learning rate.",
    ),
    Logged(
        "train/loss/clip_fraction_low train/loss/clip_fraction_high",
        means="Share of the tokens that the lower and the upper bound of the ratio hold back.",
        healthy="0 with one update a step, else below about 0.2.",
        otherwise="Larger: the updates go further than the loss allows, and most of the batch is wasted. Fewer "
        "updates a step, or a lower learning rate. 0 in spite of several updates is no fault: they are small.",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossInputs:
    """The completion tokens of one micro-batch, without padding, completions one after the other; T tokens, maybe 0."""

    logprobs: Tensor
    """The policy's log-probability of each token, with gradient, shape ``(T,)``, float32."""
    old_logprobs: Tensor
    """The same before this step's first update, shape ``(T,)``, float32."""
    advantages: Tensor
    """The advantage of the completion a token belongs to, shape ``(T,)``, float32."""
    weights: Tensor
    """What a token counts in the sum, shape ``(T,)``, float32: aggregation and the denominators of the whole batch are
    already in it (``functional.policy_loss.token_weights``)."""
    completion_index: Tensor
    """Which completion a token belongs to, shape ``(T,)``, int64, ascending, not necessarily from 0; never split over
    micro-batches."""
    prompt_index: Tensor | None = None
    """Which prompt, and so which group, a token belongs to, shape ``(T,)``, int64; a group may be split over
    micro-batches."""
    importance: Tensor | None = None
    """Importance weight of a token whose engine log-prob differs from the policy's, shape ``(T,)``, float32:
    multiplies the token's loss. None where there is none."""
    rollout_logprobs: Tensor | None = None
    """The engine's log-probability of each token, shape ``(T,)``, float32."""
    ref_logprobs: Tensor | None = None
    """The initial policy's, shape ``(T,)``, float32; None without a KL penalty."""
    entropy: Tensor | None = None
    """Entropy of the policy at each token, with gradient, shape ``(T,)``, float32, nats; None unless the loss
    ``needs_entropy`` or there is an entropy bonus."""
    top_logprobs: Tensor | None = None
    """Log-probabilities of the policy's N likeliest tokens at each position, in descending order, with gradient, shape
    ``(T, N)``, float32; None where the loss's ``num_top`` is 0."""
    selected: Tensor | None = None
    """Which tokens ``PolicyLoss.select`` singled out, shape ``(T,)``, bool; None where it was not asked."""

    def __post_init__(self) -> None:
        """Raise a ValueError unless all tensors are flat (``top_logprobs``: a matrix) and of one length."""
        shape = self.logprobs.shape
        for field in fields(self):
            value, name = getattr(self, field.name), field.name
            if value is not None and (value.ndim != 1 + (name == "top_logprobs") or value.shape[:1] != shape):
                raise ValueError(
                    "LossInputs needs tensors of shape (T,) with one T, and `top_logprobs` of shape (T, N), but "
                    f"`logprobs` has shape {tuple(shape)} and `{name}` {tuple(value.shape)}."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class LossOutput:
    """What a policy loss returns: sums, to be added up over micro-batches and ranks, never averaged."""

    loss: Tensor
    """Sum of weight times token loss, scalar, with gradient (zero for no tokens)."""
    metrics: Mapping[str, Tensor]
    """Detached scalars, each the sum of weight times a token's value. With ``token`` or ``sequence`` weights, their sum
    over all micro-batches and ranks is a mean over the batch, in which completions that were left out count as 0."""


class PolicyLoss(ABC):
    """Turns log-probabilities and advantages into the loss of a micro-batch.

    A loss is a plain class like an ``AdvantageStrategy``: its constructor arguments are its configuration. It sees one
    micro-batch at a time; one that needs a look at all tokens of an update first overrides ``select``. What the policy
    must tell of a token besides its log-probability is asked for by ``needs_entropy`` and ``num_top``, attributes of
    the class or of its instances.

    Example:
        >>> class Reinforce(PolicyLoss):
        ...     def __call__(self, inputs):
        ...         return self.reduce(-inputs.advantages * inputs.logprobs, inputs)
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-1.0, -2.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-1.0, -2.0]),
        ...     advantages=torch.tensor([1.0, -1.0]),
        ...     weights=torch.tensor([0.5, 0.5]),
        ...     completion_index=torch.tensor([0, 1]),
        ... )
        >>> Reinforce()(inputs).loss
        tensor(-0.5000, grad_fn=<SumBackward0>)

    """

    needs_entropy: bool = False
    """Whether ``LossInputs.entropy`` must be there."""
    num_top: int = 0
    """How many of the likeliest tokens at each position ``LossInputs.top_logprobs`` must tell of."""

    @abstractmethod
    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Compute the loss.

        Args:
            inputs: The tokens of one micro-batch.

        Returns:
            The weighted sum of token losses, and metrics that are weighted sums too.
        """

    def select(self, inputs: LossInputs, update: int) -> Tensor | None:
        """Single out tokens among all that an update trains on; a loss that does gets them as ``LossInputs.selected``.

        A class that overrides this is asked before each update, and costs a further forward pass for it (none before
        the first of several updates of a step). What it returns may depend on its arguments alone, not on a global
        random state: every rank asks by itself.

        Args:
            inputs: All tokens of the mini-batch, of all micro-batches and ranks, in an order that depends on neither;
                on the CPU, without gradient. Tokens of completions without an advantage may be missing.
            update: Number of the update in the run, from 0.

        Returns:
            Shape ``(T,)``, bool.
        """
        return None

    @staticmethod
    def reduce(token_losses: Tensor, inputs: LossInputs, metrics: Mapping[str, Tensor] | None = None) -> LossOutput:
        """Weigh and sum token losses and token metrics; ``approx_kl`` is always among the metrics.

        ``approx_kl`` estimates KL(old policy || policy), how far the policy has moved since the rollout, by the k3
        estimator.

        Args:
            token_losses: Shape ``(T,)``, with gradient, without weights and importance.
            inputs: The tokens they are for.
            metrics: A value per token, shape ``(T,)`` each.
        """
        if inputs.importance is not None:
            token_losses = token_losses * inputs.importance
        with torch.no_grad():
            values = {"approx_kl": kl_estimate(inputs.old_logprobs, inputs.logprobs, "k3"), **(metrics or {})}
            sums = {name: (inputs.weights * value).sum() for name, value in values.items()}
        return LossOutput(loss=(inputs.weights * token_losses).sum(), metrics=sums)


def covariances(inputs: LossInputs) -> Tensor:
    """Each token's part in the covariance of log-probability and advantage (arXiv 2505.22617).

    ``(logprob - mean logprob) * (advantage - mean advantage)`` with means over the tokens that have an advantage;
    ``-inf`` for the others, which are as if they were not there.

    Returns:
        Shape ``(T,)``, float64, on the CPU, without gradient.
    """
    logprobs, advantages = inputs.logprobs.detach().double().cpu(), inputs.advantages.double().cpu()  # (T,)
    counted = advantages != 0  # (T,)
    number = counted.sum().clamp(min=1)
    logprob_mean, advantage_mean = logprobs[counted].sum() / number, advantages[counted].sum() / number
    products = (logprobs - logprob_mean) * (advantages - advantage_mean)  # (T,)
    return torch.where(counted, products, -torch.inf)


def check_clip(name: str, clip_low: float, clip_high: float) -> None:
    """Raise a ValueError unless ``0 <= clip_low <= 1`` and ``clip_high >= 0``."""
    if not 0 <= clip_low <= 1:
        raise Refusal(f"{name} needs clip_low in [0, 1], but got {clip_low}: the ratio is kept above 1 - clip_low.")
    if not clip_high >= 0:
        raise Refusal(f"{name} needs clip_high >= 0, but got {clip_high}: the ratio is kept below 1 + clip_high.")


def clip_fractions(ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float) -> dict[str, Tensor]:
    """Which tokens are held back by the lower and by the upper bound, shape ``(T,)`` each, bool."""
    return {
        "clip_fraction_low": (ratio < 1 - clip_low) & (advantages < 0),
        "clip_fraction_high": (ratio > 1 + clip_high) & (advantages > 0),
    }
