"""Figures in hand-written pages that come from the data files, so that they cannot go stale.

What stands between ``<!-- mazes: passk - pass1: pass@8 -->`` and ``<!-- / -->`` is written by ``fill``:

- ``ARM - BASELINE: METRIC``: the difference with its interval, and the number of seeds where it is not ``SEEDS``;
  where the text around it says another number, ``ARM - BASELINE: METRIC, 10 seeds``,
- ``ARM - BASELINE at equal pass@1: METRIC``: against the baseline where its pass@1 was the same,
- ``means ARM ARM: METRIC, METRIC``: a table of means,
- ``claims EXPERIMENT``: a table of what the experiment claims and what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reproduction.measurements import Measurements
from reproduction.page import NOT_YET, claims, interval, means
from reproduction.statistics import estimate

QUOTE = re.compile(r"(<!-- (?P<domain>[a-z_]+): (?P<what>[^<>]+?) -->).*?(<!-- / -->)", re.DOTALL)
DIFFERENCE = re.compile(
    r"(?P<arm>\S+) - (?P<baseline>\S+?)(?P<equal> at equal pass@1)?: (?P<metric>.+?)(, (?P<said>\d+) seeds)?"
)
MEANS = re.compile(r"means (?P<arms>[^:]+): (?P<metrics>.+)")
SEEDS = 5
"""So many that the pages need not say it each time."""

CLAIMS = re.compile(r"claims (?P<experiment>\S+)")


def fill(text: str, measured: Mapping[str, Measurements]) -> str:
    """A page with all its quotes written anew.

    Args:
        text: The page.
        measured: By the name of the domain.

    Raises:
        ValueError: If a quote names something that there is not.
    """

    def written(match: re.Match[str]) -> str:
        if match["domain"] not in measured:
            raise ValueError(f"There is no domain {match['domain']!r}; there are {', '.join(measured)}.")
        return match[1] + say(match["what"], measured[match["domain"]]) + match[4]

    return QUOTE.sub(written, text)


def say(what: str, measured: Measurements) -> str:
    """What stands in the place of one quote."""
    if match := CLAIMS.fullmatch(what):
        experiment = _one_of(measured.domain.experiments, match["experiment"], "experiment")
        return f"\n\n{claims(measured.domain.experiments[experiment], measured)}\n\n"
    if match := MEANS.fullmatch(what):
        arms = [_one_of(measured.domain.arms, arm, "training") for arm in match["arms"].split()]
        return f"\n\n{means(measured, arms, match['metrics'].split(', '))}\n\n"
    if match := DIFFERENCE.fullmatch(what):
        arm, baseline = (_one_of(measured.domain.arms, match[name], "training") for name in ("arm", "baseline"))
        compare = measured.at_equal_pass1 if match["equal"] else measured.difference
        values = compare(arm, baseline, match["metric"])
        if not len(values):
            return NOT_YET
        one, said = estimate(values), int(match["said"] or SEEDS)
        return interval(one) if one.seeds == said else f"{interval(one)} ({one.seeds} seed{'s' * (one.seeds > 1)})"
    raise ValueError(f"A quote says {what!r}, which is none of the forms that this module describes.")


def _one_of(names: Mapping[str, object], name: str, kind: str) -> str:
    if name not in names:
        raise ValueError(f"There is no {kind} {name!r}; there are {', '.join(names)}.")
    return name
