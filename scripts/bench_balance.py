"""How long ranks wait for each other in a training step, counted in arithmetic: own prompts against equal shares.

    python scripts/bench_balance.py workload.jsonl --shape qwen2.5-1.5b --ranks 2 8 32

The workload is a recorded step as `bench_step.py` describes it. Under FSDP ranks meet in every micro-batch, so a step
takes the sum of the most expensive n-th micro-batches. Shown over the mean of the ranks; 1 is no waiting.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from bench_step import SHAPES
from bench_step_worker import read_workload
from transformers import AutoConfig, AutoModelForCausalLM

from lit_passk.advantages import PassKAnalytic
from lit_passk.modules import compute_advantages
from lit_passk.modules.training_batch import collect
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import PackedBatch, TokenCosts, pack


def cost_of(batch: PackedBatch, costs: TokenCosts) -> float:
    """Cost of a micro-batch in tokens, counted from its layout."""
    prompts, fed = batch.prompt_lengths, batch.fed_lengths
    pairs = sum(n * n / 2 for n in (*prompts, *fed)) + sum(
        prompts[p] * n for p, n in zip(batch.prompt_of, fed, strict=True)
    )
    return len(batch.input_ids) + costs.pair * pairs + costs.head * len(batch.labels)


def main() -> None:
    """Parse the command line; print one line a number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-1.5b", help="attention and logits count")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--token-budget", type=int, default=16384)
    parser.add_argument("--k", type=int, default=4)
    args = parser.parse_args()
    rollouts = read_workload(args.workload)
    advantages = compute_advantages(PassKAnalytic(args.k), rollouts)
    step = collect(rollouts, advantages, advantages != 0)
    with torch.device("meta"):
        costs = CausalPolicy(AutoModelForCausalLM.from_config(AutoConfig.for_model(**SHAPES[args.shape]))).token_costs

    def waiting(by_rank: list[list[PackedBatch]]) -> float:
        """Time of a step over the mean of its ranks."""
        each = [[cost_of(batch, costs) for batch in batches] for batches in by_rank]
        return sum(map(max, zip(*each, strict=True))) / (sum(map(sum, each)) / len(each))

    def cut(keep: torch.Tensor | None, **more: int) -> list[PackedBatch]:
        return pack(
            step.prompt_ids, step.completion_ids, step.prompt_index, keep, args.token_budget, costs=costs, **more
        )

    prompt = rollouts.prompt_index[advantages != 0]  # (N,) position of each completion's prompt in the step
    for ranks in args.ranks:
        mine = [prompt % ranks == rank for rank in range(ranks)]
        most = max(len(cut(keep)) for keep in mine)
        own = [cut(keep, num_batches=most) for keep in mine]
        equal = [cut(None, world_size=ranks, rank=rank) for rank in range(ranks)]
        fed = [sum(len(batch.input_ids) for batches in way for batch in batches) for way in (own, equal)]
        print(
            f"{ranks:3} ranks: own prompts {waiting(own):.2f}, equal shares {waiting(equal):.2f}, "
            f"{fed[1] / fed[0] - 1:+.1%} tokens fed"
        )


if __name__ == "__main__":
    main()
