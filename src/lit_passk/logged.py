"""What a logged number means, written down beside the code that logs it; ``docs/read_the_logs.md`` is made of these."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Logged:
    """One logged number, or several that are read together.

    A module that logs numbers lists them as its ``LOGGED``; ``scripts/make_log_page.py`` writes the page.

    Args:
        keys: Names as loggers get them, separated by blanks; what differs from run to run stands in angle brackets.
        means: What the number is, with its unit.
        healthy: What it looks like in a run that is well.
        otherwise: What to do when it does not.

    Example:
        >>> Logged("train/signal/dead@<k>", means="...").matches("train/signal/dead@4")
        True

    """

    keys: str
    means: str
    healthy: str = ""
    otherwise: str = ""

    def matches(self, name: str) -> bool:
        """Whether this describes a number of that name."""
        return any(pattern_of(key).fullmatch(name) for key in self.keys.split())


def pattern_of(key: str) -> re.Pattern[str]:
    """Which names a key stands for: a part in angle brackets is any text without a slash, ``<source>`` any text."""
    parts = re.split(r"(<\w+>)", key)
    return re.compile("".join(_placeholder(p) if p.startswith("<") else re.escape(p) for p in parts))


def _placeholder(part: str) -> str:
    return ".+" if part == "<source>" else "[^/]+"
