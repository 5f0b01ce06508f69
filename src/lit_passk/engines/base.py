"""The contract between the trainer and whatever samples completions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_passk.types import Completion, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class RolloutEngine(ABC):
    """Samples groups of completions with weights it was given.

    Life: ``start`` once, then any number of ``load_weights`` and ``generate``, ``sleep`` while the policy trains and
    ``wake`` before the next rollout, ``close`` at the end. Engines never touch the global random states.
    """

    needs_policy: bool = True
    """False when the engine loads its own weights from the policy's path, so that evaluation builds no second copy."""

    dtype: torch.dtype = torch.float32
    """Precision of the weights in use; known after ``start``."""

    version: int = -1
    """Version of the weights in use; -1 before ``start``."""

    @property
    def samples_beside_training(self) -> bool:
        """Whether ``generate`` may run in a thread of its own while the policy trains.

        It must then be no collective and end after ``interrupt``; weights come between two such runs.
        """
        return False

    @abstractmethod
    def start(self, policy_path: str, policy: PreTrainedModel | None, eos_token_ids: Sequence[int]) -> None:
        """Get ready to sample.

        Args:
            policy_path: Folder or hub id the policy was loaded from.
            policy: The live policy, for engines that sample with it; None when ``needs_policy`` is False and no policy
                was built.
            eos_token_ids: Token ids that end a completion.
        """

    @abstractmethod
    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Take the policy's weights: ``state_dict()`` items under Hugging Face names, full tensors, streamed.

        Every rank of a sharded policy must exhaust the iterable: gathering a tensor is a collective.
        """

    @abstractmethod
    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Sample ``sampling.n`` completions of each prompt.

        Args:
            prompt_ids: P prompts as token ids.
            sampling: Temperature, limits and, in ``n``, the completions a prompt.
            seeds: One base seed a prompt; sample i uses ``seeds[p] + i``, whatever else is in the batch.

        Yields:
            ``(prompt index, its completions)``, a whole group at a time, in the order in which they finish.
        """

    def sleep(self) -> None:  # noqa: B027 - engines that share the policy's memory have nothing to free
        """Free what training could use (weights, KV cache)."""

    def wake(self) -> None:  # noqa: B027
        """Undo ``sleep`` before ``load_weights`` and ``generate``."""

    def interrupt(self) -> None:  # noqa: B027
        """Make a ``generate`` that runs in another thread raise soon; called again until it did."""

    def close(self) -> None:  # noqa: B027
        """Release everything; safe to call twice."""
