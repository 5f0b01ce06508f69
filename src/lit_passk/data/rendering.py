"""From a problem's prompt to the tokens that the policy continues: chat templates and special tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.errors import Refusal
from lit_passk.types import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OF_TEMPLATES = (
    TemplateError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""What rendering raises: a template is a program, of whoever made the tokenizer."""

PROBE = "a question"


class PromptRenderer:
    """Renders prompts with a tokenizer's chat template, or leaves them as they are.

    Args:
        tokenizer: The policy's.
        chat_template: Whether to use its template; None does so when it has one.
        system_prompt: System turn before the user's, for prompts that have none of their own. A template that knows no
            system turn gets the text before the user's.
        template_kwargs: Variables of the template, such as ``{"enable_thinking": False}``.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        chat_template: bool | None = None,
        system_prompt: str | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        has_template = bool(getattr(tokenizer, "chat_template", None))
        self.tokenizer = tokenizer
        self.chat_template = has_template if chat_template is None else chat_template
        self.system_prompt = system_prompt
        self.template_kwargs = dict(template_kwargs or {})
        name = getattr(tokenizer, "name_or_path", "") or "the policy"
        if self.chat_template and not has_template:
            raise Refusal(f"`data.chat_template` is true, but the tokenizer of {name!r} has no chat template.")
        if not self.chat_template and (system_prompt is not None or self.template_kwargs):
            raise Refusal(
                "`data.system_prompt` and `data.chat_template_kwargs` need a chat template: set `data.chat_template` "
                "to true."
            )
        self.system_turns = self.chat_template and self._knows_system_turns()
        self._num_appended = self._count_appended()
        self._own_begin = self._begin_token_of_its_own()

    @property
    def fingerprint(self) -> str:
        """Tells tokenizers of other tokens, or of another chat template in use, apart: 16 hexadecimal digits."""
        parts = [sorted(self.tokenizer.get_vocab().items()), self.chat_template and self.tokenizer.chat_template]
        return blake2b(repr(parts).encode(errors="backslashreplace"), digest_size=8).hexdigest()

    def render(self, prompt: Prompt) -> str:
        """The text that the policy continues.

        Args:
            prompt: A question, or a chat: turns of ``role`` and ``content``. A chat whose last turn is the assistant's
                is continued there.

        Raises:
            Refusal: If a chat is malformed, the template cannot render it, or there is no template.
        """
        if isinstance(prompt, str):
            if not self.chat_template:
                return prompt
            return self._apply([{"role": "user", "content": prompt}])
        turns = [dict(turn) for turn in prompt]
        if not turns or not all(isinstance(turn.get("role"), str) and _is_text(turn.get("content")) for turn in turns):
            raise Refusal(f"A chat needs turns with a `role` and a `content` of text, but got {_shorten(prompt)}.")
        if not self.chat_template:
            raise Refusal(
                "A prompt is a chat, but `data.chat_template` is off or the tokenizer has none: use a tokenizer with a "
                "chat template (`lit-passk sft` makes one with `model.chat_template`), or render chats to text first. "
                f"The chat: {_shorten(prompt)}"
            )
        return self._apply(turns)

    def with_settings(self, system_prompt: str | None, template_kwargs: Mapping[str, Any] | None) -> PromptRenderer:
        """The same with another system prompt, and more variables of the template; None leaves either as it is."""
        if system_prompt is None and not template_kwargs:
            return self
        if system_prompt is None:
            system_prompt = self.system_prompt
        template_kwargs = self.template_kwargs | dict(template_kwargs or {})
        return PromptRenderer(self.tokenizer, self.chat_template, system_prompt, template_kwargs)

    def prompt_ids(self, prompts: Iterable[Prompt]) -> list[list[int]]:
        """Render prompts and tokenize them."""
        return self.tokenize([self.render(prompt) for prompt in prompts])

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered prompts; an end token that the tokenizer appends is left out, as prompts go on.

        A begin token that both the text has and the tokenizer writes is there once.
        """
        # A rendered template has its special tokens already.
        rows = self.tokenizer(list(texts), add_special_tokens=not self.chat_template)["input_ids"]
        return [self._begun_once(row[: len(row) - self._num_appended]) for row in rows]

    def _begun_once(self, row: list[int]) -> list[int]:
        if self._own_begin is None or row[:2] != [self._own_begin] * 2:
            return row
        _say_begun_twice(getattr(self.tokenizer, "name_or_path", "") or "the policy")
        return row[1:]

    def _apply(self, turns: list[dict[str, str]]) -> str:
        if self.system_prompt is not None and turns[0]["role"] != "system":
            turns = [{"role": "system", "content": self.system_prompt}, *turns]
        if not self.system_turns and any(turn["role"] == "system" for turn in turns):
            _say_no_system_turn(getattr(self.tokenizer, "name_or_path", "") or "the policy")
            turns = _without_system_turns(turns)
        goes_on = turns[-1]["role"] == "assistant"
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    turns,
                    add_generation_prompt=not goes_on,
                    continue_final_message=goes_on,
                    tokenize=False,
                    **self.template_kwargs,
                )
            )
        except _OF_TEMPLATES as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise Refusal(f"The tokenizer's chat template cannot render {_shorten(turns)}: {reason}") from error

    def _knows_system_turns(self) -> bool:
        """Whether the text of a system turn is rendered; some templates raise, some leave it out without a word."""
        turns = [{"role": "system", "content": "be brief"}, {"role": "user", "content": PROBE}]
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, **self.template_kwargs)
        except _OF_TEMPLATES:
            return False
        return "be brief" in str(text)

    def _count_appended(self) -> int:
        """Special tokens that the tokenizer appends to a text."""
        if self.chat_template:
            return 0
        whole, plain = (self.tokenizer(PROBE, add_special_tokens=special)["input_ids"] for special in (True, False))
        added = len(whole) - len(plain)
        return next((n for n in range(added + 1) if whole[added - n : len(whole) - n] == plain), 0)

    def _begin_token_of_its_own(self) -> int | None:
        """The begin token, if the tokenizer puts it before a text; some do so even where none are asked for."""
        begin = getattr(self.tokenizer, "bos_token_id", None)
        row = self.tokenizer(PROBE, add_special_tokens=not self.chat_template)["input_ids"]
        return begin if begin is not None and row[:1] == [begin] else None


def _without_system_turns(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same with the text of each system turn before that of the user's turn that follows it."""
    done: list[dict[str, str]] = []
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            waiting.append(turn["content"])
            continue
        if waiting and turn["role"] == "user":
            turn = {**turn, "content": "\n\n".join([*waiting, turn["content"]])}
        elif waiting:
            done.append({"role": "user", "content": "\n\n".join(waiting)})
        waiting = []
        done.append(turn)
    return [*done, {"role": "user", "content": "\n\n".join(waiting)}] if waiting else done


@cache
def _say_no_system_turn(name: str) -> None:
    """Once for a tokenizer, however many tasks it renders."""
    rank_zero_info(f"The chat template of {name!r} has no system turn: its text goes before the user's.")


@cache
def _say_begun_twice(name: str) -> None:
    """Once for a tokenizer."""
    rank_zero_info(f"The tokenizer of {name!r} writes its begin token, and prompts have one too: it is written once.")


def _is_text(content: object) -> bool:
    return isinstance(content, str)


def _shorten(chat: object) -> str:
    text = repr(chat)
    return text if len(text) <= 200 else text[:200] + "..."
