"""What one RL step was, in numbers over all ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.data.breakdown import Breakdown
from lit_passk.distributed import all_sum
from lit_passk.logged import Logged
from lit_passk.losses.correction import correction_metrics
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import RolloutBatch

CORRECTION = "correction/"
"""What the names of the sums begin with that ``losses.correction.correct`` returns."""
_OF_COMPLETIONS = ("completions", "tokens", "sampled_tokens", "entropy", "reward", "pass@1", "truncated")
COLUMNS = (*_OF_COMPLETIONS, "prompts", "unscored", "solved", "trained_prompts", "with_advantage")
"""What is summed up for every prompt: first numbers of its completions, then of the prompt."""


LOGGED = (
    Logged(
        "train/reward",
        means="Mean reward of the step's completions, before any normalisation.",
        healthy="Rises, fast at first; noisy from step to step, so look at it smoothed.",
        otherwise="Flat from the start: see `train/with_advantage` and `train/grad_norm`. It rises while `val/pass@k` "
        "does not: the policy learns the reward, not the task. Read completions, and compare with `train/pass@1`.",
    ),
    Logged(
        "train/pass@1",
        means="Share of the step's completions that are correct. Differs from the reward where rewards are composed.",
        healthy="Rises more slowly under Pass@k Training than under GRPO: watch `val/pass@k` beside it.",
        otherwise="0 for many steps: the prompts are too hard, or the verdict rejects the form of the answers. Read "
        "completions first, then take easier prompts, a cold start (`lit-passk sft`) or a larger group.",
    ),
    Logged(
        "train/solved",
        means="Share of the prompts with at least one correct completion: pass@G of the training prompts.",
        healthy="Rises, and stays above `train/pass@1`. The gap between the two is what Pass@k Training turns into "
        "signal.",
        otherwise="It falls towards `train/pass@1`: answers to a prompt become all alike. Raise k or the temperature.",
    ),
    Logged(
        "train/with_advantage",
        means="Share of the trained prompts that have a completion with an advantage other than 0. The others teach "
        "nothing.",
        healthy="0.3 to 0.9. It falls late in a run, when many prompts are solved.",
        otherwise="Near 0: for this k all groups are all wrong, or have fewer than k wrong. `train/signal/dead@k` "
        "says how it would be for other k; change k or the group size, take other prompts, or set `rollout.source: "
        "DynamicSampling`.",
    ),
    Logged(
        "train/tokens",
        means="Mean length of a completion, in tokens, the end token counted.",
        healthy="Changes slowly. Growing reasoning is usual with mathematics.",
        otherwise="Grows towards `max_tokens` together with `train/truncated`: raise the limit, or pay for brevity "
        "(`SoftOverlong`, `LengthPenalty`). Collapses to a few tokens: the reward can be had without reasoning.",
    ),
    Logged(
        "train/truncated",
        means="Share of the completions that `max_tokens` cut off.",
        healthy="Below 0.05.",
        otherwise="A cut answer is seldom correct, so long reasoning is punished. Raise "
        "`rollout.sampling.max_tokens`, or add `SoftOverlong`.",
    ),
    Logged(
        "train/unscored",
        means="How many completions could not be scored, because the verdict failed or took too long. They are left "
        "out of their groups.",
        healthy="0.",
        otherwise="The run names the first error. Raise `rollout.score_timeout` or `rollout.num_workers`, or mend the "
        "reward.",
    ),
    Logged(
        "train/entropy",
        means="Mean of -log p over the sampled tokens, nats per token: an unbiased estimate of the policy's entropy.",
        healthy="Falls, quickly at first, then slowly. Under Pass@k Training it stays higher than under GRPO.",
        otherwise="Falls to almost 0 within tens of steps: the policy repeats itself and pass@k is lost. Lower the "
        "learning rate, raise k, add `model.entropy_coef`, or take `ClipCovLoss`. Rises without end: the learning "
        "rate is too high, or the entropy bonus too large.",
    ),
    Logged(
        "train/grad_norm",
        means="Norm of the gradient before clipping, mean over the step's updates.",
        healthy="Of one size over the run. Clipping now and then (`model.max_grad_norm`) is no harm.",
        otherwise="0: no prompt had an advantage. Larger by and by, or spikes: lower the learning rate, look at "
        "`train/loss/approx_kl` and `train/rollout_correction/ess`.",
    ),
    Logged(
        "train/skipped_updates",
        means="How many updates of the step were skipped, because their loss or gradient was not finite or nothing "
        "could be scored.",
        healthy="0.",
        otherwise="The warning names the cause. More than `model.max_skipped_steps` steps in a row end the run, with "
        "the step saved for a replay.",
    ),
    Logged(
        "train/lr",
        means="Learning rate of the step's last update.",
        healthy="What the schedule says.",
    ),
    Logged(
        "step",
        means="RL steps so far: the axis for all else. Lightning's own `trainer.global_step` counts optimizer steps, "
        "which are `num_epochs * num_minibatches` times as many.",
    ),
    Logged(
        "rl_step reward",
        means="`step` and `train/reward` again, in the progress bar alone.",
    ),
    Logged(
        "train/<task>/reward train/<task>/pass@1 train/<task>/solved train/<task>/with_advantage "
        "train/<task>/truncated train/<task>/tokens",
        means="As without the name, for each task of a `Mixture`; not logged in steps that had none of its prompts.",
        healthy="No task near 0 or 1 for long.",
        otherwise="Change the `weight` of a task that teaches nothing.",
    ),
    Logged(
        "train/source/<source>/reward train/source/<source>/pass@1 train/source/<source>/solved "
        "train/source/<source>/with_advantage train/source/<source>/truncated train/source/<source>/tokens",
        means="The same for each source that the rows name (verl's `data_source`), up to 64 of them.",
    ),
)


def step_metrics(
    rollouts: RolloutBatch, advantages: Tensor, sums: dict[str, Tensor], breakdown: Breakdown | None = None
) -> dict[str, float]:
    """Describe a step; every rank must call this.

    Args:
        rollouts: This rank's completions.
        advantages: Shape ``(N,)``.
        sums: Metric sums of this rank's updates, with ``num_updates``, ``skipped_updates`` and ``grad_norm`` (the same
            on every rank).
        breakdown: Groups of problems to describe apart as well.

    Returns:
        - ``reward``, ``pass@1``, ``truncated``: means over completions; ``unscored``: how many could not be scored.
        - ``solved``: share of groups with a correct completion; ``with_advantage``: share with an advantage other
          than 0.
        - ``tokens``: mean completion length; ``entropy``: mean of ``-rollout_logprobs``, nats per token, an
          unbiased estimate of the entropy over all completions, those without an advantage included.
        - ``grad_norm`` and the loss's own metrics: means over the step's updates, those that were skipped left out.
        - ``skipped_updates``: updates that were not made, because a number in them was not finite.
        - ``<name>/reward``, ``pass@1``, ``solved``, ``with_advantage``, ``truncated`` and ``tokens`` for each name of
          the breakdown that the step has completions of.

        Groups that were sampled but are not trained on count in all of these but ``with_advantage`` and those of the
        loss: the trained groups are a biased sample of the policy's completions.
    """
    table, indices = _table(rollouts, advantages), rollouts.indices  # (P, columns), (P,)
    if rollouts.not_trained:
        not_trained = collate_rollouts(rollouts.not_trained)
        table = torch.cat([table, _table(not_trained, None)])
        indices = torch.cat([indices, not_trained.indices])
    names = breakdown.names if breakdown is not None else ()
    groups = torch.zeros((1 + len(names), table.shape[1]), dtype=torch.float64)  # everything, then one row a name
    groups[0] = table.sum(dim=0)
    for row, index in zip(table, indices.tolist(), strict=True):
        for number in breakdown.of_problem[index] if breakdown is not None else ():
            groups[1 + number] += row
    updates = max(float(sums["num_updates"]), 1.0)
    corrections = {name: float(value) for name, value in sums.items() if name.startswith(CORRECTION)}
    apart = {*corrections, "num_updates", "skipped_updates", "grad_norm"}
    losses = {f"loss/{name}": float(value) / updates for name, value in sums.items() if name not in apart}
    mine = torch.tensor([*corrections.values(), *losses.values()], dtype=torch.float64)  # (numbers,)
    total = all_sum(torch.cat([groups.flatten(), mine]), "metrics")
    whole, *of_names = (
        dict(zip(COLUMNS, row, strict=True)) for row in total[: groups.numel()].view_as(groups).tolist()
    )
    others = total[groups.numel() :].tolist()
    names_of_sums = [name.removeprefix(CORRECTION) for name in corrections]
    return {
        **_means(whole),
        "unscored": whole["unscored"],
        "entropy": whole["entropy"] / max(whole["sampled_tokens"], 1.0),
        "grad_norm": float(sums["grad_norm"]) / updates,
        "skipped_updates": float(sums["skipped_updates"]),
        **dict(zip(losses, others[len(corrections) :], strict=True)),
        **correction_metrics(dict(zip(names_of_sums, others, strict=False))),
        **{
            f"{name}/{metric}": value
            for name, of_name in zip(names, of_names, strict=True)
            if of_name["completions"]
            for metric, value in _means(of_name).items()
        },
    }


def _means(sums: dict[str, float]) -> dict[str, float]:
    """What is told of all completions, and of those of each name."""
    completions, prompts = max(sums["completions"], 1.0), max(sums["prompts"], 1.0)
    return {
        "reward": sums["reward"] / completions,
        "pass@1": sums["pass@1"] / completions,
        "solved": sums["solved"] / prompts,
        "with_advantage": sums["with_advantage"] / max(sums["trained_prompts"], 1.0),
        "truncated": sums["truncated"] / completions,
        "tokens": sums["tokens"] / completions,
    }


def _table(batch: RolloutBatch, advantages: Tensor | None) -> Tensor:
    """``COLUMNS`` of this rank's prompts, shape ``(P, columns)``, float64; not trained on without advantages."""
    lengths = [len(c) for c in batch.completion_ids]
    owner = torch.repeat_interleave(torch.tensor(lengths, dtype=torch.int64))  # (T,)
    trained = torch.cat([torch.zeros(0, dtype=torch.bool), *batch.trained]).double()  # (T,)
    logprobs = torch.cat([torch.zeros(0, dtype=torch.float32), *batch.rollout_logprobs]).double()  # (T,)
    of_tokens = torch.zeros((len(lengths), 2), dtype=torch.float64)  # sampled tokens and surprise of each completion
    of_tokens.index_add_(0, owner, torch.stack([trained, -logprobs.where(trained > 0, 0.0)], dim=1))
    per_completion = torch.stack(
        [
            torch.ones(len(lengths), dtype=torch.float64),
            torch.tensor(lengths, dtype=torch.float64),
            *of_tokens.unbind(1),
            batch.rewards.double(),
            batch.correct.double(),
            batch.truncated.double(),
            torch.zeros(len(lengths), dtype=torch.float64) if advantages is None else (advantages != 0).double(),
        ],
        dim=1,
    )  # (N, 8)
    num_prompts = len(batch.prompt_ids)
    sums = torch.zeros((num_prompts, 8), dtype=torch.float64).index_add_(0, batch.prompt_index, per_completion)
    sampled = torch.tensor([len(group.completions) for group in batch.groups], dtype=torch.float64)  # (P,)
    per_prompt = [
        torch.ones(num_prompts, dtype=torch.float64),
        sampled - sums[:, 0],
        (sums[:, 5] > 0).double(),
        torch.full((num_prompts,), float(advantages is not None), dtype=torch.float64),
        (sums[:, 7] > 0).double(),
    ]
    return torch.cat([sums[:, :7], torch.stack(per_prompt, dim=1)], dim=1)  # (P, 12)
