"""Defer SIGINT (Ctrl-C) until a critical section ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let a first Ctrl-C inside take effect at the end; a second one does at once.

    For passages in which objects with a ``__del__`` of Python die: an exception raised in one is printed and lost, a
    KeyboardInterrupt too. Does nothing outside the main thread, where no signal arrives.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    first: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if first:
            handler(number, frame)
        else:
            first.append((number, frame))

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if first:
            handler(*first[0])
