"""The names and shapes that a model's tensors have in a checkpoint, where they differ from those in memory.

transformers keeps some layers in another form than their files do: the experts of a mixture are one tensor a layer in
memory and one tensor an expert in a file, other layers are renamed. Engines beside the training read files' names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from lit_passk.policy.lora import base_name, is_adapter


class CheckpointNames:
    """Translates a model's tensors into those that ``save_pretrained`` would write.

    Args:
        model: The model, which may have adapters or be sharded. If ``from_pretrained`` loaded it, the names are those
            of the files it came from.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        state = {base_name(name): t for name, t in model.state_dict(keep_vars=True).items() if not is_adapter(name)}
        shapes = {name: torch.empty(t.shape, dtype=t.dtype, device="meta") for name, t in state.items()}
        reverted = revert_weight_conversion(model, shapes)
        self._changed = {name for name, t in shapes.items() if reverted.get(name) is not t}
        first: dict[int, str] = {}
        renamed = {id(tensor): name for name, tensor in reverted.items()}
        in_files = {name: renamed.get(id(tensor), name) for name, tensor in shapes.items()}
        self.tied = {in_files[n]: in_files[first[id(t)]] for n, t in state.items() if first.setdefault(id(t), n) != n}
        """Names, in files, of tensors that are another one under a second name, and that one's name."""

    def translate(self, named_tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors of a checkpoint; holds no more at once than those of a block that have to be converted.

        Args:
            named_tensors: Items of the model's ``state_dict()``, block by block as they come from there.
        """
        waiting: dict[str, Tensor] = {}
        block = None
        for name, tensor in named_tensors:
            if waiting and block_of(name) != block:
                yield from revert_weight_conversion(self._model, waiting).items()
                waiting = {}
            if name in self._changed:
                waiting[name], block = tensor, block_of(name)
            else:
                yield name, tensor
        if waiting:
            yield from revert_weight_conversion(self._model, waiting).items()


def skeleton(path: str) -> PreTrainedModel:
    """The model of a folder or hub id without values, for its names and shapes."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path))


def block_of(name: str) -> str:
    """The name up to its first number: ``model.layers.3`` of anything inside that block."""
    parts = name.split(".")
    numbers = [i for i, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1]) if numbers else name
