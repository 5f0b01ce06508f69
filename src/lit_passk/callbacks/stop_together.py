"""When one rank fails, all stop, and all say which failed first."""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

import lightning as L

from lit_passk.distributed import lost_others

Event = dict[str, Any]
PACKAGE = Path(__file__).parents[1]

DIED = "its process died without reporting an error (killed, out of memory, a crash); see its own output"

LOOPBACK = "127.0.0.1"
SETTLE = 2.0
"""Seconds in which other ranks may report an earlier failure."""
LAST_WORDS = 20.0
"""Seconds a rank that failed by itself may take to clean up."""


class StopTogether(L.Callback):
    """Ends every rank within seconds of the first failure, with that failure's message.

    Without it the others wait in their next collective until its time-out, half an hour by default, and then report
    that time-out. Each rank holds a connection to rank 0, which breaks when a process dies, however it dies.
    """

    def __init__(self) -> None:
        self._watch: Watch | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Connect."""
        if trainer.world_size > 1 and self._watch is None:
            self._watch = Watch(trainer.global_rank, trainer.world_size, trainer.strategy.broadcast)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Tell the others, unless they stop for the same reason."""
        if self._watch is not None and not getattr(exception, "together", False):
            self._watch.report(exception)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Disconnect: from here on a rank may end when it likes."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


class Watch:
    """This rank's end of the connections: rank 0 hears of failures, finds the first and tells everyone.

    Args:
        rank: This rank.
        world_size: Number of ranks.
        broadcast: Hands rank 0's argument to every rank; a collective.
    """

    def __init__(self, rank: int, world_size: int, broadcast: Callable[[Any], Any]) -> None:
        self.rank = rank
        self._closed = self._failed = False
        self._told = threading.Event()
        self._links: dict[int, Connection] = {}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        if rank == 0:
            key = secrets.token_bytes(32)
            address = os.environ.get("MASTER_ADDR", LOOPBACK)
            # All ranks on one machine have nobody else to listen to.
            here = LOOPBACK if address in (LOOPBACK, "localhost") else ""
            server = socket.create_server((here, 0), backlog=world_size)
            broadcast((server.getsockname()[1], key))
            self._start(self._accept, server, key, world_size - 1)
            self._start(self._lead)
        else:
            port, key = broadcast(None)
            self._links[0] = Client((os.environ.get("MASTER_ADDR", LOOPBACK), port), authkey=key)
            self._send(0, {"rank": rank})
            self._start(self._read, 0)
            self._start(self._follow)

    def report(self, exception: BaseException) -> None:
        """Say that this rank failed by itself."""
        self._failed = True
        notes = getattr(exception, "__notes__", ())
        event = {
            "rank": self.rank,
            "what": " ".join([f"{type(exception).__name__}: {exception}{_where(exception)}", *notes]),
            "trace": "".join(traceback.format_exception(exception)),
        }
        self._events.put(event) if self.rank == 0 else self._send(0, event)
        self._told.wait(2 * SETTLE)  # ending before would hide from this rank's log which was the first

    def close(self) -> None:
        """End without alarm."""
        self._closed = True
        for rank in list(self._links):
            self._send(rank, {"bye": True})
        self._events.put({"bye": True})

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=work, args=args, name="stop-together", daemon=True).start()

    def _send(self, rank: int, event: Event) -> None:
        with suppress(OSError):  # it is gone, and its reader knows
            self._links[rank].send_bytes(json.dumps(event).encode())

    def _accept(self, server: socket.socket, key: bytes, count: int) -> None:
        """Take in the other ranks."""
        server.settimeout(SETTLE)
        while len(self._links) < count:
            with suppress(TimeoutError):  # look again whether all are here
                self._start(self._greet, Connection(server.accept()[0].detach()), key)
        server.close()

    def _greet(self, link: Connection, key: bytes) -> None:
        """Take in a rank that knows the key; in a thread, since a stranger may connect and then say nothing."""
        try:
            deliver_challenge(link, key)
            answer_challenge(link, key)
            rank = json.loads(link.recv_bytes())["rank"]
        except (AuthenticationError, EOFError, OSError):  # a stray connection, not one of ours
            link.close()
            return
        self._links[rank] = link
        self._read(rank)

    def _read(self, rank: int) -> None:
        """Pass on what another rank says, and that it died."""
        link = self._links[rank]
        with socket.socket(fileno=os.dup(link.fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # notices a machine that vanished
        said = False
        try:
            while not (event := json.loads(link.recv_bytes())).get("bye"):
                self._events.put(event)
                said = True
        except (EOFError, OSError):
            if not said:
                self._events.put({"rank": rank, "what": DIED, "trace": ""})
        if rank == 0:
            self._events.put({"bye": True})

    def _follow(self) -> None:
        """Wait for rank 0's word, or its end."""
        event = self._events.get()
        if not event.get("bye") and not self._closed:
            self._stop(event)

    def _lead(self) -> None:
        """Gather failures, choose the first and tell the others.

        Whoever raised stays until it was told, so what others raise because of it comes later, whatever their clocks
        say. A death without a word may be noticed after the errors that it caused, and goes before them.
        """
        first = self._events.get()
        if first.get("bye"):
            return
        end = time.monotonic() + SETTLE
        with suppress(queue.Empty):
            while True:
                event = self._events.get(timeout=max(0.0, end - time.monotonic()))
                if event.get("what") == DIED != first["what"]:
                    first = event
        for rank in list(self._links):
            self._send(rank, first)
        self._stop(first)

    def _stop(self, first: Event) -> None:
        """End this process, which may be waiting in a collective for ever."""
        lines = [f"lit-passk: rank {first['rank']} failed first and stops all ranks: {first['what']}"]
        if self.rank == 0 and first["rank"] != 0 and first["trace"]:
            lines = [first["trace"].rstrip(), *lines]
        print("\n".join(lines), file=sys.stderr, flush=True)
        self._told.set()
        if self._failed:
            time.sleep(LAST_WORDS)  # it is on its way out by itself
        os._exit(1)


def _where(error: BaseException) -> str:
    """If other ranks were waited for: by which line of this package."""
    if not lost_others(error):
        return ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if PACKAGE in Path(f.filename).parents]
    if not frames:
        return ""
    path = Path(frames[-1].filename).relative_to(PACKAGE)
    return (
        f" [waiting for the other ranks in `{frames[-1].name}`, {path} line {frames[-1].lineno}; how long a rank waits "
        "is `trainer.strategy.timeout`]"
    )
