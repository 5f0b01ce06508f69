"""One table of all strategies, out of what they do."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.examine import advantages_of, context_fields, every_group, expected_gradient, proportion

from .members import SIZE, members, strategies
from .page import read_docstring, to_markdown

INTRODUCTION = f"""# Strategies

Written by `python scripts/make_strategy_pages.py` from the classes themselves. What a strategy pays for is the first
sentence of its docstring. All else is computed, by trying it with its defaults on all {2**SIZE} groups of {SIZE}:

- **rewards**: whether graded rewards change anything, or only who is correct does.
- **needs**: what it reads of the `GroupContext` to know more than rewards of 0 and 1 say.
- **centred**: whether the advantages of a group sum to zero.
- **without bias for**: what the mean over all groups that a policy can sample is the gradient of, on rewards of 0 and
  1, up to a constant factor (a sum or a mean over completions). Statistics of the whole step count as fixed.

How to write one of your own: [write_a_strategy.md](../write_a_strategy.md). As plain functions, in verl and TRL:
[bridges.md](../bridges.md).
"""
SAME = f"""## The same up to a weight per prompt

On rewards of 0 and 1 these are `GRPO` (population standard deviation) times a weight that depends on the prompt alone,
shown for 1 to {SIZE - 1} correct of {SIZE}. Any two of them differ by the quotient of their rows. *varies*: more than
the number of correct answers decides.
"""
OTHERS = """The other pairs that are the same up to a weight per prompt: the first is the second times the weight.
*any*: neither has an advantage there.
"""


def index() -> str:
    """The table of all strategies, and which are the same up to a weight per prompt."""
    header = ["strategy", "pays for", "rewards", "needs", "centred", "without bias for"]
    rows = []
    for cls in strategies():
        facts = facts_of(cls.__name__)
        summary = to_markdown(read_docstring(cls)[0].rstrip(".")).replace("|", "\\|")
        rows.append([f"[{cls.__name__}]({cls.__name__}.md)", summary, *[facts.get(name, "-") for name in header[2:]]])
    picture = "![where the weight lies: total weight over the number of correct answers](overview.svg)"
    return "\n".join([INTRODUCTION, *_table(header, rows), "", picture, "", SAME, *_families()])


def facts_of(name: str) -> dict[str, str]:
    """What trying a strategy on every group shows; nothing for those made of other strategies."""
    if name not in members():
        return {}
    strategy, result = members()[name]
    correct = every_group(SIZE)
    graded = advantages_of(strategy, correct, correct + torch.linspace(0, 0.5, SIZE))
    is_graded = not torch.allclose(graded, result, atol=1e-6)
    largest = result.abs().amax(dim=1)
    fields = sorted(context_fields(strategy, SIZE) - {"problem_ids", "step", "max_steps"})
    needs = [f"`{field}`" for field in fields if is_graded or field != "correct"]
    return {
        "rewards": "graded" if is_graded else "0 or 1",
        "needs": ", ".join(needs) or "-",
        "centred": "yes" if bool((result.sum(dim=1).abs() < 1e-5 * largest + 1e-6).all()) else "no",
        "all wrong": "learns" if float(largest[0]) > 1e-7 else "no advantage",
        "all correct": "learns" if float(largest[-1]) > 1e-7 else "no advantage",
        "without bias for": _unbiased_for(strategy),
    }


def _unbiased_for(strategy: AdvantageStrategy) -> str:
    """Objective whose gradient it estimates up to a constant, by the exact mean over all groups."""
    groups = every_group(4).repeat(1, SIZE // 4)
    if not torch.equal(advantages_of(strategy, groups, step=0), advantages_of(strategy, groups, step=1)):
        return "drawn at random"
    rates = (0.05, 0.3, 0.6, 0.9)
    found = [expected_gradient(strategy, SIZE, rate) for rate in rates]
    candidates: dict[str, Any] = {"pass@1": lambda p: 1.0}
    for k in range(2, SIZE + 1):
        candidates[f"pass@{k}"] = lambda p, k=k: (1 - p) ** (k - 1)
    for order in range(2, SIZE):
        candidates[f"log p to order {order}"] = lambda p, order=order: sum((1 - p) ** j for j in range(order))
    for name, derivative in candidates.items():
        ratios = [value / derivative(rate) for value, rate in zip(found, rates, strict=True)]
        if ratios[0] > 0 and all(math.isclose(ratio, ratios[0], rel_tol=2e-5) for ratio in ratios):
            return name
    return "-"


def _families() -> list[str]:
    """Which strategies are the same up to a weight per prompt, pair by pair."""
    counts = [str(c) for c in range(1, SIZE)]
    everyone = {name: result for name, (_, result) in members().items()}
    inside = {name: weights for name in everyone if (weights := _weights(everyone[name], everyone["GRPO"])) is not None}
    rows, paired = [], set()
    outside = [name for name in everyone if name not in inside]
    for number, name in enumerate(outside):
        for other in outside[number + 1 :]:
            # The way round in which every weight exists; where both do, the later one in terms of the earlier.
            for first, second in ((other, name), (name, other)):
                weights = _weights(everyone[first], everyone[second])
                if weights is not None:
                    rows.append([f"`{first}`", f"`{second}`", *weights])
                    paired |= {first, second}
                    break
    alone = ", ".join(f"`{name}`" for name in outside if name not in paired)
    return [
        *_table(["strategy", *counts], [[f"`{name}`", *weights] for name, weights in inside.items()]),
        "",
        OTHERS,
        *_table(["strategy", "times", *counts], rows),
        "",
        f"Like no other: {alone}.",
        "",
    ]


def _weights(ours: Tensor, theirs: Tensor) -> list[str] | None:
    """The weight for each number of correct answers that makes one of the other; None if there is none."""
    weights = proportion(ours, theirs)
    if weights is None:
        return None
    num_correct = every_group(SIZE).sum(dim=1)
    shown = []
    for c in range(1, SIZE):
        of_c = weights[num_correct == c]
        if bool(of_c.isnan().any()):
            shown.append("any")
        elif float(of_c.max() - of_c.min()) > 1e-5:
            shown.append("varies")
        else:
            shown.append(f"{float(of_c[0]):.3f}")
    return shown


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
