"""Runs the tests of a data set against a program that lives in another process.

The program is reachable only by messages: its functions appear here as ``Remote`` objects, a call sends the arguments
and gets a plain value of a built-in type back. So the program sees neither the tests nor the expected values, cannot
patch what compares them, and cannot answer for the tests: the verdict is written here. This process is the first of
its PID namespace, which nothing inside can signal, and its system call filter lets nobody look into another process.
The tests arrive after the program's process has been split off, so that no copy of them is left there.
"""

from __future__ import annotations

import _signal
import builtins
import marshal
import os
from math import isclose

from lit_passk.tasks.code.sandbox.inside.confine import fresh_module, limit, watch_files
from lit_passk.tasks.code.sandbox.inside.functions import serve
from lit_passk.tasks.code.sandbox.inside.wire import Closed, TooLong, Unsendable, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO


class Broken(BaseException):
    """The tests themselves cannot be run; not an Exception, so that no test can swallow it."""


class Failed(BaseException):
    """The program is gone, or a case is wrong; nothing that follows can succeed."""


class ProgramError(Exception):
    """The program raised something that is no built-in exception."""


def main(job: dict[str, Any], control: BinaryIO) -> None:
    """Run the program as ``job`` says, then the tests that arrive, and write the verdict as one line."""
    requests, requests_write = os.pipe()
    answers, answers_write = os.pipe()
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # what Python listens to; the program could send it
    if os.fork() == 0:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        serve(job, requests, answers_write)
        return
    os.close(requests)
    os.close(answers_write)
    if job["isolated"]:
        watch_files()
    os.write(1, b"ready\n")
    tests = marshal.load(control)
    verdict = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    limit({**job["limits"], "cpu": job["limits"]["total_cpu"] + 1})
    os.write(verdict, judge(tests, Channel(answers, requests_write)).encode("utf-8", "replace") + b"\n")
    control.read()


def judge(tests: dict[str, Any], channel: Channel) -> str:
    """Run the tests; returns ``pass``, or ``fail`` or ``error`` and a reason."""
    try:
        channel.answer()  # the program has been loaded
        run_tests(tests, channel) if tests["style"] == "assert" else run_cases(tests, channel)
    except Broken as error:
        return f"error {error}".replace("\n", " ")[:500]
    except AssertionError:
        return "fail wrong answer"
    except BaseException as error:  # whatever ends the tests fails them, as in the data sets' own checkers
        return f"fail {type(error).__name__}: {error}".replace("\n", " ")[:500]
    return "pass"


def run_tests(tests: dict[str, Any], channel: Channel) -> None:
    """Execute test code as it stands, with the program's names bound to remote objects."""
    namespace = fresh_module("tests")
    try:
        exec(compile(tests["before"], "before", "exec", dont_inherit=True), namespace)
        for module in tests["modules"]:
            namespace[module] = __import__(module)
    except Exception as error:  # the program has had no part in it
        raise Broken(f"what the tests need cannot be loaded: {type(error).__name__}: {error}") from None
    channel.nodes = {namespace[name]: Remote(channel, name) for name in tests.get("nodes", ())}
    for name in tests["names"]:
        namespace[name] = Remote(channel, name)
    exec(compile(tests["tests"], "tests", "exec", dont_inherit=True), namespace)


def run_cases(tests: dict[str, Any], channel: Channel) -> None:
    """Call one function with the arguments of each case and compare what comes back."""
    function = Remote(channel, tests["names"][0])
    for number, (args, accepted) in enumerate(tests["cases"]):
        result = function(*args)
        if not any(same(result, expected) for expected in accepted):
            raise Failed(f"wrong answer in case {number}")


def same(result: Any, expected: Any) -> bool:
    """Equality of JSON values: a tuple is a list, keys are texts, floats agree to 1e-9 relatively."""
    if isinstance(result, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(result) == len(expected) and all(map(same, result, expected))
    if isinstance(result, dict) and isinstance(expected, dict):
        result = {str(key): value for key, value in result.items()}
        expected = {str(key): value for key, value in expected.items()}
        return result.keys() == expected.keys() and all(same(result[key], expected[key]) for key in expected)
    if isinstance(result, float) or isinstance(expected, float):
        if not (isinstance(result, (int, float)) and isinstance(expected, (int, float))):
            return False
        return isclose(result, expected, rel_tol=1e-9)  # an infinity is close to itself alone
    return bool(result == expected)


class Channel:
    """Requests to the program, one at a time."""

    def __init__(self, inbox: int, outbox: int) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.nodes: dict[type, Remote] = {}
        """Classes of the tests whose objects the program gets, and the program's own of the same names."""

    def request(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Have the program do one of its ``OPERATIONS``; raises what that raised."""
        try:
            message = encode((operation, args, kwargs), self.name)
            send(self.outbox, message)
        except Unsendable as error:
            raise Broken(f"the tests hand the program {error}, which cannot leave their sandbox") from None
        except (Closed, TooLong) as error:
            raise Failed(f"the program cannot be called: {error}") from None
        return self.answer()

    def name(self, value: Any) -> int | str:
        """The program's own name of a remote object, or of the copy of a node and of all that hangs on it."""
        if type(value) not in self.nodes:
            return remote_name(value)
        nodes, places = [value], {id(value): 0}
        plans = []
        for node in nodes:
            attributes = {}
            for attribute, part in vars(node).items():
                is_node = type(part) in self.nodes
                if is_node and id(part) not in places:
                    places[id(part)] = len(nodes)
                    nodes.append(part)
                attributes[attribute] = (is_node, places[id(part)] if is_node else part)
            plans.append((self.nodes[type(node)], attributes))
        return remote_name(self.request("rebuild", plans))

    def answer(self) -> Any:
        """Wait for the next message of the program."""
        try:
            answer = decode(receive(self.inbox), lambda name: Remote(self, name))
        except Closed as error:
            raise Failed(f"the program ended: {error}") from None
        if type(answer) is tuple and len(answer) == 2 and answer[0] == "return":
            return answer[1]
        if type(answer) is tuple and len(answer) == 3 and answer[0] == "raise":
            kind = getattr(builtins, str(answer[1]), ProgramError)
            usable = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError)
            raise kind(answer[2]) if usable else ProgramError(f"{answer[1]}: {answer[2]}")
        raise Failed("the program does not keep to the protocol")


def remote_name(value: Any) -> int | str:
    """The program's own name of a remote object."""
    if type(value) is not Remote:
        raise Unsendable(f"a value of type {type(value).__name__}")
    return object.__getattribute__(value, "_name")


class Remote:
    """Something the program keeps: a function, a class, an object of a class of its own, an iterator.

    It equals nothing but itself, so that a program gains nothing by returning an object that claims to equal all.
    """

    def __init__(self, channel: Channel, name: int | str) -> None:
        object.__setattr__(self, "_channel", channel)
        object.__setattr__(self, "_name", name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it where it lives."""
        return self._channel.request("call", self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._channel.request("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._channel.request("setattr", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._channel.request("getitem", self, key)

    def __len__(self) -> int:
        return self._channel.request("len", self)

    def __bool__(self) -> bool:
        return self._channel.request("bool", self)

    def __str__(self) -> str:
        return self._channel.request("str", self)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._channel.request("iter", self)
        while True:
            try:
                yield self._channel.request("next", iterator)
            except StopIteration:
                return
