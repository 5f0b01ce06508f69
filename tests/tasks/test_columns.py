"""Dotted columns lead into objects, lists and JSON text; what is not there is named with what is."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from lit_passk.tasks.columns import NoColumnError, is_missing, look_up
from lit_passk.tasks.records import Record

VERL = {
    "reward_model": {"style": "rule", "ground_truth": "42"},
    "extra_info": {"split": "train", "index": 7, "tags": [{"name": "algebra"}]},
}


@pytest.mark.parametrize("as_text", [False, True], ids=["nested", "JSON text"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reward_model.ground_truth", "42"),
        ("extra_info.index", 7),
        ("extra_info.tags.0.name", "algebra"),
        ("extra_info.tags", [{"name": "algebra"}]),
    ],
)
def test_a_dotted_name_leads_into_a_column(name, value, as_text):
    row = {key: json.dumps(part) if as_text else part for key, part in VERL.items()}
    assert look_up(row, name) == value


def test_json_text_within_json_text():
    row = {"extra_info": json.dumps({"reward": json.dumps({"ground_truth": [1, 2]})})}
    assert look_up(row, "extra_info.reward.ground_truth") == [1, 2]
    assert look_up(row, "extra_info") == row["extra_info"], "a column that is asked for whole stays as it is"


def test_a_column_of_the_whole_name_goes_first():
    flat = {"reward_model.ground_truth": "flat", "reward_model": {"ground_truth": "nested"}, "a.b": {"c": 1}}
    assert look_up(flat, "reward_model.ground_truth") == "flat"
    assert look_up(flat, "a.b.c") == 1


def test_text_as_python_prints_objects():
    assert look_up({"info": "{'ground_truth': '\\\\pi', 'parts': [{'x': None}]}"}, "info.ground_truth") == "\\pi"
    assert look_up({"parts": "[{'x': (1, 2)}]"}, "parts.0.x") == [1, 2]
    with pytest.raises(NoColumnError, match="which is no JSON object"):
        look_up({"info": "{'ground_truth': f()}"}, "info.ground_truth")


@pytest.mark.parametrize("nothing", [None, float("nan"), "", []])
def test_nothing_on_the_way_holds_nothing(nothing):
    record = Record("a.jsonl line 3", {"reward_model": nothing})
    assert look_up(record.fields, "reward_model.ground_truth") is None
    assert record.lacks("reward_model.ground_truth", "the answer")


def test_arrays_are_plain_lists():
    row = {"prompt": np.array([{"role": "user", "content": "hi"}], dtype=object), "answer": np.int64(3), "x": (1, 2)}
    assert look_up(row, "prompt.0.content") == "hi"
    assert look_up(row, "prompt") == [{"role": "user", "content": "hi"}]
    assert type(look_up(row, "answer")) is int
    assert look_up(row, "x") == [1, 2]


def test_arrow_values_are_plain():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    row = {"prompt": pyarrow.array([{"role": "user"}]), "reward_model": pyarrow.scalar({"ground_truth": "42"})}
    assert look_up(row, "prompt.0.role") == "user"
    assert look_up(row, "reward_model.ground_truth") == "42"


@pytest.mark.parametrize(
    ("row", "name", "there"),
    [
        ({"q": 1, "a": 2}, "reward_model.ground_truth", "Its columns are 'q', 'a'."),
        ({}, "a", "Its columns are none: the row is empty."),
        (VERL, "reward_model.answer", "'reward_model' holds an object with the keys 'style', 'ground_truth'."),
        (VERL, "extra_info.tags.0.level.x", "'extra_info.tags.0' holds an object with the keys 'name'."),
        (VERL, "extra_info.tags.3.name", "'extra_info.tags' holds a list of 1."),
        (VERL, "extra_info.tags.name", "'extra_info.tags' holds a list of 1."),
        (VERL, "extra_info.index.x", "'extra_info.index' holds 7."),
        (VERL, "reward_model.style.x", "'reward_model.style' holds 'rule', which is no JSON object."),
        ({"r": '{"ground_truth": 1'}, "r.ground_truth", "'r' holds '{\"ground_truth\": 1', which is no JSON object."),
        ({"r": '{"style": "rule"}'}, "r.ground_truth", "'r' holds an object with the keys 'style'."),
        ({"r": {}}, "r.ground_truth", "'r' holds an object with the keys none."),
    ],
)
def test_the_deepest_place_that_exists_is_named(row, name, there):
    with pytest.raises(ValueError, match="has no column") as refusal:
        Record("a.parquet row 3", row).text(name, "the answer")
    assert str(refusal.value) == f"a.parquet row 3 has no column {name!r} for the answer. {there}"


def test_what_a_dotted_column_holds_is_shown():
    with pytest.raises(ValueError, match=r"row 3 needs the answer in column 'r.a.b', but got \{'c': 1\}"):
        Record("a.parquet row 3", {"r": {"a": {"b": {"c": 1}}}}).text("r.a.b", "the answer")


@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), Decimal("NaN"), "", " \n", [], ()])
def test_nothing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, False, 0.0, "0", [None], {}, Decimal(0)])
def test_something(value):
    assert not is_missing(value)
