"""Ports for servers under test."""

from __future__ import annotations

import random
import socket

# Below the ports that Linux hands to clients and to servers that name none (32768 up), so that none of the many
# connections of tests beside this one takes the port before the server under test, seconds later, listens on it.
_RANGE = range(10_000, 32_000)


def free_port() -> int:
    """A port of this machine that nothing listens on, drawn at random: other tests draw at the same time."""
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_RANGE)
        with socket.socket() as s:
            try:
                s.bind(("", port))
            except OSError:
                continue
        return port
