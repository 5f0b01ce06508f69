"""``lit-passk filter RESULT --data FILE --out FILE``: keep the rows that were neither too easy nor too hard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from lit_passk.checkpointing.files import partial_path, put_in_place
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.report.summary import scored_counts
from lit_passk.results import CompletionRecord, load_results
from lit_passk.tasks.columns import from_json
from lit_passk.tasks.files import load_records
from lit_passk.tasks.records import Record

_TELLING = 12  # characters from which on a text of a row is unlikely to be in another row's prompt by chance
_WRITTEN = (".jsonl", ".parquet")
_BAR = 40


@dataclass(frozen=True)
class Kept:
    """What becomes of the rows of a data set."""

    rows: Sequence[int]
    """Those that are kept, from 0."""
    rates: Sequence[Fraction]
    """Pass rates of all rows that have one."""
    below: int
    above: int
    unscored: int
    """Rows none of whose completions could be scored."""
    absent: int
    """Rows that the results do not have."""


def main(args: Sequence[str] | None = None) -> int:
    """Run ``lit-passk filter``.

    Args:
        args: The options; None takes the process's own.

    Returns:
        The exit status, 0.

    Raises:
        ValueError: If the files do not belong together, or nothing would be left.
    """
    parser = ArgumentParser(prog="lit-passk filter", description=__doc__)
    parser.add_argument("result", type=Path, help="result file of an evaluation on the rows (`rollout.results`)")
    parser.add_argument("--data", type=Path, required=True, help="the data set, JSON lines or Parquet; not changed")
    parser.add_argument("--out", type=Path, required=True, help="new file, in the same format")
    parser.add_argument("--min", type=float, default=0.1, help="lowest pass rate that is kept")
    parser.add_argument("--max", type=float, default=0.9, help="highest pass rate that is kept")
    parser.add_argument("--id_column", type=str | None, default=None, help="the task's; None: rows go by position")
    parser.add_argument("--benchmark", type=str | None, default=None, help="which task of the result file, of several")
    options = parser.parse_args(None if args is None else list(args))
    data, out = expanded(options.data), expanded(options.out)
    _check(options.min, options.max, data, out)
    groups = _groups(options.result, options.benchmark)
    records = load_records(str(data))
    ids = _ids(records, options.id_column)
    _check_match(ids, records, groups, options.result, data, by_position=options.id_column is None)
    kept = choose(ids, groups, options.min, options.max)
    between = f"from {options.min:g} to {options.max:g}"
    if not kept.rows:
        raise Refusal(
            f"No row of {data} has a pass rate {between} in {options.result}: {kept.below} are below, {kept.above} "
            f"above, {kept.unscored + kept.absent} have none. Nothing was written."
        )
    _write(data, kept.rows, out)
    print(f"wrote {out}: {len(kept.rows)} of {len(records)} rows, with a pass rate {between}")
    print(
        f"left out: {kept.below} below, {kept.above} above, {kept.unscored} without a completion that could be scored, "
        f"{kept.absent} that the result file does not have"
    )
    print("\n".join(histogram(kept.rates)))
    return 0


def choose(ids: Sequence[str], groups: Mapping[str, Sequence[CompletionRecord]], lowest: float, highest: float) -> Kept:
    """Choose the rows whose share of correct completions, among those that could be scored, is within the bounds.

    Args:
        ids: Of each row.
        groups: Completions of each problem.
        lowest: Lowest pass rate, itself included; its decimal digits count, so 1 of 10 is 0.1.
        highest: Highest pass rate, itself included.
    """
    counts = scored_counts(groups)
    low, high = Fraction(repr(lowest)), Fraction(repr(highest))
    rate_of = {row: Fraction(*counts[name]) for row, name in enumerate(ids) if name in counts}
    return Kept(
        rows=[row for row, rate in rate_of.items() if low <= rate <= high],
        rates=list(rate_of.values()),
        below=sum(rate < low for rate in rate_of.values()),
        above=sum(rate > high for rate in rate_of.values()),
        unscored=sum(name in groups and name not in counts for name in ids),
        absent=sum(name not in groups for name in ids),
    )


def histogram(rates: Sequence[Fraction]) -> list[str]:
    r"""How many rows have which pass rate: none, all, and tenths between.

    Example:
        >>> rates = [Fraction(0), Fraction(1, 8), Fraction(1)]
        >>> print("\n".join(line for line in histogram(rates) if "#" in line))  # exact: labels, not results
                 0       1 ########################################
        0.1 to 0.2       1 ########################################
                 1       1 ########################################

    """
    names = ["0", *(f"{tenth / 10:g} to {(tenth + 1) / 10:g}" for tenth in range(10)), "1"]
    counts = [0] * len(names)
    for rate in rates:
        counts[0 if rate == 0 else 11 if rate == 1 else 1 + int(rate * 10)] += 1
    most = max(1, *counts)
    return [
        f"{name:>10s} {count:7d} {'#' * -(-_BAR * count // most)}".rstrip()
        for name, count in zip(names, counts, strict=True)
    ]


def _check(lowest: float, highest: float, data: Path, out: Path) -> None:
    if not 0 <= lowest <= highest <= 1:
        raise Refusal(f"`--min` and `--max` need 0 <= min <= max <= 1, but got {lowest:g} and {highest:g}.")
    if not data.is_file() or not data.name.endswith(_WRITTEN):
        raise Refusal(f"`--data` must be a {' or '.join(_WRITTEN)} file, but got {str(data)!r}.")
    if out.suffix != data.suffix:
        raise Refusal(f"`--out` gets the format of `--data`: let it end in {data.suffix}, but got {str(out)!r}.")
    if out.exists():
        raise Refusal(f"`--out` {str(out)!r} exists: name a new file.")


def _groups(result: Path, benchmark: str | None) -> dict[str, list[CompletionRecord]]:
    if not expanded(result).is_file():
        raise Refusal(f"There is no result file {str(result)!r}.")
    found = load_results(result).groups()
    if benchmark is None and len(found) > 1:
        raise Refusal(f"{result} has the tasks {', '.join(found)}: say which by `--benchmark`.")
    name = next(iter(found), "") if benchmark is None else benchmark
    if name not in found:
        raise Refusal(f"{result} has no completions of {name!r}, but of {', '.join(found) or 'nothing'}.")
    return found[name]


def _ids(records: Sequence[Record], column: str | None) -> list[str]:
    """The problems' names, as the tasks give them."""
    if column is None:
        return [str(row) for row in range(len(records))]
    seen: dict[str, str] = {}
    for record in records:
        name = record.text(column, "the id")
        if name in seen:
            raise Refusal(f"{record.where} and {seen[name]} have the same id {name!r} in column {column!r}.")
        seen[name] = record.where
    return list(seen)


def _check_match(
    ids: Sequence[str],
    records: Sequence[Record],
    groups: Mapping[str, Sequence[CompletionRecord]],
    result: Path,
    data: Path,
    by_position: bool,
) -> None:
    """Refuse a data set that is not the one, or not in the order, of the evaluation.

    By a column of ids it may be a part of it.
    """
    matched = [(record, groups[name][0].prompt) for name, record in zip(ids, records, strict=True) if name in groups]
    foreign = sorted(groups.keys() - set(ids))
    if not matched or (foreign and by_position):
        raise Refusal(
            f"{result} has problems that are no rows of {data}: {len(foreign)} of {len(groups)}, such as "
            f"{foreign[0]!r}, while the rows are {ids[0]!r} to {ids[-1]!r}. Name the task's own `--id_column`, or the "
            "file that it read."
        )
    strange = [record for record, prompt in matched if not _is_of(prompt, record)]
    if 2 * len(strange) > len(matched):
        raise Refusal(
            f"{data} is not what {result} was sampled from: of {len(matched)} rows with completions, {len(strange)} "
            f"have no text that their prompt there holds, the first at {strange[0].where}. Name the file that the task "
            "read."
        )


def _is_of(prompt: str, record: Record) -> bool:
    """Whether a prompt holds a text of the row; rows of short texts only cannot be told."""
    texts = [" ".join(text.split()) for text in _texts(record.fields)]
    telling = [text for text in texts if len(text) >= _TELLING]
    whole = " ".join(prompt.split())
    return not telling or any(text in whole for text in telling)


def _texts(value: Any) -> Iterator[str]:
    value = from_json(value) if isinstance(value, str) else value
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _write(data: Path, rows: Sequence[int], out: Path) -> None:
    """Write some rows of a file: all of them or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(out)
    try:
        if data.suffix == ".parquet":
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.parquet.read_table(data).take(list(rows)), partial)
        else:
            wanted = set(rows)
            with data.open("rb") as lines, partial.open("wb") as stream:
                stream.writelines(line for number, line in enumerate(lines) if number in wanted)
        put_in_place(partial, out)
    finally:
        partial.unlink(missing_ok=True)
