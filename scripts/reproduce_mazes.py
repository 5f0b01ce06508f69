"""The paper's findings on 5x5 mazes with several seeds: which of them hold where anyone can check.

    python scripts/reproduce_mazes.py --list
    python scripts/reproduce_mazes.py explores switching --seeds 5 --minutes 30   # goes on where it stopped
    python scripts/reproduce_mazes.py --report                                    # tables and pictures from the data

A training takes about a minute and a half of one core. What was measured is in docs/reproduction/mazes.jsonl, one line
a measurement, and is not measured again; the page is docs/reproduction/mazes.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reproduction import page
from reproduction.arms import ARMS, EXPERIMENTS
from reproduction.jobs import ROOT, Settings, key, read, run
from reproduction.statistics import over_seeds

FOLDER = ROOT / "docs/reproduction"


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help="which ones; all by default")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="others than the page has: does it survive them?")
    parser.add_argument("--minutes", type=float, default=30.0, help="start no training after these")
    parser.add_argument("--steps", type=int, default=300, help="RL steps of a training; 3 to see whether it runs")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs/reproduction", help="folder for what is made on the way"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for data, page and pictures")
    parser.add_argument("--list", action="store_true", help="print the experiments and stop")
    parser.add_argument("--report", action="store_true", help="train nothing, write the page")
    args = parser.parse_args()
    if args.list:
        for name, experiment in EXPERIMENTS.items():
            print(f"{name:12s} {len(experiment.arms):2d} trainings a seed: {experiment.question}")
        return
    if unknown := [name for name in args.experiments if name not in EXPERIMENTS]:
        parser.error(f"there is no experiment {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    chosen = args.experiments or list(EXPERIMENTS)
    settings = Settings(args.runs, args.out / "mazes.jsonl", args.steps)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    if not args.report:
        arms = list(dict.fromkeys(arm for name in chosen for arm in EXPERIMENTS[name].arms))
        run(settings, arms, seeds, args.minutes)
    write(settings, args.out, seeds)


def write(settings: Settings, out: Path, seeds: range) -> None:
    """Write mazes.md and a picture for each experiment."""
    runs = {
        (row["arm"], row["seed"], row["step"]): row
        for row in read(settings.data)
        if row["arm"] in ARMS and row["key"] == key(row["arm"], settings)
    }
    out.mkdir(parents=True, exist_ok=True)
    text = ["# The paper's findings on small mazes", "", INTRODUCTION]
    for name, experiment in EXPERIMENTS.items():
        text.append(page.section(experiment, runs, seeds, settings.steps))
        if any((experiment.baseline, seed, settings.steps) in runs for seed in seeds):
            page.picture(experiment, runs, seeds, settings.steps, out / f"{name}.png")
            text.append(f"![{experiment.title}]({name}.png)\n")
        if name == "explores":
            text.append(equal_pass1(runs, seeds, settings.steps))
    (out / "mazes.md").write_text("\n".join(text))
    print(f"{len(runs)} measurements; the page is {out / 'mazes.md'}")


def equal_pass1(runs: page.Runs, seeds: range, last: int) -> str:
    """The comparison at equal pass@1."""
    if not all((arm, seed, last) in runs for arm in ("pass1", "passk") for seed in seeds):
        return ""
    lines = [
        "Against Pass@1 training at the step where its pass@1 was the same (between measurements a straight line):",
        "",
    ]
    for k in (8, 64):
        found = page.at_equal_pass1(runs, seeds, "passk", "pass1", k, last)
        if not found:
            lines.append(f"- pass@{k}: Pass@1 training never had that pass@1.")
            continue
        e = over_seeds(found)
        lines.append(f"- pass@{k}: {e.mean:+.3f} [{e.low:+.3f}, {e.high:+.3f}], p = {e.p:.3g}, {e.seeds} seeds")
    return "\n".join([*lines, ""])


INTRODUCTION = """A GPT-2 of 80,000 parameters imitates depth-first paths through 5x5 mazes (400 steps), then trains for
300 RL steps of 512 completions (`configs/maze_cpu.yaml`); a seed is a cold start and its trainings. Every training is
judged on the same 512 mazes that neither training nor any choice of settings has seen, 64 samples each. All settings
were fixed before these runs (`scripts/reproduction/arms.py`), none was chosen after looking; experiments that show
nothing stay. Intervals and p-values are over seeds; five seeds find differences of about one and a quarter standard
deviations between seeds. `different` is the number of different answers among a maze's 64.
"""


if __name__ == "__main__":
    main()
