"""Work that goes on in a thread while the policy trains."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds a thread may take to notice that it was cancelled; then it is left behind and ends with the process."""


class Background(Generic[T]):
    """Runs a function in a thread of its own, at once.

    Args:
        work: What to do; nothing in it may wait for other ranks.

    Example:
        >>> Background(lambda: 6 * 7).result()
        42

    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._future: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, args=(work,), name="one-step-off-policy", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Wait for the function and return what it returned, or raise what it raised."""
        return self._future.result()

    def cancel(self, interrupt: Callable[[], None]) -> None:
        """End the thread and forget what it did.

        Args:
            interrupt: Makes the function fail soon; called until it did, because it may not have begun what is to be
                interrupted.
        """
        end = time.monotonic() + PATIENCE
        while self._thread.is_alive() and time.monotonic() < end:
            interrupt()
            self._thread.join(0.1)
        if self._thread.is_alive():
            logger.warning("Rollouts in the background did not end within %.0f s and are left behind.", PATIENCE)

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._future.set_result(work())
        except BaseException as error:  # raised again in the thread that asks for the result
            self._future.set_exception(error)
