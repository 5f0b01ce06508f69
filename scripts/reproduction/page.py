"""The tables and pictures of an experiment, from the data file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reproduction.arms import ARMS, Experiment
from reproduction.statistics import Estimate, at_equal, holm, mean_pass_at_k, over_seeds

Row = Mapping[str, object]
Runs = dict[tuple[str, int, int], dict]
"""Measurements by arm, seed and step."""


def scores(row: dict, ks: Sequence[int]) -> dict[str, float]:
    """What one measurement says."""
    found = {f"pass@{k}": mean_pass_at_k(row["correct"], row["samples"], k) for k in ks}
    found |= {"entropy": row["entropy"], "different": row["different"]}
    for size in sorted(set(row.get("sizes", []))):
        correct = [c for c, own in zip(row["correct"], row["sizes"], strict=True) if own == size]
        found |= {f"{size}x{size}, @{k}": mean_pass_at_k(correct, row["samples"], k) for k in ks}
    return found


def section(experiment: Experiment, runs: Runs, seeds: Sequence[int], last: int) -> str:
    """The section of one experiment, as Markdown; an arm that lacks a seed is left out and named."""
    complete = [arm for arm in experiment.arms if all((arm, seed, last) in runs for seed in seeds)]
    lines = [f"## {experiment.title}", "", experiment.question, ""]
    if experiment.baseline not in complete:
        return "\n".join([*lines, "Not measured yet.", ""])
    measured = {arm: [scores(runs[arm, seed, last], experiment.ks) for seed in seeds] for arm in complete}
    names = list(measured[experiment.baseline][0])
    lines += [f"Mean over {len(seeds)} seed(s) (cold start and training), 512 unseen mazes, 64 samples each:", ""]
    lines += ["| training | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for arm in complete:
        cells = [f"{over_seeds([one[name] for one in measured[arm]]).mean:.3f}" for name in names]
        lines.append(f"| {ARMS[arm].label} | " + " | ".join(cells) + " |")
    lines += ["", *differences(experiment, measured, names), ""]
    lines += [f"{note}\n" for note in experiment.notes]
    if left_out := [ARMS[arm].label for arm in experiment.arms if arm not in complete]:
        lines.append(f"Not measured yet: {', '.join(left_out)}.\n")
    return "\n".join(lines)


def differences(experiment: Experiment, measured: dict[str, list[dict[str, float]]], names: Sequence[str]) -> list[str]:
    """The table of paired differences to the baseline: mean, 95 % interval over seeds, p-value, corrected p-value."""
    base = measured[experiment.baseline]
    pairs = {
        (arm, name): over_seeds([one[name] - other[name] for one, other in zip(ones, base, strict=True)])
        for arm, ones in measured.items()
        if arm != experiment.baseline
        for name in names
    }
    if not pairs:
        return []
    corrected = dict(zip(pairs, holm([estimate.p for estimate in pairs.values()]), strict=True))
    lines = [
        f"Minus {ARMS[experiment.baseline].label}, paired by seed: mean [95 % interval over seeds], p of a t test and, "
        f"in brackets, p corrected for the {len(pairs)} comparisons of this table (Holm):",
        "",
        "| training | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for arm in dict.fromkeys(arm for arm, _ in pairs):
        cells = [shown(pairs[arm, name], corrected[arm, name]) for name in names]
        lines.append(f"| {ARMS[arm].label} | " + " | ".join(cells) + " |")
    return lines


def shown(estimate: Estimate, corrected: float) -> str:
    """One cell of a table of differences; of one seed the difference alone."""
    if estimate.seeds < 2:
        return f"{estimate.mean:+.3f}"
    interval = f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    return f"{interval} p = {estimate.p:.3g} ({corrected:.3g})"


def at_equal_pass1(runs: Runs, seeds: Sequence[int], arm: str, baseline: str, k: int, last: int) -> list[float]:
    """pass@k of an arm minus that of the baseline where it had the same pass@1, for each seed where it ever had it.

    The baseline's training is a line through its measurements; between two of them it is taken as straight.
    """
    found = []
    for seed in seeds:
        steps = sorted(step for name, other, step in runs if (name, other) == (baseline, seed))
        path = [(s["pass@1"], s[f"pass@{k}"]) for s in (scores(runs[baseline, seed, step], (1, k)) for step in steps)]
        mine = scores(runs[arm, seed, last], (1, k))
        if (other := at_equal(path, mine["pass@1"])) is not None:
            found.append(mine[f"pass@{k}"] - other)
    return found


def picture(experiment: Experiment, runs: Runs, seeds: Sequence[int], last: int, file: Path) -> None:
    """pass@k of every arm over k, relative to the baseline, with the 95 % interval over seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ks = (1, 2, 4, 8, 16, 32, 64)
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for arm in experiment.arms:
        if arm == experiment.baseline or not all(
            (name, seed, last) in runs for seed in seeds for name in (arm, experiment.baseline)
        ):
            continue
        estimates = [
            over_seeds(
                [value(runs, arm, seed, last, k) - value(runs, experiment.baseline, seed, last, k) for seed in seeds]
            )
            for k in ks
        ]
        axes.plot(range(len(ks)), [e.mean for e in estimates], marker="o", markersize=3, label=ARMS[arm].label)
        axes.fill_between(range(len(ks)), [e.low for e in estimates], [e.high for e in estimates], alpha=0.15)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(ks)), [str(k) for k in ks])
    axes.set(xlabel="k", ylabel=f"pass@k minus that of {ARMS[experiment.baseline].label}", title=experiment.title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    figure.savefig(file)
    plt.close(figure)


def value(runs: Runs, arm: str, seed: int, step: int, k: int) -> float:
    """pass@k of one measurement."""
    row = runs[arm, seed, step]
    return mean_pass_at_k(row["correct"], row["samples"], k)
