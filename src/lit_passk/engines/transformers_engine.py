"""The embedded default engine: samples with the policy itself, on any machine, for any Hugging Face causal LM."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from lit_passk.engines import decoding
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.limits import check_fits, longest_of
from lit_passk.errors import CannotRun, Refusal
from lit_passk.functional.random import uniform
from lit_passk.types import Completion, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TransformersEngine(RolloutEngine):
    """Batched sampling with a key-value cache; each prompt is computed once a group, finished rows leave the batch.

    A model that carries more than keys and values from token to token (recurrent, hybrid) is computed from the first
    token again for every new one, which is slow; see ``decoding.py``.

    It shares the policy's weights, so there is nothing to synchronise. A policy that is sharded over processes cannot
    be run by one rank alone: then the engine keeps a full copy of its own, which is meant for tests and small models.

    Args:
        batch_size: Completions that are sampled together; bounds the memory of the cache. A group that is larger is
            sampled in parts.
    """

    memory_settings = ("lower `rollout.engine.batch_size`", *RolloutEngine.memory_settings)

    def __init__(self, batch_size: int = 512) -> None:
        if batch_size < 1:
            raise Refusal(f"TransformersEngine needs batch_size >= 1, but got {batch_size}.")
        self.batch_size = batch_size
        self._model: PreTrainedModel | None = None
        self._owns_model = False
        self._eos_token_ids: list[int] = []

    def start(self, policy_path: str, policy: PreTrainedModel | None, eos_token_ids: Sequence[int]) -> None:
        """Sample with ``policy`` from now on; ``policy_path`` is not read."""
        if policy is None:
            raise RuntimeError("TransformersEngine samples with the live policy, but was given none.")
        self._eos_token_ids = list(eos_token_ids)
        self.version = -1  # a copy has no weights before `load_weights`
        self.dtype = policy.dtype
        self.quantized = bool(getattr(policy, "is_quantized", False))  # by its own checkpoint, in an evaluation
        self._owns_model = any(isinstance(p, DTensor) for p in policy.parameters())
        self._model = _unsharded_copy(policy) if self._owns_model else policy

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Copy the tensors into the engine's own model; a shared policy has its weights already."""
        if self._owns_model:
            assert self._model is not None
            own = self._model.state_dict()
            for name, tensor in named_tensors:
                own[name].copy_(tensor)
        self.version = version

    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Sample batch after batch, prompts in order of length so that little is padded.

        Raises:
            Refusal: If a prompt and ``max_tokens`` do not fit into the model's positions.
            CannotRun: If the policy's logits are not numbers.
        """
        if self._model is None:
            raise RuntimeError("TransformersEngine.generate was called before start.")
        check_fits(longest_of(prompt_ids), sampling, self._model.config)
        return self._generate(prompt_ids, sampling, seeds)

    def _generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        group_size = sampling.n or 1
        prompts_at_once = max(1, self.batch_size // group_size)
        order = sorted(range(len(prompt_ids)), key=lambda i: len(prompt_ids[i]))
        for begin in range(0, len(order), prompts_at_once):
            chunk = order[begin : begin + prompts_at_once]
            groups: list[list[Completion]] = [[] for _ in chunk]
            for first in range(0, group_size, self.batch_size):  # more than once for a group larger than a batch
                size = min(self.batch_size, group_size - first)
                parts = self._sample([prompt_ids[i] for i in chunk], [seeds[i] + first for i in chunk], size, sampling)
                for group, part in zip(groups, parts, strict=True):
                    group.extend(part)
            yield from zip(chunk, groups, strict=True)

    def close(self) -> None:
        """Let go of the model."""
        self._model = None

    @torch.no_grad()
    @torch.compiler.set_stance("force_eager")  # blocks compiled for training see other shapes at every token here
    def _sample(
        self, prompts: list[Sequence[int]], seeds: list[int], group_size: int, sampling: Sampling
    ) -> list[list[Completion]]:
        model = self._model
        assert model is not None
        was_training = model.training
        model.eval()  # no dropout while sampling
        try:
            tokens, logprobs, lengths, stopped = self._decode(model, prompts, seeds, group_size, sampling)
        finally:
            model.train(was_training)
        if bool(logprobs.isnan().any()):
            raise CannotRun(_not_numbers(model, self.version))
        completions = [
            Completion(
                token_ids=ids[:length],
                logprobs=values[:length],
                finish_reason="stop" if stop else "length",
                version=self.version,
            )
            for ids, values, length, stop in zip(
                tokens.tolist(), logprobs.tolist(), lengths.tolist(), stopped.tolist(), strict=True
            )
        ]
        return [completions[i : i + group_size] for i in range(0, len(completions), group_size)]

    def _decode(
        self,
        model: PreTrainedModel,
        prompts: list[Sequence[int]],
        seeds: list[int],
        group_size: int,
        sampling: Sampling,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens and log-probs ``(rows, max_tokens)``, lengths ``(rows,)`` and whether each row ended by itself."""
        device = model.device
        eos = torch.tensor(self._eos_token_ids, device=device)
        under_way = decoding.begin(model, prompts, group_size)
        num_rows = len(under_way.logits)
        row_seeds = torch.tensor([s + i for s in seeds for i in range(group_size)], device=device)
        tokens = torch.zeros(num_rows, sampling.max_tokens, dtype=torch.int64, device=device)
        logprobs = torch.zeros(num_rows, sampling.max_tokens, dtype=torch.float32, device=device)
        lengths = torch.full((num_rows,), sampling.max_tokens, device=device)
        stopped = torch.zeros(num_rows, dtype=torch.bool, device=device)
        rows = torch.arange(num_rows, device=device)  # the row of `tokens` that each row of the batch is

        for t in range(sampling.max_tokens):
            token, logprob = sample_tokens(under_way.logits, uniform(row_seeds[rows], t), sampling)
            tokens[rows, t], logprobs[rows, t] = token, logprob
            ended = torch.isin(token, eos) & ~stopped[rows]
            lengths[rows[ended]] = t + 1
            stopped[rows[ended]] = True
            alive = ~stopped[rows]
            num_alive = int(alive.sum())
            if num_alive == 0 or t + 1 == sampling.max_tokens:
                break
            if num_alive < 0.8 * len(rows):  # finished rows cost as much as live ones; copying the cache costs less
                keep = alive.nonzero()[:, 0]
                under_way.keep(keep)
                rows, token = rows[keep], token[keep]
            under_way.append(token)
        return tokens, logprobs, lengths, stopped


def sample_tokens(logits: Tensor, u: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Draw one token per row by inverting the cumulative distribution at ``u``.

    Args:
        logits: Shape ``(N, V)``, any float type.
        u: Shape ``(N,)``, float64 in (0, 1); unused when the temperature is 0.
        sampling: Temperature, top-p and top-k.

    Returns:
        Tokens ``(N,)`` int64 and their log-probabilities ``(N,)`` float32 under the distribution that was sampled from
        (after temperature, top-p and top-k). Greedy decoding reports the log-probability at temperature 1.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        logprobs = logits.log_softmax(-1)
        token = logits.argmax(-1)
        return token, logprobs.gather(1, token[:, None])[:, 0]
    logits = logits / sampling.temperature
    if sampling.top_k > 0 or sampling.top_p < 1:
        logits = _restrict(logits, sampling)
    logprobs = logits.log_softmax(-1)
    cdf = logprobs.exp().cumsum(-1, dtype=torch.float64)
    # The first token whose cumulative mass exceeds the target has positive mass, so excluded tokens are never drawn.
    target = torch.minimum(u[:, None] * cdf[:, -1:], torch.nextafter(cdf[:, -1:], cdf.new_zeros(())))
    token = torch.searchsorted(cdf, target, right=True).clamp(max=logits.shape[-1] - 1)  # logits that are NaN have none
    return token[:, 0], logprobs.gather(1, token)[:, 0]


def _restrict(logits: Tensor, sampling: Sampling) -> Tensor:
    """Set the logits outside top-k, then outside the nucleus of mass ``top_p``, to minus infinity."""
    ordered, order = logits.sort(-1, descending=True)
    if sampling.top_k > 0:
        ordered[:, sampling.top_k :] = -torch.inf
    mass_before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
    mass_before[:, 0] = 0.0
    ordered = ordered.masked_fill(mass_before >= sampling.top_p, -torch.inf)
    return torch.empty_like(logits).scatter_(1, order, ordered)


def _not_numbers(model: PreTrainedModel, version: int) -> str:
    bad = [name for name, parameter in model.named_parameters() if not bool(parameter.isfinite().all())]
    what = f"hold NaN or infinity in {len(bad)} tensors, {bad[0]} first" if bad else f"overflow in {model.dtype}"
    return (
        f"Nothing can be sampled: the logits are NaN, because the policy's weights {what} (after {version} RL steps). "
        "Look at the folder it was loaded from if that is 0; else go back to an earlier checkpoint and lower "
        "the learning rate (`model.optimizer.lr`)."
    )


def _unsharded_copy(policy: PreTrainedModel) -> PreTrainedModel:
    """An empty model of the same architecture on this rank's device; ``load_weights`` fills it."""
    with torch.random.fork_rng():  # building it draws its initial weights
        own = type(policy)(copy.deepcopy(policy.config))
    parameter = next(policy.parameters())
    own.to(device=parameter.device, dtype=parameter.dtype)  # type: ignore[call-arg]
    return own.eval().requires_grad_(False)
