"""Small training runs as command lines, and what one leaves behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lit_passk.modules.sft import build_tokenizer
from lit_passk.results import CompletionRecord
from lit_passk.results.step_files import StepFolder

STEPS = 5


def write_letters(folder: Path, tied: bool = False) -> None:
    tokenizer = build_tokenizer(["U", "D", "L", "R", "A", "B", "C", "E"])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@dataclass
class Run:
    """A finished training."""

    folder: Path
    output: str
    num_processes: int

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return torch.load(self.folder / "run.pt")["weights"]

    @property
    def metrics(self) -> dict[str, float]:
        return torch.load(self.folder / "run.pt")["metrics"]

    def steps(self) -> dict[int, dict[int, Any]]:
        """``{step: {prompt: (completions, advantages)}}`` over all ranks."""
        merged: dict[int, dict[int, Any]] = {}
        for rank in range(self.num_processes):
            for step, prompts in torch.load(self.folder / f"steps-{rank}.pt").items():
                assert not merged.setdefault(step, {}).keys() & prompts.keys(), "two ranks sampled the same prompt"
                merged[step].update(prompts)
        return merged

    def saved(self) -> dict[int, list[CompletionRecord]]:
        """What ``rollout.save`` wrote, by RL step from 1."""
        return dict(StepFolder.open(self.folder / "rollouts").steps())

    def assert_same_saved(self, other: Run) -> None:
        """The same completions in the same order in the file of every step, numbers to rounding."""
        mine, theirs = self.saved(), other.saved()
        assert mine.keys() == theirs.keys()
        for step, records in theirs.items():
            assert [_exact(record) for record in mine[step]] == [_exact(record) for record in records], step
            for one, other in zip(mine[step], records, strict=True):
                assert _rounded(one) == pytest.approx(_rounded(other), abs=1e-5), step

    def assert_same_rollouts(self, other: Run) -> None:
        """The same prompts and completions in every step, and advantages that agree to rounding."""
        mine, theirs = self.steps(), other.steps()
        assert mine.keys() == theirs.keys()
        for step in theirs:
            assert mine[step].keys() == theirs[step].keys()
            for prompt, (completions, advantages) in theirs[step].items():
                assert mine[step][prompt][0] == completions, (step, prompt)
                assert mine[step][prompt][1] == pytest.approx(advantages, abs=1e-6)

    def checkpoint(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step={step}.ckpt"


_ROUNDED = ("mean_logprob", "advantage")


def _exact(record: CompletionRecord) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name not in _ROUNDED}


def _rounded(record: CompletionRecord) -> list[float]:
    return [-99.0 if (value := getattr(record, name)) is None else value for name in _ROUNDED]


def arguments(
    policy: str,
    folder: Path,
    strategy: str,
    num_processes: int,
    *more: str,
    without: Collection[str] = (),
    recorded: bool = True,
) -> list[str]:
    """Command line of a small run: prompts that do not divide by the ranks, several micro- and mini-batches.

    ``without`` names settings that are left out; ``recorded`` has ``Recorder`` write down what the run did.
    """
    settings = {
        "model.policy": policy,
        "model.optimizer": "torch.optim.AdamW",
        "model.optimizer.lr": "1e-3",
        "model.optimizer.weight_decay": "0.1",
        "model.optimizer.fused": "true",
        "model.advantage": "PassKAnalytic",
        "model.advantage.k": "2",
        "model.compute.token_budget": "40",
        "model.num_minibatches": "2",
        "model.ks": "[1,2]",
        "rollout.group_size": "6",
        "rollout.sampling.max_tokens": "6",
        "rollout.val_sampling.max_tokens": "6",
        "rollout.val_sampling.n": "4",
        "rollout.save": "SaveRollouts",
        "data.train": "helpers.counting.MoreUps",
        "data.train.num_problems": "7",
        "data.prompts_per_step": "3",
        "data.val_prompts_per_step": "3",
        "trainer.accelerator": "cpu",
        "trainer.devices": str(num_processes),
        "trainer.max_steps": str(2 * STEPS),
        "trainer.val_check_interval": "2",
        "trainer.logger": "false",
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "trainer.default_root_dir": str(folder),
        "checkpoint.every": "1",
        "checkpoint.keep": "null",
    }
    args = ["fit", *(part for name, value in settings.items() if name not in without for part in (f"--{name}", value))]
    args += ["--data.val", '{"ups": {"class_path": "helpers.counting.MoreUps", "init_args": {"num_problems": 5}}}']
    if strategy == "fsdp2":
        args += ["--trainer.strategy", "ModelParallelStrategy", "--trainer.strategy.tensor_parallel_size", "1"]
        args += ["--trainer.strategy.data_parallel_size", str(num_processes)]
    else:
        args += ["--trainer.strategy", strategy]
    if recorded:
        args += ["--trainer.callbacks+=helpers.recorder.Recorder", "--trainer.callbacks.folder", str(folder)]
    return [*args, *more]


KL = ("--model.kl_coef", "0.05")
LORA = ("--model.lora.rank", "4", "--model.lora.alpha", "8")
