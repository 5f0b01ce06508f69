"""Where the first value lies that is not finite: in which module, at which token of which completion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lit_passk.policy.packed_batch import PackedBatch
from lit_passk.rollout.collate import scored
from lit_passk.types import ScoredGroup


class Places:
    """Names for completions: those that training sees are numbered over a step, a user knows problem and sample.

    Args:
        groups: Of the step.
        samples: Group and sample of each numbered completion; None are all that training sees.
    """

    def __init__(self, groups: Sequence[ScoredGroup], samples: Sequence[tuple[int, int]] | None = None) -> None:
        self.groups = groups
        self.samples = list(_seen(groups)) if samples is None else samples

    def of(self, rows: Sequence[int]) -> Places:
        """The names where only these completions are numbered."""
        return Places(self.groups, [self.samples[row] for row in rows])

    def sample(self, group: int, sample: int) -> str:
        """A completion by its group in the step."""
        return f"sample {sample} of problem {self.groups[group].problem.id!r}"

    def completion(self, number: int) -> str:
        """A completion by its number."""
        return self.sample(*self.samples[number])

    def token(self, number: int, token: int, token_id: int) -> str:
        """A token of a completion."""
        return f"token {token} (id {token_id}) of {self.completion(number)}"


def _seen(groups: Sequence[ScoredGroup]) -> Iterator[tuple[int, int]]:
    for number, group in enumerate(groups):
        trained = {id(completion) for completion, _ in scored(group) if len(completion.token_ids) > 0}
        yield from ((number, i) for i, completion in enumerate(group.completions) if id(completion) in trained)


class FirstNonFinite:
    """Watches one forward and backward pass of a policy; a context.

    Args:
        policy: The policy.
        micro: What it is called with.
        places: Names of the completions in it.
    """

    def __init__(self, policy: nn.Module, micro: PackedBatch, places: Places) -> None:
        self.forward: str | None = None
        self.backward: str | None = None
        self._policy, self._micro, self._places = policy, micro, places
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> FirstNonFinite:
        for name, module in self._policy.named_modules():
            self._handles.append(module.register_forward_hook(self._hook(name.removeprefix("model."), module)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str, module: nn.Module) -> Callable[..., None]:
        what = f"the output of {name} ({type(module).__name__})" if name else "the log-probabilities"

        def look(module: nn.Module, args: Any, output: Any) -> None:
            if not torch.is_grad_enabled():  # the reference, or log-probabilities alone
                return
            for tensor in _tensors(output):
                if self.forward is None and not bool(tensor.detach().isfinite().all()):
                    self.forward = what + self._place(tensor.detach())
                if tensor.requires_grad and self.backward is None:
                    tensor.register_hook(look_back)

        def look_back(gradient: Tensor) -> None:
            if self.backward is None and not bool(gradient.isfinite().all()):
                self.backward = f"the gradient of {what}{self._place(gradient)}"

        return look

    def _place(self, values: Tensor) -> str:
        """At which token the first value that is not finite lies, where the tensor has a row for each."""
        micro = self._micro
        bad = ~values.isfinite()
        if values.shape[:1] == micro.labels.shape and values.ndim == 1:  # (T,) trained tokens
            index = int(bad.nonzero()[0, 0])
            completion = int(micro.completion_index[index])
            first = int((micro.completion_index == completion).nonzero()[0, 0])
            return f" at trained token {index - first} (id {int(micro.labels[index])}) of " + self._places.completion(
                completion
            )
        flat = bad[0] if bad.ndim > 1 and bad.shape[0] == 1 else bad
        if flat.shape[:1] == micro.input_ids.shape:  # (1, S, ...) or (S, ...)
            return " at " + self._fed(int(flat.flatten(1).any(1).nonzero()[0, 0]))
        if bad.ndim == 3 and len(bad) == len(micro.completions):  # (n, L, ...), of a model that cannot be packed
            row, column = bad.any(2).nonzero()[0].tolist()
            return f" at position {column} of prompt and {self._places.completion(micro.completions[row])}"
        return ""

    def _fed(self, row: int) -> str:
        """One of the S tokens that are fed to the model: prompts first, then completions."""
        micro, token_id = self._micro, int(self._micro.input_ids[row])
        lengths = [*micro.prompt_lengths, *micro.fed_lengths]
        ends = list(accumulate(lengths))
        part = next(i for i, end in enumerate(ends) if row < end)
        inside = row - (ends[part] - lengths[part])
        of_completion = part - len(micro.prompt_lengths)
        if of_completion >= 0:
            return self._places.token(micro.completions[of_completion], inside, token_id)
        answers = next(i for i, prompt in enumerate(micro.prompt_of) if prompt == part)
        group, _ = self._places.samples[micro.completions[answers]]
        return f"token {inside} (id {token_id}) of the prompt of problem {self._places.groups[group].problem.id!r}"


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield from [output] if output.is_floating_point() else []
    elif isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)
