"""Runs a program whose functions are called, and answers the calls.

All of this process belongs to the program as soon as its first line has run, so nothing of it is believed but the
values it returns, and those are judged in another process (``checker``).
"""

from __future__ import annotations

import os

from lit_passk.tasks.code.sandbox.inside.confine import fresh_module, limit, limit_cpu
from lit_passk.tasks.code.sandbox.inside.wire import Closed, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INBOX, OUTBOX = 3, 4


def serve(job: dict[str, Any], inbox: int, outbox: int) -> None:
    """Run the program once, then answer the checker's requests until it hangs up."""
    hold_only(inbox, outbox)
    limit(job["limits"])
    namespace = fresh_module("program")
    handles = Handles(namespace, job["owner"])
    try:
        for name, source in job["units"]:
            exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except BaseException as error:  # whatever it is, the checker has to know
        reply_error(error)
        return
    send(OUTBOX, encode(("return", None)))
    while True:
        try:
            request = receive(INBOX)
        except Closed:
            return
        try:
            if job["limit_each"]:
                limit_cpu(job["limits"]["cpu"])
            operation, args, kwargs = decode(request, handles.value)
            send(OUTBOX, encode(("return", OPERATIONS[operation](*args, **kwargs)), handles.name))
        except BaseException as error:
            reply_error(error)


def hold_only(inbox: int, outbox: int) -> None:
    """Close every file but the channel: above all the one on which a verdict is awaited."""
    devnull = os.open("/dev/null", os.O_RDWR)
    channel = os.dup(inbox), os.dup(outbox)
    for fd in (0, 1, 2):
        os.dup2(devnull, fd)
    for fd, kept in zip(channel, (INBOX, OUTBOX), strict=True):
        os.dup2(os.dup(fd), kept)
    os.closerange(OUTBOX + 1, 4096)


def reply_error(error: BaseException) -> None:
    """Tell the checker what was raised: a name and a text, never the object."""
    send(OUTBOX, encode(("raise", type(error).__name__, str(error)[:500])))


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call; a named operation like the others."""
    return function(*args, **kwargs)


def rebuild(plans: list[tuple[type, dict[str, tuple[bool, Any]]]]) -> Any:
    """Make nodes of a list, tree or graph: of each its class and attributes, which are values or places of nodes."""
    made: list[Any] = [object.__new__(kind) for kind, _ in plans]
    for node, (_, attributes) in zip(made, plans, strict=True):
        for name, (is_node, value) in attributes.items():
            setattr(node, name, made[value] if is_node else value)
    return made[0]


OPERATIONS: dict[str, Any] = {
    "rebuild": rebuild,
    "call": call,
    "getattr": getattr,
    "setattr": setattr,
    "getitem": lambda value, key: value[key],
    "len": len,
    "bool": bool,
    "iter": iter,
    "next": next,
    "str": str,
}


class Handles:
    """Values that stay here and are spoken of by name (the program's globals) or by number (what its calls made)."""

    def __init__(self, namespace: dict[str, Any], owner: str) -> None:
        self.namespace = namespace
        self.owner = owner  # the class whose methods count as functions: LeetCode's `Solution`
        self.instance: Any = None
        self.values: list[Any] = []

    def name(self, value: Any) -> int:
        """Keep a value and return its number."""
        self.values.append(value)
        return len(self.values) - 1

    def value(self, name: int | str) -> Any:
        """Look a value up; raises NameError for what the program does not define."""
        if isinstance(name, int):
            return self.values[name]
        if name in self.namespace:
            return self.namespace[name]
        if self.instance is None and self.owner in self.namespace:
            self.instance = self.namespace[self.owner]()
        if self.instance is not None and hasattr(self.instance, name):
            return getattr(self.instance, name)
        raise NameError(f"name {name!r} is not defined")
