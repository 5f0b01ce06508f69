"""What a micro-batch is: flat tokens, and which hidden state predicts which trained token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lit_passk.policy.logprobs import predictors


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedBatch:
    """One micro-batch: flat tokens, and which hidden state predicts which trained token.

    A token sees another of its group that does not lie after it and belongs to the prompt or to its own completion.
    """

    input_ids: Tensor
    """Tokens fed to the model, shape ``(S,)``, int64."""
    position_ids: Tensor
    """Place of each token in its prompt plus completion, shape ``(S,)``, int64."""
    source: Tensor
    """Index of the token whose hidden state predicts the trained token, shape ``(T,)``, int64."""
    target: Tensor
    """Id of the trained token, shape ``(T,)``, int64."""
    completion: Tensor
    """Which of the N completions the trained token belongs to, ascending, shape ``(T,)``, int64."""
    completions: tuple[int, ...]
    """The n completions, ascending."""
    prompt_lengths: tuple[int, ...]
    """Tokens of the p prompts."""
    fed_lengths: tuple[int, ...]
    """Tokens of the n completions that are fed to the model: all but the last of each."""
    prompt_of: tuple[int, ...]
    """Which of the p prompts each of the n completions answers, ascending."""

    def to(self, device: torch.device | str) -> PackedBatch:
        """Copy the tensors to ``device``."""
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            source=self.source.to(device),
            target=self.target.to(device),
            completion=self.completion.to(device),
        )

    def gather(self, per_completion: Sequence[Tensor]) -> Tensor:
        """Line up per-token data with the trained tokens.

        Args:
            per_completion: N tensors, one value for each token of a completion.

        Returns:
            The values of this micro-batch's trained tokens, shape ``(T,)``, on the micro-batch's device.
        """
        if not self.completions:
            return torch.zeros(0, dtype=per_completion[0].dtype if len(per_completion) else None).to(self.target.device)
        return torch.cat([per_completion[i] for i in self.completions]).to(self.target.device)

    def padded(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same sequences as rows padded on the right, the prompt repeated, for models that cannot be packed.

        Returns:
            Token ids ``(n, L)``, attention mask ``(n, L)`` bool, and for each trained token the index ``(T,)`` of its
            predictor among the ``n * L`` hidden states.
        """
        device = self.input_ids.device
        if not self.completions:
            return self.input_ids[None], torch.ones_like(self.input_ids[None], dtype=torch.bool), self.source
        prompt_lengths = torch.tensor(self.prompt_lengths, device=device)
        fed = torch.tensor(self.fed_lengths, device=device)
        prompt_of = torch.tensor(self.prompt_of, device=device)
        before = prompt_lengths[prompt_of][:, None]
        first_prompt = starts(prompt_lengths)[prompt_of][:, None]
        first = (prompt_lengths.sum() + starts(fed))[:, None]
        length = max(self.prompt_lengths[p] + f for p, f in zip(self.prompt_of, self.fed_lengths, strict=True))
        column = torch.arange(length, device=device)
        mask = column < before + fed[:, None]
        index = torch.where(column < before, first_prompt + column, first + column - before)
        rows = self.input_ids[torch.where(mask, index, 0)]
        source = predictors(before[:, 0] - 1, before[:, 0], fed + 1)
        row = torch.repeat_interleave(torch.arange(len(fed), device=device), fed + 1)
        return rows, mask, row * length + source


def starts(lengths: Tensor) -> Tensor:
    """Where each of several runs laid end to end begins."""
    return lengths.cumsum(0) - lengths


def ragged_arange(lengths: Tensor) -> Tensor:
    """``0 .. length - 1`` for every length, end to end."""
    total = torch.arange(int(lengths.sum()), device=lengths.device)
    return total - torch.repeat_interleave(starts(lengths), lengths)
