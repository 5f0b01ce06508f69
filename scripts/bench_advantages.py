"""CPU seconds of every strategy over groups and order statistics: 4,096 prompts of 1,024 completions, one thread.

python scripts/bench_advantages.py            # or with the numbers of prompts and completions
"""

from __future__ import annotations

import sys
import time

import torch

from lit_passk.advantages import (
    PKPO,
    GroupAdvantage,
    LeaveOneOutMaxK,
    LogMeanExp,
    MaxAtK,
    OrderStatistic,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    VoteAtK,
)
from lit_passk.advantages.trial import trial_context


def main(num_prompts: int = 4096, group_size: int = 1024) -> None:
    """Call every strategy once and print its CPU seconds."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    rewards = torch.rand(num_prompts, group_size, generator=generator)
    correct = rewards < torch.rand(num_prompts, 1, generator=generator)
    answers = torch.where(correct, 0, torch.randint(1, 12, correct.shape, generator=generator))
    context = trial_context(correct, answers=answers)
    for name, strategy, given, known in (
        ("PassKAnalytic(8)", PassKAnalytic(8), rewards, context),
        ("PassKFullSampling(8)", PassKFullSampling(8), rewards, context),
        ("MaxAtK(8)", MaxAtK(8), rewards, None),
        ("MaxAtK(512)", MaxAtK(512), rewards, None),
        ("OrderStatistic(8)", OrderStatistic(8), rewards, None),
        ("OrderStatistic(512, cvar:0.25)", OrderStatistic(512, "cvar:0.25"), rewards, None),
        ("PKPO(8, s)", PKPO(8, "s"), rewards, None),
        ("PKPO(8, sloo)", PKPO(8, "sloo"), rewards, None),
        ("PKPO(8, sloo_minus_one)", PKPO(8), rewards, None),
        ("LeaveOneOutMaxK()", LeaveOneOutMaxK(), rewards, None),
        ("LogMeanExp()", LogMeanExp(), rewards, None),
        ("GroupAdvantage(max, 8, all)", GroupAdvantage("max", 8), rewards, None),
        ("GroupAdvantage(top:3, 8, all)", GroupAdvantage("top:3", 8), rewards, None),
        ("GroupAdvantage(max, 8, disjoint)", GroupAdvantage("max", 8, "disjoint"), rewards, None),
        ("PassKBootstrap(8)", PassKBootstrap(8), rewards, context),
        ("VoteAtK(4)", VoteAtK(4), rewards, context),
        ("VoteAtK(8)", VoteAtK(8), rewards, context),
    ):
        begin = time.process_time()
        strategy(given, known)
        print(f"{name:40s} {time.process_time() - begin:6.2f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
