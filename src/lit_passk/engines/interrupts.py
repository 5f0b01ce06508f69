"""Defer the signals that end a run (Ctrl-C and its kin) until a critical section ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
"""Signals by which people, schedulers, closed terminals and limits on CPU time end a run."""
REPEATED = signal.SIGXCPU
"""Comes again with every second of CPU time beyond the limit: that is no second wish."""


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let a first such signal inside take effect at the end; a second one does at once.

    For passages in which objects with a ``__del__`` of Python die: an exception raised in one is printed and lost, a
    KeyboardInterrupt too. Does nothing outside the main thread, where no signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    first: list[tuple[int, FrameType | None]] = []

    def hold(handler: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None) -> None:
        if not first:
            first.append((number, frame))
        elif number != REPEATED:
            handler(number, frame)

    for number, handler in handlers.items():
        signal.signal(number, partial(hold, handler))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if first:
            handlers[signal.Signals(first[0][0])](*first[0])
