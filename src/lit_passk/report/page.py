"""One self-contained HTML page to look through the problems of any number of runs.

Nothing is fetched from a network: style, script, figure and math (KaTeX with its fonts, under ``assets/katex`` with its
licences) are inside, and a content security policy in the page forbids the rest, any script but its own two included.
Completions are model output: they are compressed JSON in the page and become text nodes, never markup.

Made for 1,000 problems of 64 completions: the list works on a small index, each problem is a blob of its own that is
unpacked when it is opened, and a completion is typeset when it scrolls into view. KaTeX in the browser was chosen over
converting to MathML here, because that would typeset every formula of every completion in advance and would look as
good as the reader's math fonts, which most Linux machines lack.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from lit_passk.functional.answers import normalize_answer
from lit_passk.report.runs import Training
from lit_passk.report.steps import History, Visit
from lit_passk.report.tables import Table
from lit_passk.results import CompletionRecord, Results
from lit_passk.results.atomic import atomic_text
from lit_passk.results.record import flatten_settings

_SCRIPTS = ("text.js", "steps.js", "list.js", "detail.js", "page.js")
_MARK = re.compile(r"@@(HASHES|TITLE|STYLE|OVERVIEW|INDEX|BLOBS|KATEX|SCRIPT)@@")


def write_page(
    path: str | PathLike[str],
    runs: Sequence[tuple[str, Results]],
    tables: Sequence[tuple[str, Table, Sequence[str]]],
    figures: Mapping[str, str],
    max_chars: int = 20_000,
    trainings: Sequence[tuple[Training, History]] = (),
) -> None:
    """Write the page.

    Args:
        path: The file to write.
        runs: Label and results of each run; a problem is one row whichever runs have it.
        tables: Heading, table and notes, for the overview.
        figures: What each shows, and its SVG.
        max_chars: Longest completion shown; of a longer one the middle is left out, and the page says so.
        trainings: Folders of rollouts and what was read there: runs whose prompts have a history by step.
    """
    problems = _problems(runs, [history for _, history in trainings])
    described = [(label, results.path.name, results.settings, results.versions) for label, results in runs]
    described += [(one.label, one.folder.path.name, one.folder.settings, one.folder.versions) for one, _ in trainings]
    labels = [label for label, *_ in described]
    title = "pass@k report: " + ", ".join(labels)
    parts: dict[str, Callable[[], str]] = {
        "HASHES": lambda: " ".join(_csp_hash(parts[name]()) for name in ("KATEX", "SCRIPT")),
        "TITLE": lambda: html.escape(title),
        "STYLE": lambda: _katex_style() + _asset("page.css"),
        "OVERVIEW": lambda: "".join(_overview(described, tables, figures)),
        "INDEX": lambda: _pack(_index(labels, problems)),
        "KATEX": lambda: _asset("katex/katex.min.js"),
        "SCRIPT": lambda: "".join(map(_asset, _SCRIPTS)),
    }
    pieces = _MARK.split(_asset("page.html"))
    with atomic_text(Path(path), errors="xmlcharrefreplace") as stream:  # halves of a character
        for text, mark in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
            stream.write(text)
            if mark == "BLOBS":
                for number, entries in enumerate(problems.values()):
                    blob = _pack([_run_blob(entry.records, max_chars) for entry in entries])
                    stream.write(f'<script type="text/plain" id="p{number}">{blob}</script>\n')
            elif mark:
                stream.write(parts[mark]())


class _Entry(NamedTuple):
    """One problem by one run: nothing at all, completions, or a history with the completions that were kept."""

    records: Sequence[CompletionRecord] = ()
    visits: Sequence[Visit] = ()
    prompt: str = ""
    reference: str = ""


def _problems(runs: Sequence[tuple[str, Results]], histories: Sequence[History]) -> dict[tuple[str, str], list[_Entry]]:
    """(benchmark, problem) to its entry by each run, in order of first appearance."""
    problems: dict[tuple[str, str], list[_Entry]] = {}
    num_runs = len(runs) + len(histories)

    def put(number: int, benchmark: str, problem_id: str, entry: _Entry) -> None:
        problems.setdefault((benchmark, problem_id), [_Entry()] * num_runs)[number] = entry

    for number, (_, results) in enumerate(runs):
        for benchmark, groups in results.groups().items():
            for problem_id, group in groups.items():
                put(number, benchmark, problem_id, _Entry(group, (), group[0].prompt, group[0].reference))
    for number, history in enumerate(histories, start=len(runs)):
        for one in history.prompts:
            put(number, one.benchmark, one.problem_id, _Entry(one.completions, one.visits, one.prompt, one.reference))
    return problems


def _index(labels: Sequence[str], problems: dict[tuple[str, str], list[_Entry]]) -> dict[str, Any]:
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in problems))
    rows = []
    for (benchmark, problem_id), entries in problems.items():
        first = next(entry for entry in entries if entry.records or entry.visits)
        rows.append(
            {
                "id": problem_id,
                "benchmark": benchmarks.index(benchmark),
                "prompt": first.prompt,
                "reference": first.reference,
                "cells": [_cell(entry) for entry in entries],
            }
        )
    return {"runs": [{"label": label} for label in labels], "benchmarks": benchmarks, "problems": rows}


def _cell(entry: _Entry) -> list[Any] | None:
    """What the list shows of one run on one problem; ``readCell`` in list.js reads it."""
    answers = len({normalize_answer(record.answer) for record in entry.records if record.answer is not None})
    if entry.visits:
        return [*_totals(entry.visits), answers, [_visit(visit) for visit in entry.visits]]
    if not entry.records:
        return None
    group = entry.records
    return [
        len(group),
        sum(record.correct for record in group if record.error is None),
        sum(record.error is not None for record in group),
        sum(record.truncated for record in group),
        round(sum(record.num_tokens for record in group) / len(group)),
        answers,
    ]


def _totals(visits: Sequence[Visit]) -> list[int]:
    total = sum(visit.num_completions for visit in visits)
    return [
        total,
        sum(visit.num_correct for visit in visits),
        total - sum(visit.num_scored for visit in visits),
        sum(visit.num_truncated for visit in visits),
        round(sum(visit.num_tokens * visit.num_completions for visit in visits) / total),
    ]


def _visit(visit: Visit) -> list[Any]:
    """One visit of a prompt; ``readVisit`` in steps.js reads it."""
    reward = None if math.isnan(visit.reward) else round(visit.reward, 4)
    return [visit.step, visit.num_correct, visit.num_scored, visit.num_completions, reward, visit.trained]


def _run_blob(group: Sequence[CompletionRecord], max_chars: int) -> dict[str, Any] | None:
    """The answers of one run to one problem, most common first, and its completions; detail.js reads it."""
    if not group:
        return None
    spellings: dict[str, list[CompletionRecord]] = {}
    for record in group:
        if record.answer is not None:
            spellings.setdefault(normalize_answer(record.answer), []).append(record)
    ranked = sorted(spellings, key=lambda spelling: -len(spellings[spelling]))
    answers = [
        [
            spellings[spelling][0].answer,
            len(spellings[spelling]),
            sum(record.correct for record in spellings[spelling] if record.error is None),
        ]
        for spelling in ranked
    ]
    place = {spelling: number for number, spelling in enumerate(ranked)}
    return {"answers": answers, "completions": [_completion(record, place, max_chars) for record in group]}


def _completion(record: CompletionRecord, place: dict[str, int], max_chars: int) -> list[Any]:
    """One completion; ``readCompletion`` in detail.js reads it."""
    text, left = _clip(record.completion, max_chars)
    return [
        record.sample,
        2 if record.error is not None else int(record.correct),
        record.truncated,
        record.num_tokens,
        None if record.mean_logprob is None else round(record.mean_logprob, 4),
        record.reward,
        -1 if record.answer is None else place[normalize_answer(record.answer)],
        record.error,
        text,
        left,
        record.parts,
        record.step,
        record.advantage,
    ]


def _clip(text: str, max_chars: int) -> tuple[str, int]:
    """Head and tail of a long text around a NUL, and how many characters were left out."""
    text = text.replace("\0", "\N{SYMBOL FOR NULL}")
    if len(text) <= max_chars:
        return text, 0
    head = max_chars // 2
    return text[:head] + "\0" + text[len(text) - (max_chars - head) :], len(text) - max_chars


def _overview(
    described: Sequence[tuple[str, str, Mapping[str, Any], Mapping[str, str]]],
    tables: Sequence[tuple[str, Table, Sequence[str]]],
    figures: Mapping[str, str],
) -> Iterator[str]:
    for heading, table, notes in tables:
        header = "".join(f"<th>{html.escape(cell)}</th>" for cell in table[0])
        rows = "".join(f"<tr>{''.join(map(_table_cell, row))}</tr>" for row in table[1:])
        lines = "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)
        yield f"<section><h2>{html.escape(heading)}</h2><table><tr>{header}</tr>{rows}</table>{lines}</section>"
    for what, svg in figures.items():
        image = base64.b64encode(svg.encode()).decode()
        yield f'<section><img alt="{html.escape(what)}" src="data:image/svg+xml;base64,{image}"></section>'
    yield "<section><h2>Runs</h2><dl>"
    for label, name, settings, versions in described:
        values = {**dict(flatten_settings(settings)), **versions}
        text = ", ".join(f"{key} {value}" for key, value in values.items())
        yield f"<dt>{html.escape(label)}</dt><dd>{html.escape(f'{name}: {text}')}</dd>"
    yield "</dl></section>"


def _table_cell(text: str) -> str:
    value, bracket, interval = text.partition(" [")
    small = f"<small>{html.escape(interval.removesuffix(']').replace(', ', ' – '))}</small>" if bracket else ""
    return f"<td>{html.escape(value)}{small}</td>"


def _pack(value: Any) -> str:
    """JSON, deflated, in base64: what ``inflate`` in page.js undoes."""
    packer = zlib.compressobj(level=3, wbits=-15)  # level 6: 7 % smaller, half as much time again
    # Half a surrogate pair, which byte-level decoding may leave behind, stays an escape.
    data = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(packer.compress(data) + packer.flush()).decode()


def _csp_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return files("lit_passk.report").joinpath("assets", *name.split("/")).read_text("utf-8")


@cache
def _katex_style() -> str:
    """KaTeX's style sheet with its fonts inside, WOFF2 only: every browser that runs the page reads that."""
    folder = files("lit_passk.report").joinpath("assets", "katex")

    def embed(match: re.Match[str]) -> str:
        font = base64.b64encode(folder.joinpath("fonts", f"{match[1]}.woff2").read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{font}) format("woff2")'

    style = folder.joinpath("katex.min.css").read_text("utf-8")
    return re.sub(r"src:url\(fonts/([\w-]+)\.woff2\)[^}]*?format\(\"truetype\"\)", embed, style)
