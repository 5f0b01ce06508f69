"""Errors whose message is for the user: the command line shows their sentence alone, any other error with its trace."""

from __future__ import annotations


class Refusal(ValueError):  # noqa: N818
    """What was asked for cannot be done: the message says what was needed, what came and what to change."""


class CannotRun(RuntimeError):  # noqa: N818
    """What a run needs is missing or stopped working (a package, a server, an engine that agrees with the policy)."""
