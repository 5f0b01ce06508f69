"""Every strategy as a plain function of rewards and group index, and what puts it into verl and TRL.

See docs/bridges.md. Neither library is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import count
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from lit_passk import advantages
from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.buckets import buckets, no_size_warnings, usable
from lit_passk.errors import Refusal
from lit_passk.functional.answers import number_answers
from lit_passk.types import BatchStats, GroupContext

Array = TypeVar("Array", Tensor, np.ndarray)
_KNOWN = {field.name for field in fields(GroupContext)} - {"problem_ids", "batch"}


def make_strategy(strategy: str | AdvantageStrategy, **init_args: Any) -> AdvantageStrategy:
    """The strategy of a name, as in YAML: ``make_strategy("PassKAnalytic", k=8)``. A strategy is returned as it is."""
    if isinstance(strategy, AdvantageStrategy):
        if init_args:
            raise Refusal(f"{type(strategy).__name__} is made already, and takes no more {', '.join(init_args)}.")
        return strategy
    names = [name for name in advantages.__all__ if _is_strategy(getattr(advantages, name))]
    if strategy not in names:
        raise Refusal(f"There is no strategy {strategy!r}. Choose from {', '.join(names)}, or pass one of your own.")
    return cast(AdvantageStrategy, getattr(advantages, strategy)(**init_args))


def group_advantages(
    rewards: Array, index: Any, strategy: str | AdvantageStrategy = "PassKAnalytic", **options: Any
) -> Array:
    """Advantages of completions that lie flat, in any order, in groups of any size.

    Args:
        rewards: One for each completion, shape ``(N,)``: a torch tensor or a NumPy array, any number type.
        index: Which group each belongs to, shape ``(N,)``: numbers, strings or anything hashable; completions of a
            group need not lie side by side. Strategies that draw at random go by it where it holds integers.
        strategy: Name of a strategy, or one that is made already.
        **options: Arguments of a strategy given by name (``k=4``), and what it may know of each completion besides the
            rewards, by the names of ``GroupContext``: ``correct``, ``logprob_mean``, ``num_tokens``, ... each shape
            ``(N,)``; ``step`` and ``max_steps`` are numbers. Without ``correct`` a reward of 1 is correct and one of 0
            is wrong; other rewards do not say it. ``entropy`` is ``-logprob_mean`` where only one of both is given.

    Returns:
        Shape ``(N,)``, float32, of the kind and on the device of ``rewards``. A group too small for the strategy gets
        zeros.

    Raises:
        ValueError: When lengths differ, when every group is too small, or when the strategy needs something that was
            not given.

    Example:
        >>> rewards = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0])
        >>> print(group_advantages(rewards, ["a", "a", "a", "b", "a", "b", "b"], k=2).round(3))
        [ 1.    -0.333 -0.333  0.    -0.333  0.     0.   ]

    """
    made = make_strategy(strategy, **{name: value for name, value in options.items() if name not in _KNOWN})
    known = {name: value for name, value in options.items() if name in _KNOWN and value is not None}
    array = rewards if isinstance(rewards, Tensor) else np.ascontiguousarray(rewards)
    values = torch.as_tensor(array).detach().to("cpu", torch.float64)  # (N,)
    ids = index.tolist() if isinstance(index, Tensor | np.ndarray) else list(index)
    if values.ndim != 1 or len(values) != len(ids):
        raise Refusal(
            f"`rewards` and `index` must have one entry for each completion, but have shapes {tuple(values.shape)} "
            f"and ({len(ids)},)."
        )
    numbers: dict[Any, int] = {}
    owner = torch.tensor([numbers.setdefault(name, len(numbers)) for name in ids], dtype=torch.int64)  # (N,)
    result = _apply(made, values, owner, list(numbers), known)
    return result.to(rewards.device) if isinstance(rewards, Tensor) else result.numpy()


def verl_estimator(
    strategy: str | AdvantageStrategy = "PassKAnalytic",
    *,
    correct_above: float | None = None,
    first_step: int = 0,
    **options: Any,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """A strategy as an advantage estimator of verl, for its ``register_adv_est``.

    Args:
        strategy: Name of a strategy, or one that is made already.
        correct_above: A completion is correct if its reward is above this; None leaves it to rewards of 0 and 1.
        first_step: Number of the first RL step: calls are counted, for strategies that go by the step.
        **options: As those of ``group_advantages``; ``max_steps`` for schedules that are fractions of a run.

    Returns:
        A function of ``token_level_rewards`` and ``response_mask``, both shape ``(N, T)``, and ``index``, shape
        ``(N,)``, that ignores what else verl passes. It returns advantages and returns, the same tensor twice, shape
        ``(N, T)``, as verl's estimators for outcome rewards do.
    """
    known = {name: options.pop(name) for name in list(options) if name in _KNOWN}
    made = make_strategy(strategy, **options)
    steps = count(first_step)

    def estimator(
        token_level_rewards: Tensor, response_mask: Tensor, index: Any = None, **_: Any
    ) -> tuple[Tensor, Tensor]:
        if index is None:
            raise Refusal("verl passed no `index`. Strategies compare the completions of a prompt: `uid` must be set.")
        scores = token_level_rewards.sum(dim=-1)  # (N, T) -> (N,)
        correct = None if correct_above is None else scores > correct_above
        each = group_advantages(scores, index, made, correct=correct, **({"step": next(steps)} | known))
        result = each[:, None] * response_mask  # (N, T)
        return result, result

    return estimator


def trl_trainer(
    base: type,
    strategy: str | AdvantageStrategy = "PassKAnalytic",
    *,
    correct_above: float | None = None,
    **options: Any,
) -> type:
    """A subclass of TRL's ``GRPOTrainer`` that trains on the advantages of a strategy.

    TRL has no hook for it: this overrides two methods that are not public, ``_calculate_rewards``, whose result (of all
    processes) is kept, and ``_generate_and_score_completions``, whose ``advantages`` are replaced.

    Args:
        base: ``trl.GRPOTrainer`` or a subclass.
        strategy: Name of a strategy, or one that is made already.
        correct_above: A completion is correct if its reward is above this; None leaves it to rewards of 0 and 1.
        **options: As those of ``group_advantages``.

    Raises:
        ValueError: When ``base`` lacks one of both methods.
    """
    for method in ("_calculate_rewards", "_generate_and_score_completions"):
        if not hasattr(base, method):
            raise Refusal(
                f"{base.__name__} has no method {method}, through which a strategy gets into it. It was tested with "
                "TRL 1.16; another version may have moved it."
            )
    known = {name: options.pop(name) for name in list(options) if name in _KNOWN}
    made = make_strategy(strategy, **options)

    class WithStrategy(base):
        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
            self._rewards_of_all = super()._calculate_rewards(*args, **kwargs)  # (N of all processes, functions)
            return self._rewards_of_all

        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            each = self._rewards_of_all  # (N of all, functions)
            rewards = (each * self.reward_weights.to(each.device)).nansum(dim=1)  # (N of all,)
            size = self.num_generations if self.model.training else self.num_generations_eval
            index = torch.arange(len(rewards)) // size  # a group lies side by side
            scored = ~each.isnan().all(dim=1)  # a completion that no function could score is left out
            correct = None if correct_above is None else rewards[scored] > correct_above
            result = torch.zeros(len(rewards), dtype=torch.float32, device=rewards.device)
            step = {"step": int(self.state.global_step), "max_steps": int(self.state.max_steps)}
            result[scored] = group_advantages(
                rewards[scored], index[scored.cpu()], made, correct=correct, **(step | known)
            )
            mine = len(output["advantages"])
            start = self.accelerator.process_index * mine
            output["advantages"] = result[start : start + mine].to(output["advantages"])
            return output

    WithStrategy.__name__ = WithStrategy.__qualname__ = f"{type(made).__name__}{base.__name__}"
    return WithStrategy


class _Known:
    """A ``GroupContext`` of what was given; asking it for something else says what to pass."""

    def __init__(self, strategy: AdvantageStrategy, given: Mapping[str, Any]) -> None:
        self.__dict__.update(given)
        self._strategy = type(strategy).__name__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        why = ": rewards that are not all 0 or 1 do not say who is" if name == "correct" else ""
        raise Refusal(f"{self._strategy} needs `{name}`, which was not given{why}.")


def _is_strategy(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, AdvantageStrategy) and not value.__abstractmethods__


def _apply(
    strategy: AdvantageStrategy, rewards: Tensor, owner: Tensor, names: list[Any], known: dict[str, Any]
) -> Tensor:
    """Call the strategy once for each size of a group, shape ``(N,)``."""
    known = _complete(known, rewards)
    result = torch.zeros(len(rewards), dtype=torch.float32)
    whole = all(isinstance(name, int) for name in names)
    problem_ids = torch.tensor(names if whole else range(len(names)), dtype=torch.int64)  # (groups,)
    stats = _batch_stats(rewards, owner, known.get("entropy"))
    applied = len(rewards) == 0
    for groups, rows in buckets(owner):
        if not usable(strategy, rows.shape[1]):
            continue
        applied = True
        given = {name: _rows(value, rows) for name, value in known.items()}
        context = _Known(strategy, {"problem_ids": problem_ids[groups], "batch": stats} | given)
        with no_size_warnings():
            result[rows] = strategy(rewards[rows], cast(GroupContext, context))  # (P, G)
    if not applied:
        strategy.check_group_size(int(owner.bincount().max()))  # says what is wrong
    return result


def _complete(known: dict[str, Any], rewards: Tensor) -> dict[str, Any]:
    """Check lengths, and add what follows from what was given."""
    for name, value in known.items():
        if name not in ("step", "max_steps") and len(value) != len(rewards):
            raise Refusal(f"`{name}` must have one entry for each of {len(rewards)} rewards, but has {len(value)}.")
    known = {"max_steps": -1} | {name: _as_tensor(name, value) for name, value in known.items()}
    if "correct" not in known and ((rewards == 0) | (rewards == 1)).all():
        known["correct"] = rewards == 1
    for name, other in (("entropy", "logprob_mean"), ("logprob_mean", "entropy")):
        if name not in known and other in known:
            known[name] = -known[other]
    return known


def _as_tensor(name: str, value: Any) -> Any:
    """Numbers as a tensor, shape ``(N,)``; answers that are texts as a list."""
    if name in ("step", "max_steps"):
        return value
    if not isinstance(value, Tensor):
        array = np.asarray(value)
        if name == "answers" and array.dtype.kind not in "iu":
            return list(value)  # texts: they are numbered within their prompt
        value = torch.as_tensor(np.ascontiguousarray(array))
    value = value.detach().cpu()
    return value.bool() if name in ("correct", "truncated") else value


def _rows(value: Any, rows: Tensor) -> Any:
    """What is known of each completion, laid out as the groups are, shape ``(P, G)``."""
    if isinstance(value, Tensor):
        return value[rows]
    if isinstance(value, list):
        return torch.tensor([number_answers([value[row] for row in group]) for group in rows.tolist()])
    return value


def _batch_stats(rewards: Tensor, owner: Tensor, entropy: Tensor | None) -> BatchStats:
    prompt_entropy = torch.zeros(0)
    if isinstance(entropy, Tensor):
        sizes = owner.bincount()
        prompt_entropy = (torch.zeros(len(sizes)).double().index_add_(0, owner, entropy.double()) / sizes).float()
    return BatchStats(
        reward_mean=float(rewards.mean()) if len(rewards) else 0.0,
        reward_std=float(rewards.std(correction=0)) if len(rewards) else 0.0,
        prompt_entropy=prompt_entropy,
    )
