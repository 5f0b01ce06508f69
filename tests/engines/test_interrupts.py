import os
import signal
import threading

import pytest

from lit_passk.engines.interrupts import interrupts_held


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(1000))  # Python looks for signals between instructions


class InterruptedInItsDestructor:
    def __del__(self) -> None:
        ctrl_c()


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_it_waits_for_the_end():
    done = []

    @interrupts_held()
    def passage():
        InterruptedInItsDestructor()
        done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        passage()
    assert done


def test_a_second_one_does_not_wait():
    done = []

    @interrupts_held()
    def passage():
        ctrl_c()
        done.append("after the first")
        ctrl_c()
        done.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        passage()
    assert done == ["after the first"]


def test_what_the_kernel_repeats_waits_with_the_first():
    def told(number, frame):
        raise KeyboardInterrupt

    done = []

    @interrupts_held()
    def passage():
        for second in range(2):
            os.kill(os.getpid(), signal.SIGXCPU)
            done.append(second)

    before = signal.signal(signal.SIGXCPU, told)
    with pytest.raises(KeyboardInterrupt):
        passage()
    signal.signal(signal.SIGXCPU, before)
    assert done == [0, 1]


def test_an_error_inside_is_kept():
    @interrupts_held()
    def passage():
        ctrl_c()
        raise ValueError("of the passage")

    with pytest.raises(KeyboardInterrupt) as caught:
        passage()
    assert isinstance(caught.value.__context__, ValueError)


def test_without_one_the_handler_is_there_again_and_works():
    with interrupts_held():
        pass
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_where_signals_are_ignored_they_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held():
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)


def test_other_threads_touch_no_handler():
    def work():
        with interrupts_held():
            found.append(signal.getsignal(signal.SIGINT))

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
