"""Reads a checkpoint into a model's own names and shapes, a block at a time, by transformers' own conversions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
from transformers.modeling_utils import LoadStateDictConfig
from transformers.utils import logging

from lit_passk.errors import Refusal
from lit_passk.policy.checkpoint_names import block_of


class CheckpointReader:
    """The tensors of a folder or hub id, under the names that ``from_pretrained`` would give them.

    Args:
        path: Local folder with safetensors, or hub id.
        config: The model's configuration.
        dtype: What the tensors are converted to.
    """

    def __init__(self, path: str, config: PreTrainedConfig, dtype: torch.dtype) -> None:
        self.path = path
        self._files = _tensor_files(path)
        self._open: dict[str, Any] = {}
        with torch.device("meta"):
            self._model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        self._dtype = dtype
        self._conversions: list[Any] = get_model_conversion_mapping(self._model)
        self._shapes: dict[str, Tensor] = self._model.state_dict()
        self._keys: dict[str, list[str]] = defaultdict(list)  # the file's names of each block's tensors
        for key in self._files:
            self._keys[block_of(self._name_of(key))].append(key)

    @property
    def conversions(self) -> list[Any]:
        """Transformers' conversions that were used so far; ``save_pretrained`` reverses them."""
        return list(getattr(self._model, "_weight_conversions", None) or [])

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The tensors of these names, those that the checkpoint has, with their whole blocks.

        Raises:
            Refusal: If one has another shape than the model's configuration says.
        """
        keys = sorted({key for name in names for key in self._keys.get(block_of(name), ())})
        tensors = {key: self._slice(key) for key in keys}
        settings = LoadStateDictConfig(dtype=self._dtype, weight_mapping=self._conversions)
        with _quiet():
            type(self._model)._load_pretrained_model(self._model, tensors, None, settings)
        found = {name: t.detach() for name, t in self._model.state_dict().items() if t.device.type != "meta"}
        self._forget(found)
        for key in keys:
            shape, name = tuple(tensors[key].get_shape()), self._name_of(key)
            if name not in found and name in self._shapes and name == key:
                raise Refusal(
                    f"{key!r} of {self.path!r} has shape {shape}, but the model's configuration says "
                    f"{tuple(self._shapes[name].shape)}."
                )
        return found

    def _name_of(self, key: str) -> str:
        """The model's name of a tensor in the file; of several that it is part of, the first."""
        renamings = [c for c in self._conversions if isinstance(c, WeightRenaming)]
        converters = [c for c in self._conversions if isinstance(c, WeightConverter)]
        prefix = self._model.base_model_prefix
        name, _ = rename_source_key(key, renamings, converters, prefix, self._shapes)
        if name not in self._shapes and key in self._shapes:
            name = key
        return name

    def _slice(self, key: str) -> Any:
        file = self._files[key]
        if file not in self._open:
            self._open[file] = safe_open(file, framework="pt")
        return self._open[file].get_slice(key)

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            owner, _, short = name.rpartition(".")
            module = self._model.get_submodule(owner)
            if short in module._parameters:
                module._parameters[short] = torch.nn.Parameter(self._shapes[name], requires_grad=False)
            else:
                module._buffers[short] = self._shapes[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar a block."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _tensor_files(path: str) -> dict[str, str]:
    """Which safetensors file holds which tensor."""
    folder = Path(path)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(path, allow_patterns=["*.safetensors", "*.safetensors.index.json"]))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return {name: str(folder / file) for name, file in json.loads(index.read_text())["weight_map"].items()}
    single = folder / "model.safetensors"
    if not single.is_file():
        raise Refusal(
            f"{path!r} holds no model.safetensors, which sharded loading reads tensor by tensor: load the model with "
            "transformers once, write it with `save_pretrained` and train from that folder."
        )
    with safe_open(single, framework="pt") as file:
        return dict.fromkeys(file.keys(), str(single))
