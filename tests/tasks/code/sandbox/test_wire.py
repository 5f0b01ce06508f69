"""Values cross between processes as they are, and nothing else crosses."""

from __future__ import annotations

import math
import os
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.tasks.code.sandbox.inside.wire import (
    MAX_FRAME,
    Closed,
    TooLong,
    Unsendable,
    decode,
    encode,
    receive,
    send,
)

pytestmark = pytest.mark.seconds

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children)
        | st.lists(children).map(tuple)
        | st.dictionaries(SCALARS, children)
        | st.sets(SCALARS)
        | st.frozensets(SCALARS)
    ),
    max_leaves=20,
)


def typed(value):
    """A value with the types of its parts, because 1 == True == 1.0."""
    if isinstance(value, list | tuple):
        return type(value), [typed(part) for part in value]
    if isinstance(value, dict):
        return dict, [(typed(key), typed(part)) for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return type(value), value, sorted(map(repr, value))
    return type(value), repr(value)


@given(VALUES)
def test_values_arrive_unchanged(value):
    assert typed(decode(encode(value))) == typed(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data):
    try:
        value = decode(data)
    except Closed:
        return
    assert typed(decode(encode(value))) == typed(value)


@pytest.mark.parametrize(
    "value",
    [
        range(1, 10, 3),
        {"a": 1, "b": 2}.keys(),
        {"a": 1, "b": 2}.items(),
        deque([1, 2]),
        Decimal("1.10"),
        Fraction(1, 3),
        date(2024, 2, 29),
        time(12, 30),
        datetime(2024, 2, 29, 12, 30),
        bytearray(b"x"),
        int,
        -(2**100000),
        float("inf"),
        "\ud800",
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_that_compare_by_value(value):
    arrived = decode(encode(value))
    assert type(arrived) is type(value)
    assert arrived == value


def test_values_view_keeps_its_order():
    assert list(decode(encode({"b": 2, "a": 1}.values()))) == [2, 1]


def test_not_a_number():
    assert math.isnan(decode(encode(float("nan"))))


def test_subclasses_arrive_as_the_type_they_extend():
    class Liar(list):
        def __eq__(self, other):
            return True

        def __len__(self):
            return 0

    point = namedtuple("point", "x y")
    color = IntEnum("color", "RED GREEN")
    liar = Liar([1, 2])
    for value, plain in [
        (point(1, 2), (1, 2)),
        (color.GREEN, 2),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(int, x=1), {"x": 1}),
        (OrderedDict(x=1), {"x": 1}),
    ]:
        arrived = decode(encode(value))
        assert arrived == plain
        assert type(arrived) is type(plain)
    assert type(decode(encode(liar))) is list
    assert [1, 2] == decode(encode(liar)) != [3]


@pytest.mark.parametrize("value", [object(), len, lambda: 0, iter([]), Closed], ids=lambda value: type(value).__name__)
def test_what_cannot_cross_is_refused_or_becomes_a_handle(value):
    with pytest.raises(Unsendable):
        encode([value])
    assert decode(encode([value], lambda kept: 7), lambda name: ("handle", name)) == [("handle", 7)]
    with pytest.raises(Closed):
        decode(encode([value], lambda kept: 7))


def test_a_list_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(RecursionError):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"?",
        b"i\0\0\0\5\0",
        b"l\xff\xff\xff\xff",
        b"nn",
        b"d\0\0\0\1n",
        b"u\0\0\0\1l\0\0\0\0",
        b"T\0\0\0\4eval",
        b"x\0\0\0\3s\0\0\0\2oss\0\0\0\6systems\0\0\0\2id",
        b"r\0\0\0\1n",
        b"l\0\0\0\1" * 5000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_malformed_bytes_are_refused(data):
    with pytest.raises(Closed):
        decode(data)


def test_messages_over_a_pipe():
    read, write = os.pipe()
    send(write, b"one")
    send(write, b"")
    assert (receive(read), receive(read)) == (b"one", b"")
    with pytest.raises(TooLong):
        send(write, bytes(MAX_FRAME + 1))
    os.write(write, (MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(Closed, match="bytes"):
        receive(read)
    os.close(write)
    with pytest.raises(Closed, match="gone"):
        receive(read)
    os.close(read)
