"""Write docs/strategies: a page for each strategy, out of its docstring, and one table of all, out of what they do.

    python scripts/make_strategy_pages.py            # writes them
    python scripts/make_strategy_pages.py --check    # says which are out of date

A new strategy that `lit_passk.advantages` exports appears by itself. What a docstring says is taken from it: the first
sentence, equations, "Use it when ...", scale, edge cases, references, arguments; the rest is found out by trying.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from strategy_pages.members import members, strategies
from strategy_pages.page import ROOT, page
from strategy_pages.plots import overview, plot
from strategy_pages.table import facts_of, index

FOLDER = ROOT / "docs" / "strategies"
NUMBER = re.compile(r"-?\d+\.\d+")


def main() -> None:
    """Write the pages, or with ``--check`` exit with 1 where they differ."""
    files = pages()
    if "--check" in sys.argv[1:]:
        stale = [path.name for path, text in files.items() if not is_same(path, text)]
        sys.exit(f"out of date: {', '.join(stale)}; run python scripts/make_strategy_pages.py" if stale else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Path to text of everything under docs/strategies."""
    files = {FOLDER / "README.md": index(), FOLDER / "overview.svg": overview()}
    for cls in strategies():
        files[FOLDER / f"{cls.__name__}.md"] = page(cls, facts_of(cls.__name__))
        if cls.__name__ in members():
            files[FOLDER / f"{cls.__name__}.svg"] = plot(cls)
    return files


def is_same(path: Path, text: str) -> bool:
    """Whether a file holds the text; numbers in drawings and tables may differ in their last digit, as CPUs do."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if NUMBER.sub("#", before) != NUMBER.sub("#", text):
        return False
    pairs = zip(NUMBER.findall(before), NUMBER.findall(text), strict=True)
    return all(abs(float(a) - float(b)) <= 1.01 * 10 ** -len(a.split(".")[1]) for a, b in pairs)


if __name__ == "__main__":
    main()
