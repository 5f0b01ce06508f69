"""Write docs/read_the_logs.md out of what stands beside the code that logs: the ``LOGGED`` of each module.

python scripts/make_log_page.py            # writes it
python scripts/make_log_page.py --check    # says whether it is out of date
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from lit_passk.logged import Logged

PAGE = Path(__file__).parents[1] / "docs" / "read_the_logs.md"
INTRODUCTION = """# Read the logs

Written by `python scripts/make_log_page.py` from what stands beside the code that logs. A test trains and validates
with all options on, and compares the names that were logged with those on this page.

Numbers stand at their RL step, whatever the logger ([loggers, tables and curves](logs.md)). What differs from run to
run is in angle brackets: `<task>`, `<k>`, `<part>`. `lit-passk test` logs under `test/` what `lit-passk validate` logs
under `val/`. A loss of your own logs its metrics under `train/loss/`. Lightning adds `epoch`.

"Healthy" is a rule of thumb, not a law. **The first five to look at**: `train/with_advantage` (does the step teach at
all?), `train/entropy` (is there exploration left?), `train/truncated` (are answers cut off?), `train/grad_norm` (are
the updates of a sane size?) and `val/pass@<k>` (does it help?).
"""
SECTIONS = {
    "Every RL step": ["modules.step_metrics"],
    "What the groups teach": ["modules.signal"],
    "Parts of the reward": ["modules.part_metrics"],
    "The loss": [
        *("modules.objective", "losses.base", "losses.clipped", "losses.sapo", "losses.clip_cov", "losses.kl_cov"),
        "losses.simko",
    ],
    "Engine and policy": ["losses.correction", "rollout.parity", "rollout.one_step_off_policy"],
    "Time, and what sampling cost": ["rollout.source", "rollout.dynamic_sampling"],
    "Samplers of prompts": ["data.drawing", "data.samplers.difficulty_pools"],
    "Validation": [
        *("metrics.pass_at_k", "modules.validation", "metrics.answers", "metrics.max_at_k", "metrics.reliability"),
        "metrics.completions",
    ],
    "Cold start": ["modules.sft"],
}
"""Heading of each part of the page, and the modules whose numbers it has."""


def logged() -> dict[str, list[Logged]]:
    """Everything that is described, by heading."""
    return {
        heading: [number for name in names for number in import_module(f"lit_passk.{name}").LOGGED]
        for heading, names in SECTIONS.items()
    }


def page() -> str:
    """The page as Markdown."""
    text = [INTRODUCTION]
    for heading, numbers in logged().items():
        text += [f"## {heading}\n", *map(entry, numbers)]
    return "\n".join(text)


def entry(number: Logged) -> str:
    """One number, or a few that are read together."""
    keys = ", ".join(f"`{key}`" for key in number.keys.split())
    advice = {"Healthy": number.healthy, "If not": number.otherwise}
    lines = [f"- *{name}:* {text}" for name, text in advice.items() if text]
    return "\n".join([f"### {keys}", "", number.means, *([""] if lines else []), *lines, ""])


def main() -> None:
    """Write the page, or with ``--check`` exit with 1 where it differs."""
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        sys.exit(0 if current else f"{PAGE.name} is out of date; run python scripts/make_log_page.py")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
