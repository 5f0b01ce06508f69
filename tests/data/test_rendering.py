"""Prompts as text and as chats, templates that know no system turn, tokenizers that append an end token."""

from __future__ import annotations

import pytest
from tokenizers.processors import TemplateProcessing

from lit_passk.data import rendering
from lit_passk.data.rendering import PromptRenderer
from lit_passk.modules.sft import build_tokenizer
from lit_passk.types import Problem

TURNS = (
    "{% for m in messages %}{{ m['role'][0] }}[{{ m['content'] }}]{% endfor %}"
    "{% if add_generation_prompt %}a[{% if think is defined and not think %}-{% endif %}{% endif %}"
)
RAISES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TURNS
DROPS = TURNS.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}")
CHAT = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "2+2"}]


def tokenizer(template=TURNS):
    made = build_tokenizer(list("UDLR"))
    made.chat_template = template
    return made


def test_text_is_a_users_turn_and_a_chat_is_itself():
    plain = PromptRenderer(tokenizer(), system_prompt="be brief")
    assert plain.render("2+2") == "s[be brief]u[2+2]a["
    assert plain.render(CHAT) == "s[be brief]u[1+1]a[2]u[2+2]a["
    own = [{"role": "system", "content": "think"}, *CHAT]
    assert plain.render(own) == "s[think]u[1+1]a[2]u[2+2]a[", "a chat's own system turn stays"
    assert PromptRenderer(tokenizer(None)).render("2+2") == "2+2"
    assert PromptRenderer(tokenizer(), chat_template=False).render("2+2") == "2+2"


def test_an_assistants_last_turn_is_continued():
    begun = [*CHAT, {"role": "assistant", "content": "The answer is"}]
    assert PromptRenderer(tokenizer()).render(begun).endswith("u[2+2]a[The answer is")


def test_variables_of_the_template():
    assert PromptRenderer(tokenizer(), template_kwargs={"think": False}).render("U") == "u[U]a[-"


@pytest.mark.parametrize("template", [RAISES, DROPS], ids=["raises", "drops it"])
def test_without_system_turns_the_text_goes_before_the_users(template):
    renderer = PromptRenderer(tokenizer(template), system_prompt="be brief")
    assert renderer.render("2+2") == "u[be brief\n\n2+2]a["
    assert renderer.render([{"role": "system", "content": "think"}, *CHAT]) == "u[think\n\n1+1]a[2]u[2+2]a["


def test_a_system_turn_further_on_is_not_lost():
    renderer = PromptRenderer(tokenizer(DROPS))
    system = {"role": "system", "content": "be brief"}
    assert renderer.render([*CHAT[:2], system, CHAT[2]]) == "u[1+1]a[2]u[be brief\n\n2+2]a["
    assert renderer.render([system, *CHAT[1:]]) == "u[be brief]a[2]u[2+2]a["
    assert renderer.render([system, {**system, "content": "add"}]) == "u[be brief\n\nadd]a["


def test_that_there_is_no_system_turn_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(rendering, "rank_zero_info", said.append)
    rendering._say_no_system_turn.cache_clear()
    without = tokenizer(DROPS)
    renderers = [PromptRenderer(without), PromptRenderer(without, system_prompt="be brief")]
    assert [renderer.render("2+2") for renderer in renderers] == ["u[2+2]a[", "u[be brief\n\n2+2]a["]
    for renderer in renderers:
        renderer.render([{"role": "system", "content": "think"}, *CHAT])
    PromptRenderer(tokenizer(), system_prompt="be brief").render("2+2")
    assert said == ["The chat template of 'the policy' has no system turn: its text goes before the user's."]


# The parts of Qwen3's template that matter here: a begun turn without thinking holds an empty thought.
QWEN3 = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)


@pytest.mark.parametrize("kwargs", [{"enable_thinking": False}, {"enable_thinking": True}, {}])
def test_thinking_is_switched_off(kwargs):
    text = PromptRenderer(tokenizer(QWEN3), system_prompt="be brief", template_kwargs=kwargs).render("2+2")
    asked = "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n2+2<|im_end|>\n<|im_start|>assistant\n"
    assert text == asked + ("" if kwargs.get("enable_thinking", True) else "<think>\n\n</think>\n\n")


def processed(pattern):
    made = tokenizer(None)
    ids = [("<pad>", 0), ("<eos>", made.eos_token_id)]
    special = [(name, token) for name, token in ids if name in pattern]
    made._tokenizer.post_processor = TemplateProcessing(single=pattern, special_tokens=special)
    return made


@pytest.mark.parametrize("pattern", ["$A", "$A <eos>", "<eos> $A", "<eos> $A <eos>", "<eos> $A <eos> <eos>"])
def test_an_appended_end_token_is_left_out(pattern):
    made = processed(pattern)
    (ids,) = PromptRenderer(made).tokenize(["UD"])
    begin = [made.eos_token_id] if pattern.startswith("<eos>") else []
    assert ids == begin + made.convert_tokens_to_ids(["U", "D"])


def begins(always):
    """A tokenizer that writes a begin token, even where no special tokens are asked for."""
    made = tokenizer("{{ bos_token }}" + TURNS)
    made.add_special_tokens({"bos_token": "<s>"})
    special = [("<s>", made.bos_token_id)]
    made._tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=special)
    if always:
        call = type(made).__call__
        own = type("Always", (type(made),), {"__call__": lambda self, text, **_: call(self, text)})
        made.__class__ = own
    return made


@pytest.mark.parametrize("always", [False, True], ids=["when asked", "always"])
@pytest.mark.parametrize("chat_template", [True, False])
def test_a_begin_token_of_both_template_and_tokenizer_is_there_once(monkeypatch, always, chat_template):
    said = []
    monkeypatch.setattr(rendering, "rank_zero_info", said.append)
    rendering._say_begun_twice.cache_clear()
    made = begins(always)
    renderer = PromptRenderer(made, chat_template=chat_template)
    rendered = "<s>UD"  # by the template, or in the row by whoever rendered it before
    bare, twice = renderer.tokenize(["UD", "<s><s>UD"])
    (ids,) = renderer.prompt_ids(["UD"]) if chat_template else renderer.tokenize([rendered])
    assert ids.count(made.bos_token_id) == 1
    assert ids[0] == made.bos_token_id
    assert renderer.tokenize([rendered]) == [made.convert_tokens_to_ids(["<s>", "U", "D"])]
    assert bare == made.convert_tokens_to_ids(["<s>", "U", "D"] if always or not chat_template else ["U", "D"])
    assert twice.count(made.bos_token_id) == 2, "what a row repeats by itself is its own affair"
    assert len(said) == int(always or not chat_template)


def test_a_text_may_begin_with_an_end_token_twice_where_that_is_the_begin_token_too():
    made = tokenizer(None)
    made.add_special_tokens({"bos_token": made.eos_token})
    (ids,) = PromptRenderer(made).tokenize([made.eos_token * 2 + "U"])
    assert ids == [made.eos_token_id] * 2 + made.convert_tokens_to_ids(["U"])


@pytest.mark.parametrize(
    ("template", "prompt", "message"),
    [
        (None, CHAT, "`data.chat_template` is off"),
        (TURNS, [], "a `role` and a `content`"),
        (TURNS, [{"role": "user"}], "a `role` and a `content`"),
        (TURNS, [{"role": "user", "content": None}], "a `role` and a `content`"),
        ("{{ raise_exception('roles must alternate') }}", CHAT, "roles must alternate"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", CHAT, "cannot render .*Range too big"),
        ("{{ 1 // 0 }}", CHAT, "cannot render .*zero"),
        ("{{ 'a' * 10 ** 15 }}", CHAT, "cannot render .*MemoryError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", CHAT, "cannot render .*RecursionError"),
        ("{{ ''.__class__.__mro__ }}", CHAT, "cannot render .*unsafe"),
    ],
)
def test_what_cannot_be_rendered_is_said(template, prompt, message):
    with pytest.raises(ValueError, match=message):
        PromptRenderer(tokenizer(template)).render(prompt)


def test_template_settings_without_a_template():
    with pytest.raises(ValueError, match="need a chat template"):
        PromptRenderer(tokenizer(None), system_prompt="be brief")
    with pytest.raises(ValueError, match="need a chat template"):
        PromptRenderer(tokenizer(None), template_kwargs={"think": False})


def test_a_chat_as_one_text():
    assert Problem(id="0", prompt=CHAT, answer="4").text == "1+1\n\n2\n\n2+2"
