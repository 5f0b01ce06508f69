"""The train-inference mismatch: compare the engine's and the policy's log-probabilities of the same tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_passk.distributed import all_max, all_sum
from lit_passk.errors import CannotRun, Refusal
from lit_passk.logged import Logged
from lit_passk.types import RolloutBatch

TOLERANCES = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 8e-2}
"""Largest mean absolute log-probability difference of one completion, nats; what healthy pairs show: see the class."""

QUANTIZED_TOLERANCE = 0.5
"""The same for an engine with quantised weights or cache, in whatever dtype it computes: see the class."""

CAUSES = (
    "The usual causes: a tied output head fed by `named_parameters()` instead of `state_dict()`; a prefix cache that "
    "was not dropped after the weights came; another temperature than the one sampled at; a layer that was not sent; "
    "an engine in a coarser dtype than the policy. Set `parity.tolerance` only if you know why they differ."
)


LOGGED = (
    Logged(
        "parity/mean parity/max parity/worst",
        means="Differences between the engine's log-probabilities and the policy's for the same tokens, nats: mean "
        "and largest of all tokens, and the mean of the worst completion. Logged when `rollout.parity` checks.",
        healthy="About 1e-5 in float32, 1e-2 in bfloat16.",
        otherwise="Past the tolerance the run stops and names the usual causes. Just below it: see "
        "`train/rollout_correction/ess`.",
    ),
)


class ParityCheck:
    """Compares the engine's log-probabilities of a few completions with the policy's, and stops the run if they differ.

    Nothing else notices when the engine samples with other weights than the policy trains: the rewards look plausible
    and the policy learns slowly, or not at all. Compared at the sampling temperature, over the sampled tokens.

    What counts is the mean of a completion and not single tokens, because in bfloat16 single unlikely tokens
    differ by several tenths between any two correct implementations. Measured on SmolLM2-135M, vLLM 0.32 on CPU against
    a forward pass of transformers, worst of 64 completions of up to 96 tokens: float32 9e-6 (one token: 1e-4), vLLM in
    bfloat16 against the same weights in float32 5e-2 (one token: .35).

    Quantised weights differ by more, and by how much depends on method and model. Computed on the same model without an
    engine, worst of 32 completions of up to 48 tokens: weights and activations rounded to fp8 .30 (one token: 4.6),
    weights rounded to 4 bits in groups of 64 1.0. The tolerance lets the first pass; set one for other methods.

    Args:
        every: RL steps from one check to the next, beside the first two steps of a run: weights are sent for the second
            if not for the first. 0 never checks.
        tolerance: Largest mean difference of a completion, nats; None depends on the dtype and on whether the engine is
            quantised.

    Example:
        >>> ParityCheck(every=50).is_due(100)
        True

    """

    def __init__(self, every: int = 50, tolerance: float | None = None) -> None:
        if every < 0:
            raise Refusal(f"ParityCheck needs every >= 0 RL steps (0 never checks), but got {every}.")
        if tolerance is not None and not tolerance > 0:  # NaN is neither
            raise Refusal(f"ParityCheck needs tolerance > 0 nats, but got {tolerance}.")
        self.every = every
        self.tolerance = tolerance
        self._num_checked = 0

    def is_due(self, step: int) -> bool:
        """Return whether RL step ``step`` is to be checked: the first two asked about, then every ``every``-th."""
        return self.every > 0 and (self._num_checked < 2 or step % self.every == 0)

    def check(
        self,
        rollouts: RolloutBatch,
        policy_logprobs: Sequence[Tensor],
        dtype: torch.dtype = torch.float32,
        quantized: bool = False,
    ) -> dict[str, float]:
        """Compare; every rank must call this at the same step.

        Args:
            rollouts: A few completions with the engine's log-probabilities.
            policy_logprobs: The policy's at the temperature of the sampling, one tensor per completion with a value per
                trained token.
            dtype: The coarser of the precisions that the two compute in; decides the tolerance.
            quantized: Whether weights or cache of the engine are quantised; then that does.

        Returns:
            ``parity/mean`` and ``parity/max`` over tokens and ``parity/worst`` (the largest mean of a completion), over
            all ranks, nats.

        Raises:
            RuntimeError: On every rank, if a completion of any rank is past the tolerance.
        """
        sampled = [x[trained] for x, trained in zip(rollouts.rollout_logprobs, rollouts.trained, strict=True)]
        stats = _compare(sampled, policy_logprobs)
        self._num_checked += 1
        total, count = all_sum(stats[:2]).tolist()
        largest, worst = all_max(stats[2:]).tolist()
        of_engine = QUANTIZED_TOLERANCE if quantized else TOLERANCES[dtype]
        tolerance = of_engine if self.tolerance is None else self.tolerance
        values = {"parity/mean": total / max(count, 1.0), "parity/max": largest, "parity/worst": worst}
        # NaN is past every tolerance; of several ranks, only the sum is sure to carry one over.
        if not worst <= tolerance or math.isnan(total):
            raise CannotRun(
                "The engine and the policy disagree on the log-probabilities of the same tokens (weights version "
                f"{rollouts.version}): by {worst:.2g} nats on average in the worst completion, where {tolerance:.2g} "
                f"is allowed in {dtype}{', quantised' if quantized else ''}; mean {values['parity/mean']:.2g}, largest "
                f"{largest:.2g} ({count:.0f} tokens). {CAUSES}"
            )
        return values


def _compare(rollout_logprobs: Sequence[Tensor], policy_logprobs: Sequence[Tensor]) -> Tensor:
    """Return the sum of absolute differences, tokens, largest difference and largest completion mean, (4,) float64."""
    if len(rollout_logprobs) != len(policy_logprobs):
        raise ValueError(
            f"`check` needs one tensor of policy log-probabilities per completion, but got {len(policy_logprobs)} for "
            f"{len(rollout_logprobs)} completions."
        )
    stats = torch.zeros(4, dtype=torch.float64)
    for theirs, ours in zip(rollout_logprobs, policy_logprobs, strict=True):
        if theirs.shape != ours.shape:
            raise ValueError(f"A completion of {len(theirs)} tokens got policy log-probabilities {tuple(ours.shape)}.")
        if len(theirs) == 0:  # no trained token
            continue
        difference = (theirs.detach().double().cpu() - ours.detach().double().cpu()).abs()
        parts = (difference.sum(), torch.tensor(float(len(difference))), difference.max(), difference.mean())
        stats[:2] += torch.stack([part.double() for part in parts[:2]])
        stats[2:] = torch.maximum(stats[2:], torch.stack(parts[2:]))
    return stats
