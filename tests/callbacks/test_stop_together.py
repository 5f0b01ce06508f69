"""Who gets into the circle of ranks: those that know its key, whatever else connects."""

from __future__ import annotations

import queue
import socket
import threading
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from lit_passk.callbacks.stop_together import LOOPBACK, Watch


def test_strangers_neither_get_in_nor_hold_others_up(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    told = [queue.SimpleQueue(), queue.SimpleQueue()]
    watches = {}
    others = [
        threading.Thread(
            target=lambda rank=rank: watches.update({rank: Watch(rank, 3, lambda _: told[rank - 1].get())})
        )
        for rank in (1, 2)
    ]
    for thread in others:
        thread.start()
    kept = []
    first = Watch(0, 3, kept.append)
    port, _ = kept[0]
    strangers = [socket.create_connection((LOOPBACK, port)) for _ in range(3)]  # which then say nothing
    with pytest.raises(AuthenticationError):
        Client((LOOPBACK, port), authkey=b"guessed")
    for one in told:
        one.put(kept[0])
    for thread in others:
        thread.join(timeout=60)
    end = time.monotonic() + 60
    while len(first._links) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert set(first._links) == {1, 2}
    for watch in (*watches.values(), first):
        watch.close()
    for stranger in strangers:
        stranger.close()
