"""The files of a report: numbers, figures, a Markdown page and one for the browser."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from lit_passk.report.contents import Contents
from lit_passk.report.page import write_page
from lit_passk.report.plot import plot_benchmarks, plot_steps
from lit_passk.report.step_tables import step_panels, steps_csv
from lit_passk.report.summary import Summary
from lit_passk.report.tables import as_csv, as_markdown, markdown_code, markdown_text
from lit_passk.results.atomic import atomic_text, writing
from lit_passk.results.record import flatten_settings

KEPT = "One that was there is as it was: make room, or name another `--out`."


def write_files(out: Path, contents: Contents, others: dict[str, str], max_chars: int) -> list[Path]:
    """Write a report into a folder, each file whole or not at all.

    Args:
        out: The folder; made where it is missing.
        contents: What to tell.
        others: Names and texts of further files.
        max_chars: Longest completion shown whole in the page.

    Returns:
        The files.

    Raises:
        OSError: If one cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = _numbers(contents) | others
    figures = _figures(contents)
    for name, text in texts.items():
        _write(out / name, text)
    for name, (_, figure) in figures.items():
        figure.savefig(out / name)
    _write(out / "report.md", _markdown(contents, list(figures)))
    files = [pair for run in contents.evaluations for pair in run.files()]
    svgs = {what: _svg(figure) for what, figure in figures.values()}
    with writing(out / "report.html", KEPT):
        write_page(out / "report.html", files, contents.sections, svgs, max_chars, contents.trainings)
    return [out / name for name in (*texts, *figures, "report.md", "report.html")]


def _numbers(contents: Contents) -> dict[str, str]:
    texts = {}
    if contents.summaries:
        texts["report.csv"] = as_csv(contents.summaries)
    if contents.trainings:
        texts["steps.csv"] = steps_csv(contents.histories, contents.ks, contents.confidence)
    return texts


def _write(path: Path, text: str) -> None:
    with writing(path, KEPT), atomic_text(path, errors="backslashreplace") as stream:
        stream.write(text)


def _figures(contents: Contents) -> dict[str, tuple[str, Figure]]:
    """Of each file what it shows, and the figure."""
    drawn: dict[str, tuple[str, Figure]] = {}
    if contents.summaries:
        drawn["report.png"] = "pass@k curves", plot_benchmarks(_curves(contents.summaries))
    if contents.trainings:
        panels = step_panels(contents.histories, contents.ks, contents.confidence)
        drawn["steps.png"] = "reward and pass@k by RL step", plot_steps(panels)
    return drawn


def _curves(summaries: Sequence[Summary]) -> dict[str, dict]:
    curves: dict[str, dict] = {}
    for summary in summaries:
        curves.setdefault(summary.benchmark, {})[summary.run] = summary.pass_at_k
    return curves


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _markdown(contents: Contents, figures: Sequence[str]) -> str:
    files = [pair for run in contents.evaluations for pair in run.files()]
    described = [(label, results.path, results.settings, results.versions) for label, results in files]
    folders = [(one.label, one.folder) for one, _ in contents.trainings]
    described += [(label, folder.path, folder.settings, folder.versions) for label, folder in folders]
    parts = ["# pass@k report", *(f"![{name}]({name})" for name in figures)]
    for heading, table, lines in contents.sections:
        parts += [f"## {markdown_text(heading)}", as_markdown(table), *map(markdown_text, lines)]
    parts.append("## Runs")
    for label, path, settings, versions in described:
        values = {**dict(flatten_settings(settings)), **versions}
        shown = ", ".join(f"{markdown_text(name)} {markdown_code(str(value))}" for name, value in values.items())
        parts.append(f"- **{markdown_text(label)}** ({markdown_code(str(path))}): {shown}")
    return "\n\n".join(parts) + "\n"
