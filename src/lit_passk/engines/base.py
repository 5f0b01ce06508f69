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

    The calls of a run, in this order: ``start``; then for every step ``wake``, ``load_weights`` if ``version`` is not
    the step's, ``generate``, and ``sleep`` while the policy trains; ``close`` at the end, also after an error. Engines
    never touch the global random states.

    An engine of your own is a subclass in a file of yours, named by ``rollout.engine.class_path``. It implements
    ``start``, ``load_weights`` and ``generate``, and keeps ``version``, ``dtype`` and ``quantized`` true.
    """

    needs_policy: bool = True
    """False when the engine loads its own weights from the policy's path, so that evaluation builds no second copy."""

    dtype: torch.dtype = torch.float32
    """Precision of the weights in use; known after ``start``."""

    quantized: bool = False
    """True when weights, activations or the KV cache are stored in fewer bits than ``dtype`` (fp8, int4, ...).

    Such an engine samples from another distribution than the policy's even in float32, so its completions never count
    as exactly on-policy: they are corrected like those of a coarser dtype. Known after ``start``.
    """

    version: int = -1
    """Which of the policy's weights ``generate`` samples with: the number of RL steps trained before.

    The engine sets it. ``start`` sets 0 if the engine read the policy's folder itself, since those are the weights that
    training begins with: at RL step 0 nothing has to be sent then. -1 means that there are no weights to sample with:
    before ``start``, after one that read none, after a ``sleep`` that dropped them, after ``close``. ``load_weights``
    sets the version it was given, once every tensor is in place. The caller sends weights whenever this is not the
    version it wants, and stops the run when a completion says another one.
    """

    memory_settings: Sequence[str] = ("lower `rollout.sampling.max_tokens`", "lower `rollout.group_size`")
    """What to change where memory runs out in the engine, such as "lower `rollout.engine.batch_size`"."""

    @property
    def samples_beside_training(self) -> bool:
        """Whether ``generate`` may run in a thread of its own while the policy trains.

        It must then be no collective and end after ``interrupt``; weights come between two such runs.
        """
        return False

    @abstractmethod
    def start(self, policy_path: str, policy: PreTrainedModel | None, eos_token_ids: Sequence[int]) -> None:
        """Get ready to sample and set ``version`` (see there), ``dtype`` and ``quantized``.

        Args:
            policy_path: Folder or hub id the policy was loaded from.
            policy: The live policy, for engines that sample with it; None when ``needs_policy`` is False and no policy
                was built.
            eos_token_ids: Token ids that end a completion.
        """

    @abstractmethod
    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Take the policy's weights, then set ``self.version = version``.

        An engine that could not place one of them raises, before a token is sampled with a mixture of two versions.

        Args:
            named_tensors: The items of the policy's ``state_dict()``, whole tensors on any device, one at a time; a
                tied head comes under its own name as well. Every rank of a sharded policy must exhaust it: gathering a
                tensor is a collective.
            version: What ``version`` is afterwards.

        Raises:
            CannotRun: If a tensor found no place, or a weight of the engine got none.
        """

    @abstractmethod
    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Sample ``sampling.n`` completions of each prompt.

        Args:
            prompt_ids: P prompts as token ids.
            sampling: Temperature, limits and, in ``n``, the completions per prompt.
            seeds: One base seed per prompt; sample i uses ``seeds[p] + i``, whatever else is in the batch.

        Yields:
            ``(prompt index, its completions)``, a whole group at a time, in the order in which they finish. A
            completion ends with one of ``start``'s end tokens, which it contains (``finish_reason`` ``stop``), or at
            ``sampling.max_tokens`` (``length``); its log-probabilities are those of the distribution sampled from, and
            its ``version`` is the engine's.
        """

    def sleep(self) -> None:  # noqa: B027 - engines that share the policy's memory have nothing to free
        """Free what training could use (weights, KV cache)."""

    def wake(self) -> None:  # noqa: B027
        """Undo ``sleep`` before ``load_weights`` and ``generate``."""

    def interrupt(self) -> None:  # noqa: B027
        """Make a ``generate`` that runs in another thread raise soon; called again until it did."""

    def close(self) -> None:  # noqa: B027
        """Release everything; safe to call twice."""
