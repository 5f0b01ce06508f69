"""``lit-passk benchmarks``: the benchmarks that come with a configuration, what each needs, and how to run it.

Everything in the list is read from the configurations, but the licences of the data sets, which stand here. The network
is not asked.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import constants

from lit_passk.commands import configurations
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded

LICENCES = {  # as the data set's card or repository states it; "not stated" where it has none
    "BytedTsinghua-SIA/Enigmata-Eval": "Apache-2.0 (its repository)",
    "HuggingFaceH4/MATH-500": "not stated; MATH itself is MIT",
    "HuggingFaceH4/aime_2024": "not stated",
    "Hothan/OlympiadBench": "Apache-2.0",
    "Idavidrein/gpqa": "CC BY 4.0, gated: access is asked for on the hub",
    "Jiayi-Pan/Countdown-Tasks-3to4": "not stated",
    "MathArena/brumo_2025": "CC BY-NC-SA 4.0",
    "MathArena/hmmt_feb_2025": "CC BY-NC-SA 4.0",
    "RUC-AIBOX/OlymMATH": "MIT",
    "TIGER-Lab/MMLU-Pro": "MIT",
    "allenai/ai2_arc": "CC BY-SA 4.0",
    "codeparrot/apps": "MIT",
    "data/KOR-Bench": "Apache-2.0",
    "dataartist/arc-agi": "not stated; ARC-AGI itself is Apache-2.0",
    "deepmind/code_contests": "CC BY 4.0",
    "google-research-datasets/mbpp": "CC BY 4.0",
    "lighteval/code_generation_lite": "CC, which one is not stated",
    "math-ai/amc23": "not stated",
    "math-ai/minervamath": "not stated",
    "openai/gsm8k": "MIT",
    "openai/openai_humaneval": "MIT",
    "yentinglin/aime_2025": "not stated",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One task of a benchmark: where its rows are and what scores them."""

    task: str
    """Class."""
    path: str | None
    """Data set, None where the task makes its problems."""
    where: str
    """Subset, split and selection, for the eye."""
    rows: str
    """How many problems, "?" where the configuration does not say."""
    packages: Sequence[str]
    """What programs may import, so what has to be installed."""
    clone: str | None
    """Folder in which a repository has to be cloned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One configuration."""

    name: str
    title: str
    """The first line of the file."""
    sources: Sequence[Source]

    @property
    def command(self) -> str:
        """What runs it."""
        return f"lit-passk validate --config benchmarks/{self.name} --model.policy POLICY"

    @property
    def rows(self) -> str:
        """Problems of each task."""
        return " + ".join(_runs([source.rows for source in self.sources]))

    @property
    def needs(self) -> str:
        """What has to be installed or fetched."""
        needs = ["datasets"] if any(source.path and _is_hub_id(source.path) for source in self.sources) else []
        for source in self.sources:
            needs += ["bubblewrap"] if source.task in ("CodeTask", "EnigmataTask") else []
            needs += source.packages
            needs += [f"a clone of its repository in {source.clone}"] if source.clone else []
        return ", ".join(dict.fromkeys(needs)) or "nothing"

    @property
    def licence(self) -> str:
        """Of its data sets."""
        known = dict.fromkeys(LICENCES[source.path] for source in self.sources if source.path)
        return "; ".join(known) or "made here"

    @property
    def here(self) -> str:
        """Whether its rows are on this machine."""
        found = [is_here(source.path) and is_here(source.clone) for source in self.sources]
        return "yes" if all(found) else f"{sum(found)} of {len(found)}" if any(found) else "no"


def main(args: Sequence[str] | None = None) -> int:
    """Print the list, or the benchmarks that are named."""
    parser = argparse.ArgumentParser(prog="lit-passk benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="show these alone, such as aime24")
    parser.add_argument("--markdown", action="store_true", help="as the table of docs/benchmarks.md")
    options = parser.parse_args(args)
    known = {benchmark.name: benchmark for benchmark in benchmarks()}
    asked = [name.removeprefix("benchmarks/") for name in options.names]
    if unknown := [name for name in asked if name not in known]:
        raise Refusal(f"There is no benchmark {unknown[0]!r}. There are {', '.join(known)}.")
    chosen = [known[name] for name in asked] or list(known.values())
    print(as_markdown(chosen) if options.markdown else "\n\n".join(map(as_text, chosen)))
    return 0


def benchmarks() -> list[Benchmark]:
    """All configurations in ``benchmarks/``, by name."""
    return [_read(path) for path in sorted((configurations.folder() / "benchmarks").glob("*.yaml"))]


def as_text(benchmark: Benchmark) -> str:
    """A benchmark's lines in the list."""
    sets = list(_runs([f"{source.path} {source.where}".strip() for source in benchmark.sources if source.path]))
    rows = [
        ("problems", benchmark.rows),
        ("data set", "; ".join(sets) or "made by the task"),
        ("licence", benchmark.licence),
        ("needs", benchmark.needs),
        ("rows here", benchmark.here),
        ("run", benchmark.command),
    ]
    return "\n".join([f"{benchmark.name}: {benchmark.title}", *(f"  {name:9s}  {text}" for name, text in rows)])


def as_markdown(chosen: Sequence[Benchmark]) -> str:
    """The table of docs/benchmarks.md, which says nothing of this machine."""
    lines = ["| `--config` | problems | data set | scored by | licence | needs |", "|---|---|---|---|---|---|"]
    for benchmark in chosen:
        sets = list(_runs([f"{source.path} {source.where}".strip() for source in benchmark.sources if source.path]))
        tasks = ", ".join(dict.fromkeys(f"`{source.task}`" for source in benchmark.sources))
        cells = [f"`benchmarks/{benchmark.name}`", benchmark.rows, "; ".join(sets) or "made by the task", tasks]
        lines.append("| " + " | ".join([*cells, benchmark.licence, benchmark.needs]) + " |")
    return "\n".join(lines)


def is_here(path: str | None) -> bool:
    """Whether a data set can be read without the network: a local path, or something in the caches of the hub."""
    if path is None or expanded(path).exists():
        return True
    caches = (Path(constants.HF_HUB_CACHE), Path(os.environ.get("HF_DATASETS_CACHE", f"{constants.HF_HOME}/datasets")))
    wanted = {_folded(f"datasets--{path.replace('/', '--')}"), _folded(path.replace("/", "___"))}
    folders = [folder for cache in caches if cache.is_dir() for folder in cache.iterdir()]
    return any(_folded(folder.name) in wanted and folder.is_dir() and any(folder.iterdir()) for folder in folders)


def _folded(name: str) -> str:
    """Names of folders in the caches, which differ in case and in what separates words."""
    return name.casefold().replace("_", "").replace("-", "")


def _read(path: Path) -> Benchmark:
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("#").strip()
    tasks = yaml.safe_load(text)["data"]["val"]
    return Benchmark(name=path.stem, title=title, sources=[_source(task) for task in tasks.values()])


def _source(task: Mapping[str, Any]) -> Source:
    given = task.get("init_args") or {}
    path = given.get("path")
    shown = [given[name] for name in ("subset", "split", "difficulty", "categories", "start_date") if given.get(name)]
    counts = given.get("expected_rows", given.get("num_problems"))
    counts = [counts] if isinstance(counts, int) else counts or ["?"]
    return Source(
        task=task["class_path"].rpartition(".")[2],
        path=path,
        where=" ".join(map(str, shown)),
        rows=" or ".join(f"{count:,}" if isinstance(count, int) else count for count in counts),
        packages=(given.get("limits") or {}).get("packages") or (),
        clone=given.get("verifiers") or (path if path and not _is_hub_id(path) else None),
    )


def _runs(texts: Sequence[str]) -> Iterator[str]:
    """Texts in a row, those that repeat with their number."""
    for text in dict.fromkeys(texts):
        count = texts.count(text)
        yield text if count == 1 else f"{count} x {text}"


def _is_hub_id(path: str) -> bool:
    return path.count("/") == 1 and not path.startswith(("data/", "./", "~"))
