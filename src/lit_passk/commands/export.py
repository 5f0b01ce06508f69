"""``lit-passk export``: from any checkpoint to a Hugging Face folder that transformers and vLLM load."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import GENERATION_CONFIG_NAME

from lit_passk.checkpointing.files import put_in_place, remove
from lit_passk.checkpointing.model_folders import check_replaceable
from lit_passk.checkpointing.reading import META, check_whole, read_file, read_shards
from lit_passk.checkpointing.run_folder import find_last
from lit_passk.commands.model_card import model_card
from lit_passk.commands.push import check, push
from lit_passk.commands.quiet import quieten
from lit_passk.errors import Refusal
from lit_passk.hub import not_given
from lit_passk.inputs import expanded
from lit_passk.modules.resume_checks import check_base
from lit_passk.policy.checkpoint_names import skeleton
from lit_passk.policy.lora import ADAPTER, LoRA, add_adapter, base_name, peft_config
from lit_passk.policy.sharding import full_tensors, parameters_on_meta
from lit_passk.policy.source import generation_settings, resolve_policy
from lit_passk.results.atomic import writing

log = logging.getLogger(__name__)

PREFIX = "policy.model."
"""Where the Hugging Face model is inside the trained module."""


def main(args: Sequence[str]) -> None:
    """Run ``lit-passk export``; ``args`` are its options."""
    quieten()
    parser = argparse.ArgumentParser(prog="lit-passk export", description=__doc__)
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint, or a run's folder (its newest whole one)")
    parser.add_argument("--out", required=True, help="folder to write; a model's that exists is replaced as a whole")
    parser.add_argument("--policy", help="where the policy's folder is now, if not where the run found it")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="default: as in the checkpoint")
    parser.add_argument("--adapter", action="store_true", help="with LoRA: write the adapter alone, not merged")
    parser.add_argument(
        "--results", nargs="+", default=[], metavar="FILE", help="result files of evaluations, for the model card"
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to the Hugging Face hub, as private")
    parser.add_argument("--public", action="store_true", help="with --push: let anybody see a repository that is made")
    options = parser.parse_args(list(args))
    if options.public and not options.push:
        raise Refusal("`--public` says who may see what `--push OWNER/NAME` uploads: give both.")
    if options.push:
        check(options.push)
    out = expanded(options.out)
    export(options.ckpt_path, out, options.policy, options.dtype, options.adapter, options.results)
    print(f"wrote {options.out}")
    if options.push:
        print(f"pushed to {push(out, options.push, options.public)}")


def export(
    ckpt_path: str | Path,
    out: str | Path,
    policy: str | None = None,
    dtype: str | None = None,
    adapter: bool = False,
    results: Sequence[str | Path] = (),
) -> None:
    """Write a Hugging Face folder: safetensors, tokenizer, generation config and a model card; all of it or nothing.

    Args:
        ckpt_path: A checkpoint, in one file or in shards, or the folder of a run.
        out: Folder to write; that of a model is replaced as a whole, any other that holds something is refused.
        policy: The folder or hub id the run started from, if it is no longer where it was; its configuration and
            tokenizer are read, and under LoRA its weights.
        dtype: Dtype of the weights; None keeps the checkpoint's.
        adapter: With LoRA, write the adapter alone (for ``peft``) instead of merging it.
        results: Result files of evaluations, whose pass@k the model card reports.

    Raises:
        ValueError: If the checkpoint is not whole or not of a ``PassKRLModule``, the policy it started from is not
            where it was, or ``out`` is something else than a model's folder.
    """
    path, out = _find(expanded(ckpt_path)), Path(os.path.abspath(expanded(out)))
    check_replaceable(out)
    checkpoint = _read(path)
    source = str(policy or checkpoint["policy"])
    if adapter and not checkpoint["lora"]:
        raise Refusal(f"`--adapter` was given, but {str(path)!r} is not of a run with LoRA.")
    try:
        source = resolve_policy(source)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        local = isinstance(error, Refusal) or Path(source).is_dir()
        reason = str(error if local else not_given(source, "model", error)).splitlines()[0]
        raise Refusal(
            f"The run started from the policy {source!r}, which cannot be read: {reason} "
            "Say where it is now by `--policy`."
        ) from error
    if out.exists() and Path(source).is_dir() and out.samefile(source):
        raise Refusal(
            f"`--out` {str(out)!r} is the policy that the run started from, which would be lost. Name another."
        )
    if checkpoint["lora"]:
        check_base(checkpoint, source, "`--policy`")
    if adapter:
        _check_writable(checkpoint, source)
    model = None if adapter else _build(checkpoint, source, getattr(torch, dtype) if dtype else None)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    with writing(out, "What was there is as it was: make room, or name another `--out`."):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            if model is None:
                _write_adapter(checkpoint, source, partial)
            else:
                model.save_pretrained(partial)
                if (settings := generation_settings(source)) is not None:
                    # As it is: transformers loads settings of others that it refuses to save.
                    (partial / GENERATION_CONFIG_NAME).write_text(settings, encoding="utf-8")
            tokenizer.save_pretrained(partial)
            (partial / "README.md").write_text(model_card(checkpoint, str(path), source, adapter, results))
            put_in_place(partial, out)
        finally:
            remove(partial)


def _find(path: Path) -> Path:
    """The checkpoint itself, if the folder of a run was given."""
    for folder in (path, path / "checkpoints"):
        if not (path / META).exists() and folder.is_dir() and (last := find_last(folder)) is not None:
            return last
    check_whole(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint without optimizer state, its weights under Hugging Face names."""
    if path.is_dir():
        checkpoint = read_file(path / META) | read_shards(path, prefix="state_dict.")
    else:
        checkpoint = read_file(path, mmap=True)
    state = {k.removeprefix(PREFIX): v for k, v in checkpoint["state_dict"].items() if k.startswith(PREFIX)}
    if not state or "policy" not in checkpoint:
        raise Refusal(f"{str(path)!r} is not a checkpoint of `lit-passk fit`: it holds no policy.")
    if spoilt := next((name for name, values in state.items() if values.isnan().any()), None):
        raise Refusal(f"{str(path)!r} holds NaN in {spoilt}: training broke down. Export an earlier checkpoint.")
    return checkpoint | {"state_dict": state}


def _build(checkpoint: dict[str, Any], source: str, dtype: torch.dtype | None) -> PreTrainedModel:
    """The trained model, adapters merged."""
    state: dict[str, Tensor] = checkpoint["state_dict"]
    if checkpoint["lora"]:
        adapted = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, checkpoint["dtype"]))
        add_adapter(adapted, LoRA(**checkpoint["lora"]))
        unknown = adapted.load_state_dict(state, strict=False).unexpected_keys
        if unknown or not state:
            raise Refusal(
                f"The checkpoint's adapters do not fit {source!r}, which has no layer for {', '.join(unknown[:3])}. "
                "Say by `--policy` where the policy is that the run started from."
            )
        state = dict(full_tensors(adapted))
    kept = dtype or next((values.dtype for values in state.values() if values.is_floating_point()), torch.float32)
    with parameters_on_meta():
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source), dtype=kept)
    try:
        model.load_state_dict({name: values.to(kept) for name, values in state.items()}, assign=True)
    except RuntimeError as error:  # of other shapes, or names
        lines = [line.strip() for line in str(error).splitlines()]
        raise Refusal(
            f"The checkpoint's weights do not fit {source!r} ({lines[min(1, len(lines) - 1)]}). Say by `--policy` "
            "where the policy is that the run started from."
        ) from error
    model.tie_weights()
    # Special tokens alone: the policy's own settings are copied as they are, if it has any.
    kept_tokens = {
        name: getattr(model.generation_config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    model.generation_config = GenerationConfig(**kept_tokens)
    return model


def _check_writable(checkpoint: dict[str, Any], source: str) -> None:
    """Refuse an adapter beside anything but a linear layer, as peft makes for experts that are one tensor a layer."""
    owners = {base_name(name.split(".lora_")[0]) for name in checkpoint["state_dict"]}
    modules = dict(skeleton(source).named_modules())
    if others := sorted(name for name in owners if not isinstance(modules.get(name), (nn.Linear, Conv1D, type(None)))):
        raise Refusal(
            f"`--adapter` cannot write adapters beside {others[0]} and the like: vLLM and other versions of peft have "
            "other forms for them. Leave `--adapter` out, which writes the model with them merged, or train with "
            "`model.lora.target_modules` that name linear layers alone."
        )


def _write_adapter(checkpoint: dict[str, Any], source: str, folder: Path) -> None:
    """The adapter alone, as ``peft`` and vLLM read it."""
    folder.mkdir()
    names = {name: name.replace(f".{ADAPTER}.", ".") for name in checkpoint["state_dict"]}
    model = skeleton(source)
    layers = {name.split(".lora_")[0] for name in names}
    short = {layer.rpartition(".")[2] for layer in layers}
    alike = {name for name, _ in model.named_modules() if name.rpartition(".")[2] in short}
    lora = replace(LoRA(**checkpoint["lora"]), target_modules=sorted(short if alike == layers else layers))
    config = peft_config(
        lora, model.config.model_type, base_model_name_or_path=source, task_type="CAUSAL_LM", inference_mode=True
    )
    config.save_pretrained(str(folder))
    tensors = {f"base_model.model.{new}": checkpoint["state_dict"][old].contiguous() for old, new in names.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
