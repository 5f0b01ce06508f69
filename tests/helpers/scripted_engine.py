"""A rollout engine that samples nothing: it answers from a script, and keeps to the engine contract while doing so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from lit_passk.engines.base import RolloutEngine
from lit_passk.types import Completion, Sampling

Script = Callable[[tuple[int, ...], int], tuple[Sequence[int], Sequence[float]]]


class ScriptedEngine(RolloutEngine):
    """Answers a prompt's sample i with ``script(prompt, seeds[p] + i)``, as the contract demands.

    A token that ends a completion ends it here too, and ``sampling.max_tokens`` cuts it. What cannot happen to a real
    engine is an assertion: sampling before ``start``, asleep, or without weights; weights that are not streamed to the
    end.

    Args:
        script: Token ids and their log-probabilities for a prompt and a seed. One that names no end token runs to
            ``max_tokens``.
        version: Version after ``start``; 0 holds the weights of the policy's folder, -1 none.
        order: In which groups are yielded, given their number; None is the order of the prompts.
        beside_training: What ``samples_beside_training`` says. ``interrupt`` makes ``generate`` raise before its next
            group.
    """

    needs_policy = False

    def __init__(
        self,
        script: Script,
        version: int = 0,
        order: Callable[[int], Sequence[int]] | None = None,
        beside_training: bool = False,
    ) -> None:
        self.script = script
        self.order = order
        self.calls: list[str] = []
        """Every call since the engine was made, by name, in order; ``load_weights 3`` names the version."""
        self.requests: list[tuple[list[list[int]], Sampling, list[int]]] = []
        """Arguments of every ``generate``."""
        self.weights: dict[str, Tensor] = {}
        """Copies of the tensors that came last."""
        self._first_version = version
        self._eos: frozenset[int] | None = None
        self._beside_training = beside_training
        self._asleep = self._interrupted = False

    @property
    def samples_beside_training(self) -> bool:
        return self._beside_training

    def start(self, policy_path: str, policy: object, eos_token_ids: Sequence[int]) -> None:
        self.calls.append("start")
        self._eos = frozenset(eos_token_ids)
        self.version = self._first_version

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        assert self._eos is not None, "load_weights before start"
        assert not self._asleep, "load_weights while asleep"
        self.calls.append(f"load_weights {version}")
        self.weights = {name: tensor.detach().clone() for name, tensor in named_tensors}
        self.version = version

    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        assert self._eos is not None, "generate before start"
        assert not self._asleep, "generate while asleep"
        assert self.version >= 0, "generate without weights"
        assert len(seeds) == len(prompt_ids)
        assert sampling.n is not None
        self.calls.append("generate")
        self.requests.append(([list(p) for p in prompt_ids], sampling, list(seeds)))
        self._interrupted = False
        num = len(prompt_ids)
        for p in self.order(num) if self.order is not None else range(num):
            if self._interrupted:
                raise RuntimeError("interrupted")
            yield p, [self._completion(tuple(prompt_ids[p]), seeds[p] + i, sampling) for i in range(sampling.n)]

    def sleep(self) -> None:
        self.calls.append("sleep")
        self._asleep = True

    def wake(self) -> None:
        self.calls.append("wake")
        self._asleep = False

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        self._interrupted = True

    def close(self) -> None:
        self.calls.append("close")
        self._eos, self.version = None, -1

    def _completion(self, prompt: tuple[int, ...], seed: int, sampling: Sampling) -> Completion:
        assert self._eos is not None
        tokens, logprobs = self.script(prompt, seed)
        assert len(tokens) == len(logprobs) > 0
        ends = [t for t, token in enumerate(tokens) if token in self._eos]
        length = min(ends[0] + 1 if ends else sampling.max_tokens, sampling.max_tokens)
        assert length <= len(tokens), f"the script of {prompt} has {len(tokens)} tokens, no end token, not {length}"
        return Completion(
            token_ids=list(tokens[:length]),
            logprobs=[float(value) for value in logprobs[:length]],
            finish_reason="stop" if tokens[length - 1] in self._eos else "length",
            version=self.version,
        )
