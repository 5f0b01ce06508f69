"""The cold start imitates demonstrations after prompts that are texts or chats."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoTokenizer

from lit_passk.data import DemonstrationDataModule
from lit_passk.data.rendering import PromptRenderer
from lit_passk.modules import SFTModule
from lit_passk.tasks import MathTask

TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
)
ARCHITECTURE = {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 1, "n_positions": 64}
CHAT = [{"role": "system", "content": "add"}, {"role": "user", "content": "1+1?"}]


def module(chat_template=TEMPLATE):
    return SFTModule(ARCHITECTURE, [*"asu:;12+?d="], chat_template=chat_template)


def test_a_chat_is_rendered_as_in_training(tmp_path):
    made = module()
    input_ids, labels = made.encode([(CHAT, "=2"), ("1+1?", "2")])
    first = made.tokenizer.decode(input_ids[0][labels[0] == -100], skip_special_tokens=True)
    assert first == PromptRenderer(made.tokenizer).render(CHAT) == "s:add;u:1+1?;a:"
    assert made.tokenizer.decode(labels[0][labels[0] != -100]) == "=2<eos>"
    assert made.tokenizer.decode(input_ids[1][labels[1] == -100], skip_special_tokens=True) == "u:1+1?;a:"
    made.configure_model()
    made.export(tmp_path / "policy")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "policy")
    assert PromptRenderer(loaded).render(CHAT) == "s:add;u:1+1?;a:"


def test_without_a_template_texts_stay_and_chats_are_refused():
    made = module(chat_template=None)
    input_ids, labels = made.encode([("1+1?", "2")])
    assert made.tokenizer.decode(input_ids[0][labels[0] == -100]) == "1+1?"
    with pytest.raises(ValueError, match=r"A prompt is a chat, .*`lit-passk sft` makes one with `model.chat_template`"):
        made.encode([(CHAT, "2")])


def test_rows_of_prompt_and_completion_are_imitated(tmp_path):
    rows = [
        {"prompt": CHAT, "completion": [{"role": "assistant", "content": "2"}]},
        {"prompt": "1+1?", "completion": "2"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = DemonstrationDataModule(MathTask(str(path), instruction=""), batch_size=2)
    (batch,) = data.train_dataloader()
    assert sorted(map(str, batch)) == sorted(map(str, [(CHAT, "2"), ("1+1?", "2")]))
    made = module()
    made.configure_model()
    input_ids, labels = made.encode(batch)
    assert torch.isfinite(made.model(input_ids=input_ids, labels=labels).loss)
