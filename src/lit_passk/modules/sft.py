"""The cold start: a small policy imitates a task's demonstrations before reinforcement learning."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from lit_passk.checkpointing.files import put_in_place
from lit_passk.checkpointing.model_folders import check_replaceable
from lit_passk.data.rendering import PromptRenderer
from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.modules.guards import guard
from lit_passk.modules.optimization import refused_as
from lit_passk.modules.schedules import WarmupLR
from lit_passk.types import Prompt

Demonstrations = Sequence[tuple[Prompt, str]]


LOGGED = (
    Logged(
        "train/loss",
        means="Negative log-likelihood of the demonstrations' completion tokens, nats per token (`lit-passk sft`).",
        healthy="Falls, then levels off. A cold start needs no more than that some completions are correct.",
        otherwise="Rises: lower the learning rate.",
    ),
)


class SFTModule(L.LightningModule):
    """Trains a stock Hugging Face architecture from scratch on (prompt, completion) pairs.

    Args:
        architecture: ``model_type`` and the fields of its configuration; the vocabulary's size and special tokens are
            filled in.
        vocabulary: The tokens: characters, and words that stay whole, such as ``<answer>``.
        optimizer: Optimizer class and its settings.
        lr_scheduler: Learning-rate schedule, stepped once an optimizer step.
        chat_template: Jinja template that renders prompts, chats and texts, here and later in training; it becomes the
            tokenizer's. None leaves texts as they are, and then there may be no chats.
    """

    def __init__(
        self,
        architecture: dict[str, Any],
        vocabulary: list[str],
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=3e-3, weight_decay=0.01, fused=True),
        lr_scheduler: LRSchedulerCallable = lambda o: WarmupLR(o, warmup_steps=50),
        chat_template: str | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        self.tokenizer = build_tokenizer(vocabulary)
        self.tokenizer.chat_template = chat_template
        self.renderer = PromptRenderer(self.tokenizer)

    def setup(self, stage: str) -> None:
        """Let no error be lost in Lightning's loops."""
        guard(self.trainer)

    def configure_model(self) -> None:
        """Build the model with random weights."""
        if hasattr(self, "model"):
            return
        config = AutoConfig.for_model(
            **self.architecture,
            vocab_size=len(self.tokenizer),
            bos_token_id=None,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        self.model = AutoModelForCausalLM.from_config(config)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer and its schedule, stepped once an optimizer step."""
        with refused_as("model.optimizer"):
            optimizer = self.make_optimizer(self.model.parameters())
        with refused_as("model.lr_scheduler"):
            scheduler = self.make_lr_scheduler(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: Demonstrations, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of the completion tokens, end token included."""
        input_ids, labels = self.encode(batch)
        loss = self.model(input_ids=input_ids.to(self.device), labels=labels.to(self.device)).loss
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def encode(self, batch: Demonstrations) -> tuple[Tensor, Tensor]:
        """Right-padded token ids and labels, both ``(B, T)`` int64; labels are -100 off the completion.

        Raises:
            ValueError: If a completion holds what the vocabulary lacks: the policy would learn to write ``<unk>``; or
                if a prompt is a chat and there is no chat template.
        """
        prompts = self.renderer.tokenize([self.renderer.render(prompt) for prompt, _ in batch])
        completions = self.tokenizer([completion for _, completion in batch])["input_ids"]
        eos = [self.tokenizer.eos_token_id]
        longest = max(len(p) + len(c) + 1 for p, c in zip(prompts, completions, strict=True))
        input_ids = torch.full((len(batch), longest), self.tokenizer.pad_token_id)
        labels = torch.full_like(input_ids, -100)
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            if self.tokenizer.unk_token_id in completion:
                raise Refusal(f"`model.vocabulary` lacks characters of the demonstration {batch[row][1]!r}.")
            tokens = torch.tensor(prompt + completion + eos)
            input_ids[row, : len(tokens)] = tokens
            labels[row, len(prompt) : len(tokens)] = tokens[len(prompt) :]
        return input_ids, labels

    def export(self, folder: str | Path) -> None:
        """Write a Hugging Face folder (weights and tokenizer): whole, or not at all."""
        folder = Path(os.path.abspath(folder))
        check_replaceable(folder)
        partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.model.save_pretrained(partial)
            self.tokenizer.save_pretrained(partial)
            put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def build_tokenizer(vocabulary: Sequence[str]) -> PreTrainedTokenizerFast:
    """A tokenizer that cuts text into the given tokens, longest first; other characters become ``<unk>``.

    Example:
        >>> tokenizer = build_tokenizer(["U", "D", "<answer>"])
        >>> tokenizer.decode(tokenizer("<answer>UD")["input_ids"])
        '<answer>UD'

    """
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import Fuse
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    special = ["<pad>", "<eos>", "<unk>"]
    if len(set(vocabulary)) != len(vocabulary) or set(special) & set(vocabulary):
        raise Refusal(f"`vocabulary` needs different tokens, none of them {special}, but got {list(vocabulary)}.")
    inner = Tokenizer(WordLevel({token: i for i, token in enumerate([*special, *vocabulary])}, unk_token="<unk>"))
    words = sorted((token for token in vocabulary if len(token) > 1), key=len, reverse=True)
    pattern = "|".join(["".join(f"\\x{{{ord(c):x}}}" for c in word) for word in words] + [r"[\s\S]"])
    inner.pre_tokenizer = Split(Regex(pattern), behavior="isolated")
    inner.decoder = Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
