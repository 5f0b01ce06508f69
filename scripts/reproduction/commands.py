"""What the scripts that reproduce a domain's findings do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from reproduction import page, pictures
from reproduction.domain import Domain, Experiment
from reproduction.domains import DOMAINS
from reproduction.jobs import ROOT, OutOfTime, Settings, run
from reproduction.measurements import Measurements
from reproduction.quotes import fill

FOLDER = ROOT / "docs/reproduction"
QUOTING = [ROOT / "README.md", ROOT / "docs/reproduction.md", ROOT / "docs/choosing_k.md"]
"""Pages that quote the data."""


def main(domain: Domain, description: str | None) -> None:
    """Run what is missing, then write the pages."""
    args = options(domain, description)
    if args.list:
        for name, experiment in domain.experiments.items():
            what = f"{len(experiment.arms)} trainings a seed, {experiment.seeds} seeds"
            print(f"{name:12s} {what}: {experiment.question}")
        return
    settings = Settings(domain, args.runs, args.out / f"{domain.name}.jsonl", args.steps)
    left = False
    if not args.report:
        try:
            run(settings, trainings(domain, args.experiments, args.first_seed, args.seeds), args.minutes, args.workers)
        except OutOfTime:
            left = True
    write(settings, args.out)
    if left:
        print("Out of time, and not all is measured. The same command goes on.")


def options(domain: Domain, description: str | None) -> argparse.Namespace:
    """Options of every such script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", help="which ones; all by default")
    parser.add_argument("--seeds", type=int, help="how many; by default each experiment's own number (--list)")
    parser.add_argument("--first-seed", type=int, default=domain.first_seed, help="to try seeds that the page has not")
    parser.add_argument("--minutes", type=float, default=30.0, help="end after these; the same command goes on")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, each of one thread")
    parser.add_argument("--steps", type=int, default=domain.steps, help="RL steps of a training; few to see it run")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/reproduction" / domain.name, help="working folder")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for data, page and pictures")
    parser.add_argument("--list", action="store_true", help="print the experiments and stop")
    parser.add_argument("--report", action="store_true", help="train nothing, write the pages from the data")
    args = parser.parse_args()
    if unknown := [name for name in args.experiments if name not in domain.experiments]:
        parser.error(f"there is no experiment {unknown[0]!r}; there are {', '.join(domain.experiments)}")
    if args.steps < 1 or args.steps % domain.num_parts:
        parser.error(f"--steps must be a multiple of {domain.num_parts}: a checkpoint follows each part of a training")
    args.runs, args.out = args.runs.resolve(), args.out.resolve()
    return args


def trainings(domain: Domain, names: Sequence[str], first_seed: int, seeds: int | None) -> list[tuple[str, int]]:
    """Pairs of arm and seed, seed by seed; an arm of several experiments has the seeds of the one with the most."""
    chosen: list[Experiment] = [domain.experiments[name] for name in names or domain.experiments]
    wanted: dict[str, int] = {}
    for experiment in chosen:
        for arm in experiment.arms:
            wanted[arm] = max(wanted.get(arm, 0), seeds or experiment.seeds)
    return [(arm, first_seed + i) for i in range(max(wanted.values())) for arm, number in wanted.items() if i < number]


def write(settings: Settings, out: Path) -> None:
    """Write the domain's page and pictures; in the documentation all domains' pages and those that quote the data."""
    domain, measured = settings.domain, Measurements(settings)
    out.mkdir(parents=True, exist_ok=True)
    for name, experiment in domain.experiments.items():
        pictures.forest(experiment, measured, out / picture(domain, name))
        if is_path(experiment):
            pictures.paths(measured, experiment.arms, out / picture(domain, name, "_paths"))
    (out / f"{domain.name}.md").write_text(text_of(measured))
    print(f"{len(measured.rows)} measurements; the page is {out / f'{domain.name}.md'}")
    if out == FOLDER:
        settings_of = {name: Settings(one, ROOT, FOLDER / f"{name}.jsonl", one.steps) for name, one in DOMAINS.items()}
        data = {name: Measurements(one) for name, one in settings_of.items()}
        for name, one in data.items():
            (FOLDER / f"{name}.md").write_text(text_of(one))
        for file in QUOTING:
            file.write_text(fill(file.read_text(), data))


def text_of(measured: Measurements) -> str:
    """The domain's page."""
    domain = measured.domain
    text = [f"# {domain.title}", "", domain.introduction, "", page.METHOD]
    for name, experiment in domain.experiments.items():
        text.append(page.section(experiment, measured))
        if any(measured.seeds(arm, experiment.baseline) for arm in experiment.arms if arm != experiment.baseline):
            text.append(f"![{experiment.title}]({picture(domain, name)})\n")
            if is_path(experiment):
                text.append(f"![{experiment.title}, the way there]({picture(domain, name, '_paths')})\n")
    return "\n".join(text)


def picture(domain: Domain, experiment: str, kind: str = "") -> str:
    """The name of a picture."""
    return f"{domain.name}_{experiment}{kind}.png"


def is_path(experiment: Experiment) -> bool:
    """Whether it is about the way of a training, not its end alone."""
    return any(claim.at_equal_pass1 for claim in experiment.claims)
