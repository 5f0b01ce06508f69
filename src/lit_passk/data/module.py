"""Prompts for training and validation: which problems, in which order, rendered how, on which rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import device
from torch.utils.data import DataLoader

from lit_passk.data.breakdown import Breakdown, breakdown_of
from lit_passk.data.contamination import warn_of_contamination
from lit_passk.data.loader import PromptLoader
from lit_passk.data.parts import parts_of
from lit_passk.data.rendering import PromptRenderer
from lit_passk.data.samplers.base import PromptSampler
from lit_passk.errors import Refusal
from lit_passk.hub import not_given
from lit_passk.policy.source import resolve_policy
from lit_passk.rewards.base import RewardPart
from lit_passk.rewards.task import RewardedTask
from lit_passk.tasks.base import Task
from lit_passk.tasks.mixture import Mixture, paid_each
from lit_passk.tasks.records import check_problem
from lit_passk.types import Problem, PromptBatch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a policy's folder or hub id.

    Raises:
        ValueError: If there is none; for a folder that does not exist, with the command that makes the shipped one.
    """
    from transformers import AutoTokenizer

    source = resolve_policy(path)
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # files may hold anything
        if not Path(source).is_dir():
            raise not_given(source, "model", error) from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refusal(f"`model.policy` is {path!r}, but no tokenizer could be loaded from there: {reason}") from error


class PromptDataModule(L.LightningDataModule):
    """One task to train on (or a ``Mixture`` of several) and any number of named tasks to validate on.

    ``validate``, ``test`` and ``predict`` all use the ``val`` tasks. Prompts too long are dropped and counted.

    Args:
        tokenizer: Folder or hub id of the tokenizer; the command line takes it from ``model.policy``.
        train: Task to train on; None when there is nothing to train.
        rewards: What a completion of the training task is paid for: parts by name, whose values times their weights
            are added up; None is the task's own reward. ``correct`` stays the task's verdict. See docs/rewards.md.
        val: Validation tasks by name; ``val/<name>/pass@k`` is logged for each.
        prompts_per_step: Prompts of one RL step, over all ranks.
        val_prompts_per_step: Prompts of one validation batch, over all ranks.
        chat_template: Render prompts with the tokenizer's chat template, those of plain text as a user's turn; None
            does so when the tokenizer has one.
        system_prompt: System turn before the user's, for prompts that have none of their own; needs a chat template.
            A template that knows no system turn gets the text before the user's.
        chat_template_kwargs: Variables of the chat template, such as ``{enable_thinking: false}``.
        max_prompt_tokens: Longer prompts are dropped.
        sampler: Which prompts a training step has; None is ``Uniform()``, every prompt once an epoch.
        seed: Orders the training prompts.
    """

    breakdown: Breakdown | None = None
    """For what groups of training problems metrics are logged apart; known once the prompts were rendered."""

    def __init__(
        self,
        tokenizer: str,
        train: Task | None = None,
        val: dict[str, Task] | None = None,
        prompts_per_step: int = 32,
        val_prompts_per_step: int = 64,
        chat_template: bool | None = None,
        system_prompt: str | None = None,
        chat_template_kwargs: dict[str, Any] | None = None,
        max_prompt_tokens: int = 2048,
        sampler: PromptSampler | None = None,
        seed: int = 0,
        rewards: dict[str, RewardPart] | None = None,
    ) -> None:
        super().__init__()
        if prompts_per_step < 1 or val_prompts_per_step < 1:
            raise Refusal(
                "`data.prompts_per_step` and `data.val_prompts_per_step` must be at least 1, "
                f"but got {prompts_per_step} and {val_prompts_per_step}."
            )
        self.rewards = rewards
        if rewards is not None and train is None:
            raise Refusal("`data.rewards` pay for the completions of `data.train`, which is not set.")
        self.train = paid_each(RewardedTask(train, rewards)) if train is not None and rewards is not None else train
        self.val = dict(val or {})
        for name in self.val:
            if name == "train" or "/" in name or "." in name:
                raise Refusal(f"`data.val` names may not be 'train' nor hold '/' or '.', but got {name!r}.")
        self.prompts_per_step = prompts_per_step
        self.val_prompts_per_step = val_prompts_per_step
        self.max_prompt_tokens = max_prompt_tokens
        self.sampler = sampler
        self.seed = seed
        self.tokenizer = load_tokenizer(tokenizer)
        self.renderer = PromptRenderer(self.tokenizer, chat_template, system_prompt, chat_template_kwargs)
        self._rendered: dict[str, list[tuple[int, list[int]]]] = {}
        self._train_loader: PromptLoader | None = None

    @property
    def tasks(self) -> dict[str, Task]:
        """Every task by name, the training task as ``train``."""
        return ({"train": self.train} if self.train is not None else {}) | self.val

    def setup(self, stage: str) -> None:
        """Refuse to train on nothing or a mixture that cannot be kept up; warn of validation problems in training."""
        if stage != "fit":
            return
        task = self._train_task()  # before a policy is loaded that nothing would train
        parts_of(task, [index for index, _ in self._prompts(task, "train")], self.prompts_per_step)
        if self.trainer is None or self.trainer.is_global_zero:
            warn_of_contamination(task, self.val)

    def longest_prompt(self, name: str) -> int:
        """Tokens of a task's longest prompt; ``name`` as in ``tasks``."""
        return max(len(token_ids) for _, token_ids in self._prompts(self.tasks[name], name))

    def largest_token(self, name: str) -> int:
        """The largest id of a token in a task's prompts; ``name`` as in ``tasks``."""
        return max(max(token_ids) for _, token_ids in self._prompts(self.tasks[name], name) if token_ids)

    def train_dataloader(self) -> PromptLoader:
        """Training prompts, reshuffled every epoch; sized, because Lightning fetches ahead of unsized loaders.

        Asked again (``reload_dataloaders_every_n_epochs``), the same loader, which goes on.
        """
        if self._train_loader is None:
            self._train_loader = self._loader(self._train_task(), "train", self.prompts_per_step, self.seed)
        return self._train_loader

    def _train_task(self) -> Task:
        if self.train is None:
            raise Refusal("`data.train` is not set: there is nothing to train on.")
        return self.train

    def val_dataloader(self) -> list[PromptLoader]:
        """One loader per validation task, in order."""
        return [self._loader(task, name, self.val_prompts_per_step, seed=None) for name, task in self.val.items()]

    def test_dataloader(self) -> list[PromptLoader]:
        """The validation loaders."""
        return self.val_dataloader()

    def predict_dataloader(self) -> list[PromptLoader]:
        """The validation loaders."""
        return self.val_dataloader()

    def transfer_batch_to_device(self, batch: PromptBatch, device: device, dataloader_idx: int) -> PromptBatch:
        """Leave the batch as it is: rollouts are on the CPU, and only micro-batches of them go to the device."""
        return batch

    def decode(self, token_ids: Sequence[int]) -> str:
        """Completion text without special tokens, its spaces as sampled (tokenizers may drop those of ``x , y``)."""
        text = self.tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def _loader(self, task: Task, name: str, prompts_per_step: int, seed: int | None) -> PromptLoader:
        rank, world_size = self._data_parallel()
        sampler = self.sampler if name == "train" else None
        return PromptLoader(task, name, self._prompts(task, name), prompts_per_step, rank, world_size, seed, sampler)

    def _prompts(self, task: Task, name: str) -> list[tuple[int, list[int]]]:
        if name not in self._rendered:
            self._rendered[name] = self._tokenize(task, name)
        return self._rendered[name]

    def _renderers(self, task: Task) -> list[tuple[PromptRenderer, slice]]:
        """Who renders which problems of a task: the tasks of a mixture may have settings of their own."""
        if not isinstance(task, Mixture):
            return [(self.renderer, slice(None))]
        return [
            (self.renderer.with_settings(part.system_prompt, part.chat_template_kwargs), slice(span.start, span.stop))
            for part, span in zip(task.tasks.values(), task.spans.values(), strict=True)
        ]

    def _data_parallel(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        sampler = getattr(self.trainer.strategy, "distributed_sampler_kwargs", None)
        return (sampler["rank"], sampler["num_replicas"]) if sampler else (0, 1)

    def _tokenize(self, task: Task, name: str) -> list[tuple[int, list[int]]]:
        problems = [task[i] for i in range(len(task))]
        for i, problem in enumerate(problems):
            check_problem(problem, f"{type(task).__name__} {name!r}, problem {i},")
        if name != "train":
            _check_ids(problems, f"{type(task).__name__} {name!r}")
        if not problems:
            raise Refusal(f"Task {name!r} has no problems.")
        if name == "train":
            self.breakdown = breakdown_of(task, problems)
        ids = [row for part, span in self._renderers(task) for row in part.prompt_ids(p.prompt for p in problems[span])]
        kept = [(i, row) for i, row in enumerate(ids) if 0 < len(row) <= self.max_prompt_tokens]
        if dropped := len(ids) - len(kept):
            rank_zero_warn(
                f"{dropped} of {len(ids)} prompts of {name!r} are empty or longer than "
                f"`data.max_prompt_tokens`={self.max_prompt_tokens} tokens and are left out."
            )
        if not kept:
            raise Refusal(f"No prompt of {name!r} has 1 to `data.max_prompt_tokens`={self.max_prompt_tokens} tokens.")
        rank_zero_info(f"{name}: {len(kept)} prompts")
        return kept


def _check_ids(problems: Sequence[Problem], where: str) -> None:
    """Refuse problems of one id: in a result file the completions of one would count for the other."""
    first: dict[str, int] = {}
    for i, problem in enumerate(problems):
        if first.setdefault(problem.id, i) != i:
            raise Refusal(
                f"{where} needs different ids, but problems {first[problem.id]} and {i} both have {problem.id!r}: "
                "results are kept by them. Number them, or leave out what is there twice."
            )


class DemonstrationDataModule(L.LightningDataModule):
    """Pairs of prompt (a text or a chat) and demonstration of one task, for ``lit-passk sft``.

    Args:
        train: A task with demonstrations.
        batch_size: Pairs a batch.
        seed: Orders the pairs.
    """

    def __init__(self, train: Task, batch_size: int = 128, seed: int = 0) -> None:
        super().__init__()
        if not 1 <= batch_size <= len(train):
            raise Refusal(
                f"`data.batch_size` must be from 1 to the {len(train)} demonstrations of `data.train`, but got "
                f"{batch_size}: only whole batches are trained on."
            )
        self.train = train
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of pairs."""
        pairs = [(self.train[i].prompt, self.train.demonstration(i)) for i in range(len(self.train))]
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(pairs, self.batch_size, shuffle=True, generator=generator, collate_fn=list, drop_last=True)  # type: ignore[arg-type]
