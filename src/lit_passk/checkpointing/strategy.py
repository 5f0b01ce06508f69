"""FSDP2 with checkpoints that are whole or do not exist, and that any number of processes can resume."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.distributed_c10d import _set_pg_timeout

from lit_passk.checkpointing.files import list_files, put_in_place, remove, whole_or_nothing
from lit_passk.checkpointing.plain import load_plain
from lit_passk.checkpointing.reading import META, check_whole, name_parameters, read_file
from lit_passk.errors import Refusal


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's ``ModelParallelStrategy`` for this project: data-parallel by default, safe checkpoints.

    A checkpoint is a folder to which every rank writes its shards (on a file system that all see), or one file.

    Args:
        data_parallel_size: Ranks that parameters are sharded over and prompts are dealt out to; ``auto`` takes all.
        save_distributed_checkpoint: False gathers everything on rank 0 and writes one file.
        process_group_backend: ``nccl``, ``gloo``; None chooses by device.
        timeout: How long a rank waits for the others in a collective before it gives up.
    """

    def __init__(
        self,
        data_parallel_size: int | Literal["auto"] = "auto",
        tensor_parallel_size: int | Literal["auto"] = 1,
        save_distributed_checkpoint: bool = True,
        process_group_backend: str | None = None,
        timeout: timedelta = timedelta(minutes=30),
    ) -> None:
        super().__init__(
            data_parallel_size, tensor_parallel_size, save_distributed_checkpoint, process_group_backend, timeout
        )

    def setup_environment(self) -> None:
        """Open the process group and lay the ranks out."""
        ranks = self.num_nodes * self.num_processes
        if self._data_parallel_size == "auto" and self._tensor_parallel_size != "auto":
            self._data_parallel_size = ranks // self._tensor_parallel_size
        super().setup_environment()
        assert self._timeout is not None
        # torch 2.9 gives each dimension of the mesh a group of its own, later versions some, with another time-out.
        for group in self.device_mesh.get_all_groups():
            _set_pg_timeout(self._timeout, group)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint: all of it or none. A collective."""
        path = Path(self.broadcast(str(filepath)))
        if not self._save_distributed_checkpoint:
            self.checkpoint_io.save_checkpoint(checkpoint, path) if self.is_global_zero else None
            self.barrier()
            return
        with whole_or_nothing(path) as partial:
            if self.is_global_zero:
                remove(partial)
                partial.mkdir()
            self.barrier()
            super().save_checkpoint(checkpoint, partial)
            self.barrier()
            if self.is_global_zero:
                list_files(partial)
                put_in_place(partial, path)
        self.barrier()

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Read shards or a file into the model and its optimizers, whatever the ranks were that wrote it."""
        path = Path(self.broadcast(str(checkpoint_path)))
        check_whole(path)
        return self._load_shards(path) if path.is_dir() else self._load_file(path)

    def _load_shards(self, path: Path) -> dict[str, Any]:
        assert self.model is not None
        rest = read_file(path / META)
        # Under LoRA the frozen weights are those of the policy's own folder and in no checkpoint.
        state: dict[str, Any] = {
            "state_dict": get_model_state_dict(self.model, options=StateDictOptions(ignore_frozen_params=True))
        }
        for i, optimizer in enumerate(self.optimizers):
            state[f"optimizer_{i}"] = get_optimizer_state_dict(self.model, optimizer)
        try:
            load_plain(state, path)
        except CheckpointException as error:
            what = next(failure for failure, _ in error.failures.values())
            raise Refusal(
                f"The checkpoint {str(path)!r} does not fit this run, or is damaged: {str(what).splitlines()[0]} It is "
                f"of the policy {rest.get('policy')!r}; set `model.policy`, `model.lora` and `model.optimizer` to what "
                "that run had."
            ) from error
        set_model_state_dict(self.model, state["state_dict"], options=StateDictOptions(strict=self._strict))
        for i, optimizer in enumerate(self.optimizers):
            set_optimizer_state_dict(self.model, optimizer, state[f"optimizer_{i}"])
        return rest

    def _load_file(self, path: Path) -> dict[str, Any]:
        assert self.model is not None
        assert self.lightning_module is not None
        checkpoint = read_file(path, mmap=True)
        self.lightning_module.on_load_checkpoint(checkpoint)  # before its weights are put into a model they do not fit
        whole = StateDictOptions(full_state_dict=True, strict=self._strict)
        set_model_state_dict(
            self.model, dict(checkpoint["state_dict"]), options=whole
        )  # torch adds to what it is given
        names = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=False):
            set_optimizer_state_dict(self.model, optimizer, name_parameters(state, names), options=whole)
        return checkpoint

    @property
    def _strict(self) -> bool:
        assert self.lightning_module is not None
        return self.lightning_module.strict_loading
