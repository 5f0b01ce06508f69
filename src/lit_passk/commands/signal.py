"""``lit-passk signal RESULT...``: what scored completions say about k, group size and sampling budget."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.report.signal import Signal, Suggestion, candidates_table, measure, rates_table, suggest
from lit_passk.report.signal_plot import plot_signals
from lit_passk.report.tables import as_text
from lit_passk.results import load_results


def main(args: Sequence[str] | None = None) -> int:
    """Run ``lit-passk signal``.

    Args:
        args: The arguments after ``signal``; None takes the process's own.

    Returns:
        The exit status, 0.

    Raises:
        ValueError: If a file is no result file, or no completion could be scored.
    """
    options = _parser().parse_args(args)
    picture = options.picture or beside(options.results[0])
    if not picture.parent.is_dir() or picture.suffix not in (".png", ".svg", ".pdf"):
        raise Refusal(f"--picture needs a .png, .svg or .pdf file in a folder that exists, but is {str(picture)!r}.")
    found = []
    for signal, unscored in measures(options.results, options.k, options.group_size):
        suggestion = suggest(signal, options.groups)
        print("\n" + "\n".join(describe(signal, unscored, suggestion)))
        found.append((signal, suggestion))
    plot_signals(found).savefig(picture)
    print(f"\nwrote {picture}")
    return 0


def measures(paths: Sequence[Path], ks: Sequence[int], group_sizes: Sequence[int]) -> list[tuple[Signal, int]]:
    """The measure of each benchmark of some files, with the number of its problems that have no scored completion.

    A problem of two files counts twice: its completions may come from different weights.
    """
    groups: dict[str, list[tuple[int, int]]] = {}
    for path in paths:
        for name, problems in load_results(path).groups().items():
            for records in problems.values():
                correct = [record.correct for record in records if record.error is None]
                groups.setdefault(name, []).append((sum(correct), len(correct)))
    if not groups:
        raise Refusal(f"{paths[0]}: holds no completions.")
    found = []
    for name, counts in groups.items():
        num_correct, num_samples = torch.tensor(counts).unbind(dim=1)  # (P,)
        scored = num_samples > 0  # (P,)
        signal = measure(name, num_correct[scored], num_samples[scored], ks, group_sizes)
        found.append((signal, int((~scored).sum())))
    return found


def describe(signal: Signal, unscored: int, suggestion: Suggestion | None) -> list[str]:
    """The lines of the terminal."""
    correct, samples = signal.num_correct, signal.num_samples
    fewest, most = int(samples.min()), int(samples.max())
    lines = [
        f"{signal.name}: {len(samples)} problems with {fewest if fewest == most else f'{fewest} to {most}'} scored "
        f"completions, {float(correct.double().mean()):.2f} of them correct on average; never solved "
        f"{_percent(correct == 0)}, always {_percent(correct == samples)}."
        + (f" {unscored} problems without a scored completion are left out." if unscored else ""),
        "",
        as_text(rates_table(signal)),
        "",
        "Share of the problems, in percent. Posterior: of each problem Beta(correct + a, wrong + b), where the prior "
        f"Beta({signal.prior.a:.3g}, {signal.prior.b:.3g}) is fitted to all of them.",
        "",
        as_text(candidates_table(signal)),
        "",
        "Advantages of PassKAnalytic(k); k = 1 is Pass@1 training (GRPO). Exact over all groups of G completions in "
        "the file; *: some problems have fewer, and their groups are drawn from the posterior.",
        "",
    ]
    if suggestion is None:
        return [*lines, f"No suggestion: {_no_signal(correct, samples)}"]
    candidate = suggestion.candidate
    return [
        *lines,
        f"Suggested: k = {candidate.k}, group_size = {candidate.group_size}, {suggestion.num_prompts} prompts a step. "
        "A rule of thumb, not a result:",
        *(f"- {reason}" for reason in suggestion.reasons),
    ]


def _no_signal(correct: Tensor, samples: Tensor) -> str:
    if not correct.any():
        return "no completion is correct. Sample more of each problem, or start from a policy that solves some."
    if (correct == samples).all():
        return "every completion is correct: these problems have nothing left to teach."
    return "no group would have an advantage. Start from a policy that solves some."


def _percent(mask: Tensor) -> str:
    return f"{100 * float(mask.double().mean()):.1f} %"


def beside(result: Path) -> Path:
    """The picture of a result file: its name with ``.signal.png``."""
    return result.parent / (result.name.removesuffix(".gz").removesuffix(".jsonl") + ".signal.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lit-passk signal", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="result files (JSONL), taken together")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="candidates; default 1 2 4 8 16")
    sizes = [8, 16, 32, 64]
    parser.add_argument("--group-size", type=int, nargs="+", default=sizes, help="candidates; default 8 16 32 64")
    parser.add_argument("--groups", type=int, default=128, help="groups with an advantage wanted a step; default 128")
    parser.add_argument("--picture", type=Path, help="where to draw to (.png, .svg, .pdf); beside RESULT by default")
    return parser
