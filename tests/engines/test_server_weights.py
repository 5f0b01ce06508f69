"""What a server's hashes tell about an update."""

import pytest

from lit_passk.engines.server_weights import check_arrived
from lit_passk.errors import CannotRun

OLD = {"0/embed": "a", "0/experts": "b", "0/bias": "zero1"}
ZERO = {"0/embed": "zero2", "0/experts": "zero3", "0/bias": "zero1"}


def test_a_parameter_that_stayed_zero_is_named() -> None:
    with pytest.raises(CannotRun, match=r"http://one did not .* 1 of its parameters .*, 0/experts among them"):
        check_arrived("http://one", OLD, ZERO, {"0/embed": "new", "0/experts": "zero3", "0/bias": "zero1"})


def test_one_that_was_zero_before_and_is_again_is_none() -> None:
    check_arrived("http://one", OLD, ZERO, {"0/embed": "new", "0/experts": "b", "0/bias": "zero1"})
