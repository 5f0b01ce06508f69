"""pass@k as papers print it: a row a run, benchmarks and suites side by side, the best in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from lit_passk.printable import printable_line
from lit_passk.report.summary import Summary
from lit_passk.report.tables import as_markdown

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
}


def paper_table(summaries: Sequence[Summary], style: str, ks: Sequence[int] | None = None) -> str:
    """Print pass@k in percent, with the standard deviation over seeds where a run has several.

    Args:
        summaries: Of every run on every benchmark and suite; columns are in their order.
        style: ``latex`` (for the package booktabs) or ``markdown``.
        ks: Values of k; for each benchmark 1 and the largest that all runs have, by default.

    Returns:
        The table; the best number of a column is bold where there are several runs.
    """
    cells = {(summary.run, summary.benchmark): summary for summary in summaries}
    runs = list(dict.fromkeys(summary.run for summary in summaries))
    columns = {
        benchmark: _columns([summary for summary in summaries if summary.benchmark == benchmark], ks)
        for benchmark in dict.fromkeys(summary.benchmark for summary in summaries)
    }
    best = {
        (benchmark, k): max(_shown(cells[run, benchmark], k) for run in runs if (run, benchmark) in cells)
        for benchmark, own in columns.items()
        for k in own
    }
    bold, spread = ("\\textbf{%s}", " $\\pm$ %s") if style == "latex" else ("**%s**", " ± %s")

    def cell(run: str, benchmark: str, k: int) -> str:
        summary = cells.get((run, benchmark))
        if summary is None or k not in summary.pass_at_k:
            return "--" if style == "latex" else "-"
        text = f"{_shown(summary, k):.1f}"
        if len(runs) > 1 and _shown(summary, k) == best[benchmark, k]:
            text = bold % text
        deviation = summary.spread(k)
        return text if deviation is None else text + spread % f"{100 * deviation:.1f}"

    rows = {run: [cell(run, benchmark, k) for benchmark, own in columns.items() for k in own] for run in runs}
    if style == "latex":
        return _latex(columns, rows)
    header = ["run", *(f"{benchmark} pass@{k}" for benchmark, own in columns.items() for k in own)]
    return as_markdown([header, *([run, *row] for run, row in rows.items())])


def _shown(summary: Summary, k: int) -> float:
    """As it is printed: two that look alike are both the best."""
    return round(100 * summary.pass_at_k[k][0], 1) if k in summary.pass_at_k else -1.0


def _columns(summaries: Sequence[Summary], ks: Sequence[int] | None) -> list[int]:
    if ks is not None:
        return sorted(k for k in set(ks) if any(k in summary.pass_at_k for summary in summaries))
    shared = set.intersection(*(set(summary.pass_at_k) for summary in summaries))
    return sorted({min(shared), max(shared)}) if shared else []


def _latex(columns: Mapping[str, Sequence[int]], rows: Mapping[str, Sequence[str]]) -> str:
    ends = list(accumulate((len(own) for own in columns.values()), initial=1))
    spans = [
        f"\\multicolumn{{{len(own)}}}{{c}}{{{latex_text(benchmark)}}}" for benchmark, own in columns.items() if own
    ]
    rules = [f"\\cmidrule(lr){{{start + 1}-{end}}}" for start, end in pairwise(ends) if end > start]
    lines = [
        "% pass@k in percent, unbiased estimates; needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{''.join('c' * len(own) for own in columns.values())}}}",
        "\\toprule",
        f" & {' & '.join(spans)} \\\\",
        " ".join(rules),
        f" & {' & '.join(f'pass@{k}' for own in columns.values() for k in own)} \\\\",
        "\\midrule",
        *(f"{latex_text(run)} & {' & '.join(row)} \\\\" for run, row in rows.items()),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines)


def latex_text(text: str) -> str:
    r"""A text with LaTeX's own characters escaped.

    Example:
        >>> print(latex_text("math_suite 100%"))
        math\_suite 100\%

    """
    return "".join(_LATEX.get(letter, letter) for letter in printable_line(text))
