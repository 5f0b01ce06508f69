"""Prompts that are chats, in every form in which data sets have them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lit_passk.tasks.chats import conversation, message_text, read_prompt, with_instruction
from lit_passk.tasks.pairs import asked, with_completion
from lit_passk.tasks.records import Record

CHAT = [
    {"role": "system", "content": "Think first."},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "2+2?"},
]


def read(prompt, **others):
    return read_prompt(Record("a.jsonl line 3", {"prompt": prompt, **others}), "prompt")


@pytest.mark.parametrize(
    "form",
    [
        CHAT,
        tuple(CHAT),
        json.dumps(CHAT),
        "\n " + json.dumps(CHAT, indent=1),
        np.array(CHAT, dtype=object),
        {key: [turn[key] for turn in CHAT] for key in ("role", "content")},
        {key: np.array([turn[key] for turn in CHAT]) for key in ("role", "content")},
        [{**turn, "tool_calls": None, "name": None} for turn in CHAT],  # how Parquet fills up what other rows have
        [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in CHAT],
        [{**turn, "content": np.array([{"type": "text", "text": part} for part in turn["content"]])} for turn in CHAT],
        [{**turn, "content": [turn["content"]]} for turn in CHAT],
    ],
    ids=["list", "tuple", "JSON", "JSON in lines", "array", "columns", "arrays", "nulls", "part", "parts", "texts"],
)
def test_every_form_of_a_chat_is_the_same_chat(form):
    assert read(form) == CHAT


def test_turns_of_from_and_value():
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    turns = [{"from": names[turn["role"]], "value": turn["content"]} for turn in CHAT]
    assert read(turns) == read(json.dumps(turns)) == CHAT
    assert read({key: [turn[key] for turn in turns] for key in ("from", "value")}) == CHAT
    assert read({key: np.array([turn[key] for turn in turns]) for key in ("from", "value")}) == CHAT
    assert read([{"from": "user", "value": "hi", "weight": 1}]) == [{"role": "user", "content": "hi", "weight": 1}]


def test_arrow_lists_of_turns():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert read(pyarrow.array(CHAT)) == CHAT
    assert read(pyarrow.array([CHAT])[0]) == CHAT


@pytest.mark.parametrize("text", ["2+2?", "[2, 3] is an interval?", '["a"]', "[]x", '{"role": "x"} is JSON', "[{]"])
def test_a_text_stays_a_text(text):
    assert read(text) == text


def test_other_keys_of_a_turn_stay():
    turn = {"role": "user", "content": "hi", "name": "Ann"}
    assert read([turn]) == [turn]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([{"role": "user"}], "turn 1 of the chat needs a `role` of text and a `content`, but its keys are 'role'"),
        ([{"from": "human", "says": "?"}], "turn 1 .* its keys are 'from', 'says'"),
        ([{"from": ["human"], "value": "?"}], "turn 1 of the chat needs a `role` of text"),
        ([{"from": None, "value": "?"}], "turn 1 of the chat needs a `role` of text"),
        ([*CHAT, {"role": 3, "content": "?"}], "turn 5 .* its keys are 'role', 'content'"),
        (["?", "!"], "turn 1 of the chat needs a role and a content, but is '.'"),
        ([{"role": "user", "content": None}], "turn 1 of the chat needs text as its content, but holds None"),
        ([{"role": "user", "content": 3}], "turn 1 of the chat needs text as its content, but holds 3"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "See:"}, {"type": "image", "image": "a.png"}]}],
            "turn 1 of the chat needs text as its content, but holds a part of type 'image'",
        ),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "holds a part of type 'text'"),
        ([{"role": "user", "content": "\ud83d?"}], r"turn 1 of the chat holds half of a surrogate pair \(.ud83d"),
        ([{"role": "user", "content": " "}], "no turn of the chat holds any text"),
        ({"turns": 3}, r"needs the question in column 'prompt', but got \{'turns': 3\}"),
        (str(CHAT), r"begins as a chat and is not the JSON of one: .* Write it with json.dumps"),
        (json.dumps(CHAT)[:-9], "begins as a chat and is not the JSON of one"),
        ([], r"needs the question in column 'prompt', but got \[\]"),
        (None, "needs the question in column 'prompt', but got None"),
    ],
)
def test_a_malformed_chat_is_named(prompt, message):
    with pytest.raises(ValueError, match=message) as refusal:
        read(prompt)
    assert str(refusal.value).startswith("a.jsonl line 3")
    assert "'prompt'" in str(refusal.value)


@pytest.mark.parametrize("column", ["images", "videos", "audios", "image"])
def test_what_is_no_text_is_refused(column):
    with pytest.raises(ValueError, match=f"a.jsonl line 3 has something to look at or listen to in column '{column}'"):
        read(CHAT, **{column: [{"bytes": b"x", "path": None}]})
    assert read(CHAT, **{column: None}) == read(CHAT, **{column: []}) == CHAT


def test_an_instruction_follows_the_last_user_turn():
    assert with_instruction("2+2?", "Box it.", "here") == "2+2?\nBox it."
    asked = with_instruction(CHAT, "Box it.", "here")
    assert asked == [*CHAT[:3], {"role": "user", "content": "2+2?\nBox it."}]
    begun = with_instruction([*CHAT, {"role": "assistant", "content": "It is"}], "Box it.", "here")
    assert [turn["content"] for turn in begun[-2:]] == ["2+2?\nBox it.", "It is"]
    assert with_instruction(CHAT, "", "here") == CHAT
    with pytest.raises(ValueError, match="here has a chat without a user turn that `instruction` could follow"):
        with_instruction(CHAT[:1], "Box it.", "here")


def test_a_conversation_ends_before_the_assistants_last_turn():
    assert conversation(CHAT, "here") == (CHAT, None)
    assert conversation(json.dumps([*CHAT, {"from": "gpt", "value": "4"}]), "here") == (CHAT, "4")
    with pytest.raises(ValueError, match=r"^here needs a list of turns, but holds 5"):
        conversation(5, "here")
    with pytest.raises(ValueError, match=r"^here: turn 2 needs text as its content, but holds 3"):
        conversation([CHAT[0], {"role": "user", "content": 3}], "here")


def test_of_a_conversation_that_is_named_only_the_assistants_last_turn_is_left_out():
    user, assistant = ({"role": role, "content": "2+2?"} for role in ("user", "assistant"))
    turns = [user, assistant, user, assistant]
    for length, left in ((4, 3), (3, 3), (2, 1)):
        assert asked(Record("here", {"messages": turns[:length]}), "messages") == turns[:left]
    assert asked(Record("here", {"messages": [assistant]}), "messages") == [assistant], "else nothing would be left"


@pytest.mark.parametrize(
    ("row", "there"),
    [
        ({"reward_model": None}, False),
        ({"reward_model": {"style": "rule"}}, False),
        ({"reward_model": {"ground_truth": None}}, True),
        ({"reward_model.ground_truth": None}, True),
    ],
)
def test_a_conversations_answer_stands_in_for_columns_that_are_not_there(row, there):
    turns = [*CHAT, {"role": "assistant", "content": "4"}]
    record = with_completion(Record("here", {"messages": turns, **row}), ["reward_model.ground_truth"])
    assert record.fields.get("completion") == (None if there else "4")


def test_the_text_of_a_completion():
    turn = {"role": "assistant", "content": "It is blue."}
    assert message_text(" blue.", "here") == " blue."
    assert message_text([turn], "here") == message_text(json.dumps([turn]), "here") == "It is blue."
    assert [message_text(value, "here") for value in (None, 3, ["1", "2"], [], [{"text": "?"}])] == [None] * 5
    with pytest.raises(ValueError, match="here: the last turn needs text as its content, but holds None"):
        message_text([{"role": "assistant", "content": None}], "here")
