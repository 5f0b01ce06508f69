"""Which of several servers gets the next request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lit_passk.engines.server import Server, ServerError
from lit_passk.errors import CannotRun

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds a server is left alone after its first failure and at most; doubled with every failure in a row."""


@dataclass(slots=True)
class Member:
    """A server and how it does."""

    server: Server
    in_flight: int = 0
    failures: int = 0
    """In a row; above 0 one request at a time tries it."""
    not_before: float = 0.0
    """Time (``time.monotonic``) before which it is left alone."""
    error: str = ""
    """What went wrong last."""


class ServerPool:
    """Hands out the least busy server that works; shared by threads.

    Args:
        servers: The servers.
        patience: Seconds without any answer after which ``acquire`` raises.
    """

    def __init__(self, servers: Sequence[Server], patience: float) -> None:
        self.members = [Member(server) for server in servers]
        self.patience = patience
        self._last_answer = time.monotonic()
        self._given_up = False
        self._changed = threading.Condition()

    def open(self) -> None:
        """Begin a round of requests; patience counts from now."""
        with self._changed:
            self._given_up = False
            self._last_answer = time.monotonic()

    def describe(self) -> str:
        """What the servers do, for the log."""
        with self._changed:
            return "; ".join(
                f"{m.server.address}: {m.in_flight} requests under way"
                + (f", failed {m.failures} times, {m.error}" if m.failures else "")
                for m in self.members
            )

    def give_up(self) -> None:
        """Let every thread that waits for a server fail."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def acquire(self) -> Member:
        """Wait for a server.

        Raises:
            RuntimeError: If none worked for ``patience`` seconds, or the round was given up.
        """
        with self._changed:
            while not self._given_up:
                now = time.monotonic()
                usable = [m for m in self.members if m.not_before <= now and not (m.failures and m.in_flight)]
                if usable:
                    # One that failed is tried again first, by one request; else it would never come back.
                    member = min(usable, key=lambda m: (m.failures == 0, m.in_flight))
                    member.in_flight += 1
                    return member
                all_fail = all(m.failures and not m.in_flight for m in self.members)  # none is being tried just now
                if all_fail and now - self._last_answer > self.patience:
                    errors = "; ".join(f"{m.server.address}: {m.error}" for m in self.members)
                    raise CannotRun(f"No vLLM server worked for {self.patience:g} s, see their logs. {errors}")
                self._changed.wait(timeout=0.1)
        raise RuntimeError("The rollouts were given up.")

    def done(self, member: Member) -> None:
        """Give a server back that answered."""
        with self._changed:
            member.in_flight -= 1
            member.failures, member.not_before = 0, 0.0
            self._last_answer = time.monotonic()
            self._changed.notify_all()

    def failed(self, member: Member, error: ServerError, acquired: bool = True) -> None:
        """Give a server back that did not answer; it is left alone for a while, longer each time."""
        with self._changed:
            member.in_flight -= acquired
            now = time.monotonic()
            # Requests that were broken off here say nothing, and all that a dead server had in flight fail as one.
            if not (self._given_up and acquired) and now >= member.not_before:
                member.failures += 1
                member.error = str(error).removeprefix(member.server.address).strip()
                member.not_before = now + min(FIRST_PAUSE * 2 ** (member.failures - 1), LONGEST_PAUSE)
                if member.failures == 1:
                    logger.warning("A vLLM server failed, its requests go to the others: %s", error)
            self._changed.notify_all()
