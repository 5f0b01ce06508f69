"""The tables of an experiment, from the data file, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reproduction.domain import Claim, Experiment
from reproduction.measurements import Measurements
from reproduction.statistics import Estimate, estimate, holm

NOT_YET = "not measured yet"
FEWEST = 3
"""Seeds that a verdict needs."""
METHOD = f"""Differences are paired by seed and by problem. Intervals and p-values are for new seeds *and* new problems:
the variance of a mean difference is that of a model with crossed random effects of seeds and problems, with
Satterthwaite's degrees of freedom (`scripts/reproduction/statistics.py`). Of entropy and of the number of `different`
answers among a problem's samples, which are one number a training, it is Student's t over seeds. A claim *holds* where
p, corrected for the number of claims in its table (Holm), is below .05 and the difference on the claimed side of its
bound (0 unless one is given); it *does not hold* where the difference is as surely on the other side; else nothing is
decided, nor by fewer than {FEWEST} seeds.
"""


def section(experiment: Experiment, measured: Measurements) -> str:
    """The section of one experiment; trainings that were not measured are left out and named."""
    there = [arm for arm in experiment.arms if measured.seeds(arm)]
    lines = [f"## {experiment.title}", "", experiment.question, ""]
    if experiment.baseline not in there:
        return "\n".join([*lines, f"{NOT_YET.capitalize()}.", ""])
    metrics = [metric for metric in experiment.metrics if known(measured, there, metric)]
    lines += ["Means over seeds and problems:", "", means(measured, there, metrics), ""]
    lines += [*differences(experiment, measured, there, metrics), ""]
    lines += [claims(experiment, measured), ""] if experiment.claims else []
    lines += [f"{note}\n" for note in experiment.notes]
    if left_out := [measured.domain.arms[arm].label for arm in experiment.arms if arm not in there]:
        lines.append(f"{NOT_YET.capitalize()}: {', '.join(left_out)}.\n")
    return "\n".join(lines)


def known(measured: Measurements, arms: Sequence[str], metric: str) -> bool:
    """Whether any of these trainings has this quantity."""
    return any(not measured.values(arm, metric, measured.seeds(arm)).isnan().all() for arm in arms)


def means(measured: Measurements, arms: Sequence[str], metrics: Sequence[str]) -> str:
    """The table of means, each over all of its training's seeds."""
    rows = []
    for arm in arms:
        seeds = measured.seeds(arm)
        cells = [
            mean_cell(float(measured.values(arm, metric, seeds).mean())) if seeds else NOT_YET for metric in metrics
        ]
        rows.append([measured.domain.arms[arm].label, str(len(seeds)), *cells])
    return table(["training", "seeds", *metrics], rows)


def differences(
    experiment: Experiment, measured: Measurements, arms: Sequence[str], metrics: Sequence[str]
) -> list[str]:
    """The table of differences to the baseline, over the seeds that both have."""
    found: dict[tuple[str, str], Estimate] = {}
    for arm in arms:
        for metric in metrics:
            values = measured.difference(arm, experiment.baseline, metric)
            if arm != experiment.baseline and len(values) and not values.isnan().any():
                found[arm, metric] = estimate(values)
    if not found:
        return []
    tested = {pair: one for pair, one in found.items() if not math.isnan(one.p)}
    corrected = dict(zip(tested, holm([one.p for one in tested.values()]), strict=True))
    rows = []
    for arm in dict.fromkeys(arm for arm, _ in found):
        cells = [difference_cell(found.get((arm, metric)), corrected.get((arm, metric))) for metric in metrics]
        seeds = len(measured.seeds(arm, experiment.baseline))
        rows.append([measured.domain.arms[arm].label, str(seeds), *cells])
    said = "one seed, so no interval"
    if tested:
        said = f"mean [95 % interval] and p, corrected for the {len(tested)} comparisons of this table (Holm)"
    return [
        f"Minus {measured.domain.arms[experiment.baseline].label}: {said}:",
        "",
        table(["training", "seeds", *metrics], rows),
    ]


def claims(experiment: Experiment, measured: Measurements) -> str:
    """The table of an experiment's claims with what became of them; p is corrected for their number (Holm)."""
    values = {claim: measured.tested(claim) for claim in experiment.claims}
    found = {claim: estimate(v, claim.above) for claim, v in values.items() if len(v)}
    tested = [claim for claim, one in found.items() if not math.isnan(one.p)]
    corrected = dict(zip(tested, holm([found[claim].p for claim in tested]), strict=True))
    rows = []
    for claim in experiment.claims:
        one, p = found.get(claim), corrected.get(claim)
        said = [NOT_YET, "", "", ""]
        if one is not None:
            said = [interval(one), str(one.seeds), p_value(p), f"**{verdict(claim, one, p)}**"]
        bound = f" > {claim.above:+.2f}" if claim.above else ""
        rows.append([claim.says, f"{claim.metric}{bound}", *said])
    return table(["claim", "of", "difference [95 %]", "seeds", "p", "here"], rows)


def verdict(claim: Claim, one: Estimate, corrected: float | None) -> str:
    """What the data says of a claim."""
    if corrected is None or one.seeds < FEWEST:
        return "too few seeds"
    if corrected >= 0.05:
        return "not decided"
    return "holds" if one.mean > claim.above else "does not hold"


def mean_cell(mean: float) -> str:
    """A mean in a table."""
    return "" if math.isnan(mean) else f"{mean:.0f}" if mean >= 100 else f"{mean:.3f}"


def difference_cell(one: Estimate | None, corrected: float | None) -> str:
    """One cell of a table of differences; of one seed the difference alone."""
    if one is None:
        return ""
    return interval(one) if corrected is None else f"{interval(one)} p = {p_value(corrected)}"


def interval(one: Estimate) -> str:
    """A difference with its interval."""
    digits = 0 if abs(one.mean) >= 20 else 3
    mean = f"{one.mean:+.{digits}f}"
    return mean if math.isnan(one.low) else f"{mean} [{one.low:+.{digits}f}, {one.high:+.{digits}f}]"


def p_value(p: float | None) -> str:
    """A p-value with two digits; of one seed there is none."""
    return "" if p is None else "< .0001" if p < 1e-4 else f"{p:.2g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
