"""An RL step that was saved, run again twice: with the kernels of the run, then with the plain ones and more checks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.modules.advantage import compute_advantages
from lit_passk.modules.non_finite import FirstNonFinite, Places
from lit_passk.modules.objective import mismatch_of
from lit_passk.modules.passk import PassKRLModule
from lit_passk.modules.saved_steps import restored
from lit_passk.modules.training_batch import collect
from lit_passk.results.saved_step import SavedStep
from lit_passk.rollout.parity import TOLERANCES
from lit_passk.tasks.scores import NOT_FINITE
from lit_passk.types import RolloutBatch

SAME = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""By how much of itself a loss or a norm may differ between two ways to compute it."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    text: str
    wrong: bool
    """Whether it is not as it should be."""


@dataclass
class Computed:
    """What a pass over the step came to."""

    loss: float = 0.0
    norms: dict[str, float] = field(default_factory=dict)
    """Of the gradient of each trained parameter."""
    forward: str | None = None
    """Where the first value of the forward pass lies that is not finite."""
    backward: str | None = None
    """The same for the backward pass."""

    @property
    def norm(self) -> float:
        """Of the whole gradient."""
        return math.sqrt(sum(norm**2 for norm in self.norms.values()))


def replay(module: PassKRLModule, saved: SavedStep, same_weights: bool) -> Iterator[Finding]:
    """Run a saved step again on one process, without changing weights, and say what differs.

    Args:
        module: With the weights that the step began with.
        saved: The step.
        same_weights: Whether they are; if not, differences from what the run recorded are told and not judged.
    """
    rollouts, places = restored(saved), Places(saved.groups)
    bf16 = saved.precision == "bf16-mixed"
    module.policy.train()
    if saved.precision == "bf16-true":
        module.policy.to(torch.bfloat16)
    dtype = torch.bfloat16 if bf16 else module.policy.model.dtype
    yield _weights(module)
    yield _scores(saved, places)
    yield _advantages(module, saved, rollouts, places)
    yield from _recorded(rollouts, places)
    fast_logprobs, fast = _computed(module, rollouts, saved, "fast", dtype if bf16 else None)
    module.policy.float()
    plain_logprobs, plain = _computed(module, rollouts, saved, "plain", None)
    sampled = [x[trained] for x, trained in zip(rollouts.rollout_logprobs, rollouts.trained, strict=True)]
    on_time = same_weights and saved.version == saved.step - 1
    of_engine = TOLERANCES[dtype if saved.full_precision else torch.bfloat16]
    yield _logprobs("engine and policy", sampled, plain_logprobs, places, of_engine, on_time)
    tolerance = TOLERANCES[dtype]
    yield _logprobs("fast and plain kernels", fast_logprobs, plain_logprobs, places, tolerance, True)
    yield _non_finite(plain)
    yield from _numbers(saved, fast, plain, SAME[dtype], same_weights and module.updates_per_step == 1)


def _computed(
    module: PassKRLModule,
    rollouts: RolloutBatch,
    saved: SavedStep,
    kernels: str,
    autocast: torch.dtype | None,
) -> tuple[list[Tensor], Computed]:
    """Log-probabilities of all completions, and loss and gradients of the step's first updates."""
    policy, device, places = module.policy, module.device, Places(saved.groups)
    policy.kernels = kernels  # type: ignore[assignment]
    keep = (saved.advantages != 0) | (not module.objective.only_policy_loss)  # (N,) as in training
    training = collect(rollouts, saved.advantages, keep, module.num_minibatches, module.aggregation)
    kept = keep.nonzero()[:, 0].tolist()
    places = places.of(kept)
    mismatch = mismatch_of(training, saved.step - 1, autocast or policy.model.dtype)
    made = Computed()
    policy.zero_grad(set_to_none=True)
    with _cast(device, autocast):
        logprobs = module.completion_logprobs(rollouts)
        for part in chain.from_iterable(module.updates(training)):
            part = part.to(device)
            with FirstNonFinite(policy, part.micro, places) as first:
                loss, _ = module.objective(policy, module.reference, training, mismatch, *part)
                loss.backward()
            made.loss += float(loss.detach())
            made.forward, made.backward = made.forward or first.forward, made.backward or first.backward
    made.norms = {
        name: float(torch.linalg.vector_norm(p.grad, dtype=torch.float32))
        for name, p in policy.model.named_parameters()
        if p.grad is not None
    }
    policy.zero_grad(set_to_none=True)
    return logprobs, made


def _cast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


# --- what is said ----------------------------------------------------------------------------------------------------


def _weights(module: PassKRLModule) -> Finding:
    bad = {name: int((~p.isfinite()).sum()) for name, p in module.policy.model.named_parameters()}
    bad = {name: number for name, number in bad.items() if number}
    shown = ", ".join(f"{name} ({number} values)" for name, number in list(bad.items())[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    return Finding("weights", f"NaN or infinity in {shown}{more}" if bad else "all finite", bool(bad))


def _scores(saved: SavedStep, places: Places) -> Finding:
    failed: dict[str, list[str]] = defaultdict(list)
    for number, group in enumerate(saved.groups):
        for sample, score in enumerate(group.scores):
            if score.error is not None:
                failed[score.error].append(places.sample(number, sample))
    lines = [f"{error} ({_few(where)})" for error, where in failed.items()]
    wrong = any(error.endswith(NOT_FINITE) for error in failed) or (bool(failed) and not len(saved.advantages))
    return Finding("rewards", f"without a score: {'; '.join(lines)}" if lines else "all scored", wrong)


def _advantages(module: PassKRLModule, saved: SavedStep, rollouts: RolloutBatch, places: Places) -> Finding:
    now, name = compute_advantages(module.advantage, rollouts, saved.step - 1, saved.max_steps), type(module.advantage)
    bad = (~saved.advantages.isfinite()).nonzero()[:, 0].tolist()
    if bad:
        again = int((~now.isfinite()).sum())
        text = f"not finite: {_few([f'{places.completion(n)} ({float(saved.advantages[n])})' for n in bad])}; "
        return Finding("advantages", text + f"{name.__name__} makes {again} such of the same rewards now", True)
    other = (~torch.isclose(now, saved.advantages, rtol=1e-3, atol=1e-5)).nonzero()[:, 0].tolist()
    if other:
        shown = [f"{places.completion(n)}: {float(saved.advantages[n]):.5g}, now {float(now[n]):.5g}" for n in other]
        return Finding("advantages", f"{name.__name__} makes others of the same rewards: {_few(shown)}", True)
    return Finding("advantages", f"{name.__name__} makes the same of the same rewards", False)


def _recorded(rollouts: RolloutBatch, places: Places) -> Iterator[Finding]:
    """What the engine recorded that is no number."""
    bad = [
        places.token(completion, int(token), int(rollouts.completion_ids[completion][token]))
        for completion, logprobs in enumerate(rollouts.rollout_logprobs)
        for token in (~logprobs.isfinite()).nonzero()[:, 0].tolist()
    ]
    if bad:
        yield Finding("engine", f"recorded log-probabilities that are not finite: {_few(bad)}", True)


def _logprobs(
    what: str, first: Sequence[Tensor], second: Sequence[Tensor], places: Places, tolerance: float, judged: bool
) -> Finding:
    """Compare log-probabilities by completion, as the parity check does: single tokens say little in bfloat16."""
    worst, largest, where = 0.0, 0.0, ""
    for completion, (one, other) in enumerate(zip(first, second, strict=True)):
        difference = (one.double() - other.double()).abs()  # (T,)
        difference = difference.where(difference.isfinite(), math.inf)
        if len(difference) and not float(difference.mean()) <= worst:
            worst, token = float(difference.mean()), int(difference.argmax())
            largest, where = float(difference[token]), f"{places.completion(completion)}, trained token {token}"
    text = f"{what}: log-probabilities differ by {worst:.2g} nats on average in the worst completion"
    text += f" (by {largest:.2g} in {where})" if where else ""
    wrong = not worst <= tolerance
    note = "" if judged else "; the weights are others than those that it was sampled with, so it is not judged"
    return Finding("log-probs", f"{text}, {tolerance:.2g} is allowed{note}", wrong and judged)


def _non_finite(plain: Computed) -> Finding:
    bad = [name for name, norm in plain.norms.items() if not math.isfinite(norm)]
    parts = []
    if plain.forward:
        parts.append(f"first in the forward pass: {plain.forward}")
    if plain.backward:
        parts.append(f"first in the backward pass: {plain.backward}")
    if bad:
        parts.append(f"in the gradients of {len(bad)} of {len(plain.norms)} tensors: {_few(bad)}")
    if not parts and not math.isfinite(plain.loss):
        parts.append(f"the loss alone is {plain.loss}")
    return Finding("not finite", "; ".join(parts) or "nothing", bool(parts))


def _numbers(saved: SavedStep, fast: Computed, plain: Computed, same: float, judged: bool) -> Iterator[Finding]:
    losses, norms = (fast.loss, plain.loss, "train/loss/total"), (fast.norm, plain.norm, "train/grad_norm")
    for what, (quick, slow, key) in {"loss": losses, "gradient": norms}.items():
        scale = max(abs(slow), 1e-6)
        text, wrong = f"{quick:.6g} by fast kernels, {slow:.6g} by plain ones", not abs(quick - slow) <= same * scale
        if key in saved.metrics:
            text += f", {saved.metrics[key]:.6g} in the run"
            wrong |= judged and not abs(saved.metrics[key] - quick) <= same * scale
        yield Finding(what, text, wrong)
    floor = 1e-3 * plain.norm  # what is nothing beside the others differs by rounding
    apart = {
        name: abs(fast.norms.get(name, 0.0) - norm) / max(norm, floor, 1e-12) for name, norm in plain.norms.items()
    }
    worst = sorted(apart, key=lambda name: -apart[name] if apart[name] == apart[name] else -math.inf)[:3]
    shown = [f"{name}: {fast.norms.get(name, 0.0):.4g} and {plain.norms[name]:.4g}" for name in worst]
    differ = any(not value <= same for value in apart.values())
    yield Finding("gradients", f"norms by fast and plain kernels, those furthest apart: {'; '.join(shown)}", differ)


def _few(texts: Sequence[str], most: int = 3) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
