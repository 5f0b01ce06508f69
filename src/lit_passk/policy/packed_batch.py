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
    Tokens of a completion that are not trained are seen all the same; those after its last trained one have no effect
    and are left out.
    """

    input_ids: Tensor
    """Tokens fed to the model, shape ``(S,)``, int64."""
    position_ids: Tensor
    """Position of each token in its prompt plus completion, shape ``(S,)``, int64."""
    predictor_index: Tensor
    """Index of the token whose hidden state predicts the trained token, shape ``(T,)``, int64."""
    labels: Tensor
    """Id of the trained token, shape ``(T,)``, int64."""
    completion_index: Tensor
    """Which of the N completions the trained token belongs to, ascending, shape ``(T,)``, int64."""
    trained_index: Tensor
    """Index of the trained token among the C tokens that ``fed_lengths`` counts, one more each, end to end; ascending,
    shape ``(T,)``, int64."""
    completions: tuple[int, ...]
    """The n completions, ascending."""
    prompt_lengths: tuple[int, ...]
    """Tokens of the p prompts."""
    fed_lengths: tuple[int, ...]
    """Tokens of the n completions that are fed to the model: those before the last trained one of each."""
    trained_lengths: tuple[int, ...]
    """Trained tokens of the n completions, at least 1 each; together T."""
    prompt_of: tuple[int, ...]
    """Which of the p prompts each of the n completions answers, ascending."""

    def to(self, device: torch.device | str) -> PackedBatch:
        """Copy the tensors to ``device``."""
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            predictor_index=self.predictor_index.to(device),
            labels=self.labels.to(device),
            completion_index=self.completion_index.to(device),
            trained_index=self.trained_index.to(device),
        )

    def gather(self, per_completion: Sequence[Tensor]) -> Tensor:
        """Line up per-token data with the trained tokens.

        Args:
            per_completion: N tensors, one value for each token of a completion, trained or not.

        Returns:
            The values of this micro-batch's trained tokens, shape ``(T,)``, on the micro-batch's device.
        """
        device = self.labels.device
        if not self.completions:
            return torch.zeros(0, dtype=per_completion[0].dtype if len(per_completion) else None).to(device)
        values = [per_completion[i][: fed + 1] for i, fed in zip(self.completions, self.fed_lengths, strict=True)]
        return torch.cat(values).to(device)[self.trained_index]  # (C,) -> (T,)

    def split(self, per_token: Tensor) -> tuple[Tensor, ...]:
        """Cut values of trained tokens, shape ``(T,)``, into one tensor for each of the n completions."""
        return per_token.split(list(self.trained_lengths)) if self.completions else ()

    def padded(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same sequences as rows padded on the right, the prompt repeated, for models that cannot be packed.

        Returns:
            Token ids ``(n, L)``, attention mask ``(n, L)`` bool, and for each trained token the index ``(T,)`` of its
            predictor among the ``n * L`` hidden states.
        """
        device = self.input_ids.device
        if not self.completions:
            return self.input_ids[None], torch.ones_like(self.input_ids[None], dtype=torch.bool), self.predictor_index
        prompt_lengths = torch.tensor(self.prompt_lengths, device=device)  # (p,)
        fed = torch.tensor(self.fed_lengths, device=device)  # (n,)
        prompt_of = torch.tensor(self.prompt_of, device=device)  # (n,)
        before = prompt_lengths[prompt_of][:, None]  # (n, 1)
        first_prompt = starts(prompt_lengths)[prompt_of][:, None]  # (n, 1)
        first = (prompt_lengths.sum() + starts(fed))[:, None]  # (n, 1)
        length = max(self.prompt_lengths[p] + f for p, f in zip(self.prompt_of, self.fed_lengths, strict=True))  # L
        column = torch.arange(length, device=device)  # (L,)
        mask = column < before + fed[:, None]  # (n, L)
        # (n, L), into the S tokens
        index = torch.where(column < before, first_prompt + column, first + column - before)
        rows = self.input_ids[torch.where(mask, index, 0)]  # (n, L)
        predictor_column = predictors(before[:, 0] - 1, before[:, 0], fed + 1)  # (C,)
        row = torch.repeat_interleave(torch.arange(len(fed), device=device), fed + 1)  # (C,)
        return rows, mask, (row * length + predictor_column)[self.trained_index]


def lay_out(
    prompt_ids: Sequence[Tensor],
    completion_ids: Sequence[Tensor],
    trained: Sequence[Tensor],
    prompt_of: Sequence[int],
    completions: Sequence[int],
) -> PackedBatch:
    """Put a micro-batch's tokens end to end.

    Args:
        prompt_ids: p tensors of token ids.
        completion_ids: n tensors of token ids, each up to its last trained token.
        trained: Which of them are trained, n tensors of the same lengths, bool.
        prompt_of: Which of the p prompts each completion answers, ascending.
        completions: Which of the step's completions they are, ascending.
    """
    before = torch.tensor([len(ids) for ids in prompt_ids], dtype=torch.int64)  # (p,)
    lengths = torch.tensor([len(ids) for ids in completion_ids], dtype=torch.int64)  # (n,), together C
    owner = torch.tensor(prompt_of, dtype=torch.int64)  # (n,)
    fed = lengths - 1  # (n,)
    nothing = torch.zeros(0, dtype=torch.int64)
    tokens = torch.cat([nothing, *completion_ids])  # (C,)
    is_trained = torch.cat([nothing.bool(), *trained])  # (C,)
    column = ragged_arange(lengths)  # (C,), a token's position in its completion
    is_fed = column < torch.repeat_interleave(fed, lengths)  # (C,)
    position = column + torch.repeat_interleave(before[owner], lengths)  # (C,)
    last = starts(before) + before - 1  # (p,), where each prompt ends
    predictor_index = predictors(last[owner], before.sum() + starts(fed), lengths)  # (C,)
    dummy = nothing if completions else torch.zeros(1, dtype=torch.int64)  # a model wants a token all the same
    return PackedBatch(
        input_ids=torch.cat([*prompt_ids, tokens[is_fed], dummy]),  # (S,)
        position_ids=torch.cat([ragged_arange(before), position[is_fed], dummy]),  # (S,)
        predictor_index=predictor_index[is_trained],  # (T,), as the next three
        labels=tokens[is_trained],
        completion_index=torch.repeat_interleave(torch.tensor(completions, dtype=torch.int64), lengths)[is_trained],
        trained_index=is_trained.nonzero()[:, 0],
        completions=tuple(completions),
        prompt_lengths=tuple(before.tolist()) if completions else (1,),
        fed_lengths=tuple(fed.tolist()),
        trained_lengths=tuple(run_sums(is_trained.long(), lengths).tolist()),
        prompt_of=tuple(prompt_of),
    )


def starts(lengths: Tensor) -> Tensor:
    """Where each of several runs laid end to end begins."""
    return lengths.cumsum(0) - lengths


def ragged_arange(lengths: Tensor) -> Tensor:
    """``0 .. length - 1`` for every length, end to end."""
    total = torch.arange(int(lengths.sum()), device=lengths.device)
    return total - torch.repeat_interleave(starts(lengths), lengths)


def run_sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Sums over several runs laid end to end, in the shape of ``lengths``."""
    return torch.zeros_like(lengths).index_add(0, torch.repeat_interleave(lengths), values)
