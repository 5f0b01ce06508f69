"""What a run with rollouts refuses before time is spent, a sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.utilities import rank_zero_info

from lit_passk.errors import Refusal

if TYPE_CHECKING:
    from lit_passk.callbacks.rollout import RolloutCallback
    from lit_passk.modules import PassKRLModule


def check_training(rollout: RolloutCallback, pl_module: PassKRLModule) -> None:
    """Raise a ValueError for settings that cannot train."""
    sampling = rollout.sampling
    if sampling.top_p < 1 or sampling.top_k > 0:
        raise Refusal(
            f"`rollout.sampling` has top_p={sampling.top_p} and top_k={sampling.top_k}: the policy's "
            "probabilities are over all tokens, so the ratio between the two would be wrong. Use top_p=1 and "
            "top_k=0 in training; `rollout.val_sampling` is free."
        )
    if sampling.temperature == 0:
        raise Refusal("`rollout.sampling.temperature` is 0: greedy completions of a group are all the same.")
    pl_module.advantage.check_group_size(rollout.group_size)
    if pl_module.max_rl_steps > 0:
        check_signal(rollout, pl_module)
    if rollout.one_step_ahead:
        _check_one_step_ahead(rollout, pl_module)


def check_validation(rollout: RolloutCallback, pl_module: PassKRLModule, training: bool) -> None:
    """Look for values of k beyond the number of completions sampled.

    An evaluation leaves them out and says so, because `rollout.val_sampling.n` alone is to be changed there. In
    training, where checkpoints may be chosen by them, they raise a ValueError.
    """
    n = rollout.val_sampling.n or 0
    reachable = [k for k in pl_module.ks if k <= n]
    if reachable == pl_module.ks:
        return
    if reachable and not training:
        left_out = ", ".join(f"pass@{k}" for k in pl_module.ks if k > n)
        rank_zero_info(f"{left_out} of `model.ks` left out: `rollout.val_sampling.n` is {n}.")
        pl_module.ks = reachable
    else:
        raise Refusal(
            f"`model.ks` asks for pass@{max(pl_module.ks)}, but validation samples only {rollout.val_sampling.n} "
            "completions a problem. Raise `rollout.val_sampling.n` or shorten `model.ks`."
        )


def check_signal(rollout: RolloutCallback, pl_module: PassKRLModule) -> None:
    """Raise a ValueError where no group can carry the signal that is looked for."""
    if rollout.signal is None:
        return
    strategy, max_steps = pl_module.advantage, pl_module.max_rl_steps
    steps = range(pl_module.rl_step, max(max_steps, pl_module.rl_step + 1))
    wrong = max(strategy.wrong_needed(step, max_steps) for step in steps)
    if wrong >= rollout.group_size:
        raise Refusal(
            f"`rollout.signal` looks for groups with 1 right and {wrong} wrong answers, as "
            f"{type(strategy).__name__} needs them, but `rollout.group_size` is {rollout.group_size}. Raise it to "
            f"{wrong + 1} or more."
        )


def _check_one_step_ahead(rollout: RolloutCallback, pl_module: PassKRLModule) -> None:
    if not rollout.engine.samples_beside_training:
        raise Refusal(
            "`rollout.one_step_ahead` needs an engine that can sample while the policy trains, but "
            f"{type(rollout.engine).__name__} as it is set cannot: TransformersEngine samples with the policy itself, "
            "VLLMEngine sleeps meanwhile on a GPU and has to be stepped by all ranks together when they share it. Use "
            "VLLMServerEngine (anywhere) or VLLMEngine (on CPU, one a process)."
        )
    if rollout.signal is not None:
        raise Refusal(
            "`rollout.signal` and `rollout.one_step_ahead` exclude each other: whether further prompts are needed is "
            "known, and agreed on by all ranks, only after the first ones were judged. Leave one of them out."
        )
    if pl_module.correction == "off":
        raise Refusal(
            "`rollout.one_step_ahead` trains on completions of the weights before the last step, which "
            "`model.correction: off` would take for the policy's own. Use `auto` or a RolloutCorrection."
        )
