"""Any reward of a group, any choice of groups: the general form (arXiv 2508.10751, Algorithms 1 to 3)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor

from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.errors import Refusal
from lit_passk.functional.groups import (
    Reduction,
    all_groups,
    check_reduction,
    disjoint_groups,
    draw_groups,
    share_among_members,
    share_by_count,
)
from lit_passk.functional.order_statistics import read_weights, statistic_advantage
from lit_passk.functional.passk_advantage import Std, check_std
from lit_passk.functional.random import derive_seed
from lit_passk.types import GroupContext

Groups = Literal["disjoint", "bootstrap", "all"]
MOST_ENUMERATED = 1 << 16
MOST_DRAWN = 1 << 17  # members of groups that are drawn at once: they should stay in a CPU's cache


class GroupReward(ABC):
    """What a group of completions is paid, as a class of your own; the order of the members may not matter.

    Example:
        >>> class AtLeast(GroupReward):
        ...     def __init__(self, wanted: int = 2) -> None:
        ...         self.wanted = wanted
        ...
        ...     def __call__(self, rewards):
        ...         return ((rewards > 0.5).sum(dim=-1) >= self.wanted).double()
        >>> GroupAdvantage(AtLeast(2), k=2)(torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
        tensor([[ 0.4472,  0.4472, -0.4472, -0.4472]])

    """

    @abstractmethod
    def __call__(self, rewards: Tensor) -> Tensor:
        """Rewards of groups, shape ``(...)``, from those of their k members, shape ``(..., k)``, float64."""


class GroupAdvantage(GroupsOfK):
    """Rewards groups of k completions together, by any function f, and gives each completion what its groups got.

    For each prompt, over M groups S_1, ..., S_M of k of its completions::

        F_j = f(rewards of S_j)
        A^j = (F_j - mean F) / std F
        A_i = sum or mean of A^j over the groups j that hold completion i

    Instances: with ``f: max`` on rewards of 0 and 1 ``groups: disjoint`` is ``PassKFullSampling``, ``bootstrap`` with
    ``reduction: sum`` is ``PassKBootstrap``, ``all`` is ``PassKAnalytic``; on any rewards ``all`` is ``MaxAtK``. At k =
    1 ``disjoint`` and ``all`` are ``GRPO``. Sets of completions that other papers pay together (arXiv 2509.25424,
    2604.17654) are ``all`` with ``reduction: sum`` and an f of their own. Where a group is paid by more than rewards
    (its different answers, its lengths), ``all_groups`` and ``share_among_members`` of ``functional.groups`` make a
    strategy of a few lines.

    Use it when a group of k should be paid for something else than its best answer: at least two correct, a high
    median, a spread. It looks at rewards alone; to count who is correct, let the task pay 0 and 1. In YAML::

        advantage:
          class_path: GroupAdvantage
          init_args:
            f: {class_path: my_project.groups.AtLeast, init_args: {wanted: 2}}
            k: 4

    Advantages are for a mean over the completions with ``reduction: mean``; ``sum`` is about k times as large with as
    many groups as completions, and C(G - 1, k - 1) times with ``all``. With ``all`` a group sums to zero. Groups that
    are all paid alike give zeros; so does k = G, which warns; k > G is refused. ``disjoint`` leaves the last G mod k
    completions at 0.

    Cost of ``all``: for a named f or weights a sort for each prompt (with ``std`` and several weights G^2), no group is
    formed. For a class of yours and rewards of 0 and 1 groups are counted, O(G k) for all prompts; with other rewards
    they are enumerated, up to 65,536 of them. ``bootstrap``: O(num_groups k^2) for each prompt.

    Args:
        f: What a group is paid: ``max``, ``min``, ``mean``, ``median``, ``top:m``, ``bottom:m``, ``cvar:q`` or k
            weights of the rewards, worst first, as in ``OrderStatistic``; or a ``GroupReward`` of yours (in Python any
            function like it).
        k: Completions per group, from 1 to ``rollout.group_size``.
        groups: ``disjoint`` takes every k completions in a row, ``bootstrap`` draws at random, ``all`` takes each of
            the C(G, k) groups once.
        reduction: What a completion gets of the advantages of its groups.
        std: Divide by the standard deviation over the groups with 1/M (``population``), with 1/(M - 1) (``bessel``), or
            not at all (``none``).
        num_groups: Groups drawn by ``bootstrap``; None draws as many as there are completions.
        seed: Seed of ``bootstrap``, which draws from (seed, RL step, prompt id), at least 0.

    Example:
        >>> GroupAdvantage("min", k=2)(torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]]))
        tensor([[ 0.4472,  0.4472, -0.4472, -0.4472],
                [-0.8944,  0.0000,  0.4472,  0.4472]])

    """

    def __init__(
        self,
        f: GroupReward | list[float] | str = "max",
        k: int = 4,
        groups: Groups = "all",
        reduction: Reduction = "mean",
        std: Std = "population",
        num_groups: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(k)
        if isinstance(f, str) and "." in f.partition(":")[0]:
            raise Refusal(f"There is no GroupReward at {f!r}. Give the path of a class that can be imported.")
        if groups not in get_args(Groups):
            raise Refusal(f"`groups` must be one of {', '.join(get_args(Groups))}, but got {groups!r}.")
        check_reduction(reduction)
        check_std(std)
        if num_groups is not None and num_groups < 1:
            raise Refusal(f"Drawing groups needs num_groups >= 1 (or None), but got {num_groups}.")
        if seed < 0:
            raise Refusal(f"Drawing groups needs seed >= 0, but got {seed}.")
        self.f = f
        self.weights = None if callable(f) else read_weights(f, k)
        self.groups: Groups = groups
        self.reduction: Reduction = reduction
        self.std: Std = std
        self.num_groups = num_groups
        self.seed = seed

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``; warn where there is a single group."""
        super().check_group_size(group_size)
        self.warn_single_group(group_size)
        if self.groups == "disjoint":
            self.warn_one_disjoint_group(group_size)
        if self.groups == "all" and self.reduction == "sum" and math.comb(group_size - 1, self.k - 1) > 1e30:
            raise Refusal(
                f"GroupAdvantage(k={self.k}) adds up more than 1e30 groups for each of {group_size} completions, which "
                "float32 cannot hold. Use `reduction: mean`."
            )

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        return self.compute(self.read_rewards(rewards), context).to(rewards.device, torch.float32)

    def compute(self, rewards: Tensor, context: GroupContext | None) -> Tensor:
        """The advantages of rewards that were checked, shape ``(P, G)``, float64, in the same."""
        group_size = rewards.shape[1]
        if self.groups == "disjoint":
            return self._share(rewards, disjoint_groups(group_size, self.k))
        if self.groups == "bootstrap":
            step = 0 if context is None else context.step
            ids = range(len(rewards)) if context is None else context.problem_ids.tolist()
            seeds = torch.tensor([derive_seed(self.seed, step, problem_id) for problem_id in ids], dtype=torch.int64)
            at_once = max(1, MOST_DRAWN // (self.k * (self.num_groups or max(1, group_size))))
            parts = zip(rewards.split(at_once), seeds.split(at_once), strict=True)
            return torch.cat([self._share(rows, self._draw(group_size, some)) for rows, some in parts])
        advantages = self._all_groups(rewards)
        return advantages * math.comb(group_size - 1, self.k - 1) if self.reduction == "sum" else advantages

    def draw_groups(self, step: int, problem_id: int, group_size: int) -> Tensor:
        """Indices of the k different completions in each drawn group, shape ``(num_groups, k)``, int64."""
        return self._draw(group_size, torch.tensor([derive_seed(self.seed, step, problem_id)]))[0]

    def _draw(self, group_size: int, seeds: Tensor) -> Tensor:
        """Groups of prompts, shape ``(P, num_groups, k)``."""
        return draw_groups(group_size, self.k, self.num_groups or group_size, seeds)

    def _share(self, rewards: Tensor, members: Tensor) -> Tensor:
        """Give each completion what its groups got, ``(P, G)``; ``members`` as in ``share_among_members``."""
        if members.ndim == 2:
            of_members = rewards[:, members]  # (P, M, k)
        else:
            of_members = rewards.gather(1, members.flatten(1)).view(members.shape)
        return share_among_members(self._pay(of_members), members, rewards.shape[1], self.reduction, self.std)

    def _pay(self, rewards: Tensor) -> Tensor:
        """What groups are paid, shape ``(..., k)`` to ``(...)``."""
        if not callable(self.f):
            if self.f == "max":
                return rewards.amax(dim=-1)
            return rewards.sort(dim=-1).values @ torch.tensor(self.weights, dtype=torch.float64)
        paid = self.f(rewards).double()
        if paid.shape != rewards.shape[:-1]:
            raise Refusal(
                f"{type(self.f).__name__} must return one number for each group, shape {tuple(rewards.shape[:-1])}, "
                f"but returned {tuple(paid.shape)}."
            )
        return paid

    def _all_groups(self, rewards: Tensor) -> Tensor:
        """The mean over all groups, shape ``(P, G)``."""
        if self.weights is not None:
            return statistic_advantage(rewards, self.weights, self.std)
        group_size = rewards.shape[1]
        advantages = torch.zeros_like(rewards)
        counted = ((rewards == 0) | (rewards == 1)).all(dim=1)  # (P,)
        if counted.any():
            ones = torch.ones(self.k + 1, self.k, dtype=torch.float64).tril(-1)  # (k + 1, k) groups of 0 to k ones
            table = share_by_count(self._pay(ones), group_size, self.std)  # (G + 1, 2)
            is_one = rewards[counted].long()
            advantages[counted] = table[is_one.sum(dim=1, keepdim=True), is_one]
        if not counted.all():
            members = self._enumerated(group_size)  # (M, k)
            for row in (~counted).nonzero()[:, 0]:  # one by one: all at once would not fit in memory
                group_rewards = self._pay(rewards[row, members])[None]
                advantages[row] = share_among_members(group_rewards, members, group_size, "mean", self.std)[0]
        return advantages

    def _enumerated(self, group_size: int) -> Tensor:
        num_groups = math.comb(group_size, self.k)
        if num_groups > MOST_ENUMERATED:
            raise Refusal(
                f"GroupAdvantage would enumerate {num_groups:,} groups of {self.k} among {group_size} completions to "
                f"pay them by {type(self.f).__name__}, and stops at {MOST_ENUMERATED:,}. Use `groups: bootstrap` with "
                "`reduction: mean`, a named statistic, or rewards of 0 and 1."
            )
        return all_groups(group_size, self.k)
