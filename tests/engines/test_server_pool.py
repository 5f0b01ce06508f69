import threading
import time

import pytest

from lit_passk.engines.server import Server, ServerError
from lit_passk.engines.server_pool import FIRST_PAUSE, ServerPool


@pytest.fixture
def pool() -> ServerPool:
    return ServerPool([Server("http://localhost:1"), Server("http://localhost:2")], patience=0.2)


def test_the_least_busy_server_is_next(pool: ServerPool) -> None:
    first, second = pool.acquire(), pool.acquire()
    assert {first.server.address, second.server.address} == {"http://localhost:1", "http://localhost:2"}
    pool.done(second)
    assert pool.acquire() is second


def test_a_failed_server_is_left_alone_then_tried_by_one_request(pool: ServerPool) -> None:
    bad = pool.acquire()
    pool.failed(bad, ServerError("gone"))
    assert all(pool.acquire() is not bad for _ in range(3))
    bad.not_before = time.monotonic()  # its pause is over
    assert pool.acquire() is bad
    assert pool.acquire() is not bad
    pool.done(bad)
    assert bad.failures == 0
    assert pool.acquire() is bad


def test_requests_that_fail_together_count_once_and_pauses_grow(pool: ServerPool) -> None:
    bad = pool.members[0]
    bad.in_flight = 3
    for _ in range(3):
        pool.failed(bad, ServerError("gone"))
    assert (bad.failures, bad.in_flight) == (1, 0)
    pauses = []
    for _ in range(3):
        bad.not_before = 0.0
        begin = time.monotonic()
        pool.failed(bad, ServerError("gone"), acquired=False)
        pauses.append(bad.not_before - begin)
    assert pauses == pytest.approx([2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE], abs=0.1)


def test_requests_that_were_broken_off_are_no_failures(pool: ServerPool) -> None:
    member = pool.acquire()
    pool.give_up()
    pool.failed(member, ServerError("hung up"))
    assert (member.failures, member.in_flight) == (0, 0)
    with pytest.raises(RuntimeError, match="given up"):
        pool.acquire()
    pool.open()
    assert pool.acquire().failures == 0


def test_a_server_that_missed_its_weights_between_two_rounds_is_brought_up_to_date(pool: ServerPool) -> None:
    pool.give_up()  # what the end of every round does
    bad = pool.members[0]
    pool.failed(bad, ServerError("did not load"), acquired=False)
    pool.open()
    assert bad.failures == 1
    assert pool.acquire() is not bad


def test_no_server_for_long_is_an_error(pool: ServerPool) -> None:
    for member in pool.members:
        pool.failed(member, ServerError("gone"), acquired=False)
        member.not_before = time.monotonic() + 60
    with pytest.raises(RuntimeError, match="No vLLM server worked"):
        pool.acquire()


def test_no_thread_gives_up_while_another_tries_a_server(pool: ServerPool) -> None:
    for member in pool.members:
        pool.failed(member, ServerError("gone"), acquired=False)
        member.not_before = 0.0
    tried = [pool.acquire(), pool.acquire()]
    got = []
    waiting = threading.Thread(target=lambda: got.append(pool.acquire()))
    waiting.start()
    waiting.join(timeout=2 * pool.patience)
    assert waiting.is_alive(), "a request that takes longer than the patience is no failure"
    pool.done(tried[0])
    waiting.join(timeout=30)
    assert got == [tried[0]]


def test_waiting_threads_go_on_when_a_server_comes_back(pool: ServerPool) -> None:
    pool.patience = 60.0
    for member in pool.members:
        pool.failed(member, ServerError("gone"), acquired=False)
    got = []
    waiting = threading.Thread(target=lambda: got.append(pool.acquire()))
    waiting.start()
    waiting.join(timeout=30)
    assert got[0] in pool.members
