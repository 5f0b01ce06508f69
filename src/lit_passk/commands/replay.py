"""``lit-passk replay FILE``: run an RL step that was saved again, with more checks, and say what differs and where."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.commands import short_names  # noqa: F401 - see there
from lit_passk.commands.quiet import quieten
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded, parse_yaml, read_yaml
from lit_passk.modules import PassKRLModule
from lit_passk.modules.replay import Finding, replay
from lit_passk.results.saved_step import SavedStep, read_step


def main(args: Sequence[str]) -> int:
    """Run ``lit-passk replay``; ``args`` are its options.

    Returns:
        The exit status: 1 if anything is not as it should be, else 0.
    """
    parser = argparse.ArgumentParser(prog="lit-passk replay", description=__doc__)
    parser.add_argument("file", type=Path, help="<run>/replay/step_000123.safetensors; it is not changed")
    parser.add_argument("--ckpt_path", type=Path, help="the weights it began with, if not beside the file")
    parser.add_argument("--policy", help="where the policy's folder is now, if not where the run found it")
    parser.add_argument("--config", type=Path, help="configuration of a run that was not started by the command line")
    parser.add_argument("--device", help="cpu or cuda; by default a GPU if there is one")
    options = parser.parse_args(list(args))
    quieten()
    device, saved = _device(options.device), read_step(expanded(options.file))
    module = build(saved, options.config, options.policy)
    module.configure_model()
    _check_tokens(module, saved)
    source, same_weights = load_weights(module, saved, expanded(options.file), options.ckpt_path)
    module.to(device)
    if module.reference is not None:
        module.reference.to(device)
    print(f"RL step {saved.step} of a run from {saved.policy}, saved because: {saved.reason}")
    print(f"with the weights of {source}" + ("" if same_weights else ": not those that the step began with"))
    findings = []
    for finding in replay(module, saved, same_weights):
        print(_line(finding), flush=True)
        findings.append(finding)
    return int(any(finding.wrong for finding in findings))


def build(saved: SavedStep, config: Path | None, policy: str | None) -> PassKRLModule:
    """The module as the run had it, without optimizer.

    Raises:
        Refusal: If its configuration cannot be read.
    """
    where = str(config) if config is not None else "the configuration in the file"
    content: Any = read_yaml(expanded(config)) if config is not None else parse_yaml(saved.config, where)
    if content is None:
        raise Refusal(
            "The run was not started by the command line, so the file does not say how it trained: write `model:` with "
            "its settings (advantage, loss, ...) into a YAML file and give it by `--config`."
        )
    settings = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(settings, Mapping):
        raise Refusal(f"{where} has no `model`.")
    kept = {name: value for name, value in settings.items() if name not in ("optimizer", "lr_scheduler")}
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(PassKRLModule, "model")
    try:
        parsed = parser.parse_object({"model": {**kept, "policy": policy or saved.policy}})
        module: PassKRLModule = parser.instantiate_classes(parsed).model
    except ArgumentError as error:
        raise Refusal(f"`model` of {where} cannot be built: {error.message}") from error
    module.compute = replace(module.compute, activation_checkpointing=False, compile_blocks=False)
    return module


def _check_tokens(module: PassKRLModule, saved: SavedStep) -> None:
    known: Any = module.policy.model.get_input_embeddings().num_embeddings
    sequences = [ids for group in saved.groups for ids in (group.prompt_ids, *(c.token_ids for c in group.completions))]
    if (largest := max(chain(*sequences), default=0)) >= known:
        raise Refusal(
            f"The step holds token {largest}, but the policy {module.policy_path!r} embeds {known}: name by `--policy` "
            "the one that the run started from."
        )


def _device(name: str | None) -> torch.device:
    """The device of an option; None takes a GPU if there is one."""
    gpus = torch.cuda.device_count()
    try:
        device = torch.device(name or ("cuda" if gpus else "cpu"))
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= gpus):
        raise Refusal(f"`--device` must be cpu or one of this machine's {gpus} GPUs (cuda, cuda:1), but is {name!r}.")
    return device


def load_weights(module: PassKRLModule, saved: SavedStep, file: Path, ckpt_path: Path | None) -> tuple[str, bool]:
    """Give a module the weights that a step began with, or those it can have.

    Returns:
        Where they are from, and whether they are the step's.
    """
    beside = file.parent / Path(saved.weights).name if saved.weights else None
    path = expanded(ckpt_path) if ckpt_path is not None else beside
    module.rl_step = saved.step - 1
    if path is None or (ckpt_path is None and not path.exists()):
        return module.policy_path, saved.step == 1
    checkpoint = CheckpointFiles().load_checkpoint(path)
    try:
        module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
    except RuntimeError as error:
        raise Refusal(f"The weights of {str(path)!r} do not fit the policy: {error}") from error
    rl_step = checkpoint["rl_step"]
    module.on_load_checkpoint(checkpoint)
    module.rl_step = saved.step - 1
    return f"{path} (after {rl_step} RL steps)", rl_step == saved.step - 1


def _line(finding: Finding) -> str:
    return f"{'!' if finding.wrong else ' '} {finding.what:12s}{finding.text}"
