"""What a run with rollouts refuses at setup, before time is spent."""

from __future__ import annotations

from lightning.pytorch.utilities import rank_zero_warn

from lit_passk.data.module import PromptDataModule
from lit_passk.engines.limits import check_fits
from lit_passk.errors import Refusal
from lit_passk.policy.source import policy_config, resolve_policy
from lit_passk.types import Sampling


def check_training_sampling(sampling: Sampling) -> None:
    """Refuse to train on completions of another distribution than the policy's."""
    if sampling.top_p < 1 or sampling.top_k > 0:
        raise Refusal(
            f"`rollout.sampling` has top_p={sampling.top_p} and top_k={sampling.top_k}: the policy's "
            "probabilities are over all tokens, so the ratio between the two would be wrong. Use top_p=1 and "
            "top_k=0 in training; `rollout.val_sampling` is free."
        )
    if sampling.temperature == 0:
        raise Refusal("`rollout.sampling.temperature` is 0: greedy completions of a group are all the same.")


def _check_tokens(data: PromptDataModule, name: str, vocab_size: int) -> None:
    """Refuse prompts with tokens for which the model has no embedding: on a GPU that ends in an assertion."""
    largest = data.largest_token(name)
    if largest >= vocab_size:
        raise Refusal(
            f"The tokenizer has {len(data.tokenizer)} tokens and the model embeds {vocab_size}: a prompt of {name!r} "
            f"holds {data.tokenizer.convert_ids_to_tokens(largest)!r} (id {largest}). Take the tokenizer that belongs "
            "to the model, or enlarge its embeddings (`resize_token_embeddings` of transformers) and save both."
        )


def check_lengths_fit(
    data: PromptDataModule, policy_path: str, sampling: Sampling | None, val_sampling: Sampling
) -> None:
    """Refuse prompts that leave no room for their completions; warn if validation cuts earlier than training.

    Args:
        data: Where the prompts are.
        policy_path: The policy, whose positions are the limit.
        sampling: Of the training; None when nothing is trained.
        val_sampling: Of the validation.
    """
    config = policy_config(resolve_policy(policy_path))
    if sampling is not None:
        check_fits(data.longest_prompt("train"), sampling, config)
    for name in data.val:
        check_fits(data.longest_prompt(name), val_sampling, config)
    vocab_size = config.get_text_config().vocab_size
    if len(data.tokenizer) > vocab_size:  # harmless while no prompt has the tokens that are too many
        for name in ["train"] * (sampling is not None) + list(data.val):
            _check_tokens(data, name, vocab_size)
    if sampling is not None and data.val and val_sampling.max_tokens < sampling.max_tokens:
        rank_zero_warn(
            f"Validation cuts completions at {val_sampling.max_tokens} tokens (`rollout.val_sampling.max_tokens`), "
            f"while training samples up to {sampling.max_tokens}: answers that come later count as wrong."
        )
