"""Write one recorded RL step: prompts, completions and rewards, without a model.

    python scripts/bench_workload.py step.jsonl --prompts 8 --group-size 8 --mean-tokens 60 --max-tokens 256

One JSON object a line, one line a prompt: {"prompt_ids": [int], "completion_ids": [[int]], "rewards": [0.0 or 1.0]}.

Real rollouts have few long completions and many groups that are nearly all right or nearly all wrong. So lengths are
log-normal (sigma 0.8) and cut at `--max-tokens`, and every prompt has a solve rate of its own from Beta(0.6, 0.9).
Tokens are uniform over the vocabulary, without its first 16 ids, which are often special. A seed gives the same file on
every machine.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Any

SIGMA = 0.8
FIRST_TOKEN = 16


def group(args: argparse.Namespace, rng: random.Random) -> dict[str, Any]:
    """One prompt with its completions and their rewards."""
    centre = math.log(args.mean_tokens) - SIGMA**2 / 2  # so that the mean before the cut is `mean_tokens`
    prompt = max(8, round(args.prompt_tokens * rng.uniform(0.7, 1.3)))
    drawn = [round(rng.lognormvariate(centre, SIGMA)) for _ in range(args.group_size)]
    lengths = [min(args.max_tokens, max(1, length)) for length in drawn]
    if args.solve_rate == "half":
        rewards = [float(i % 2) for i in range(args.group_size)]
    else:
        rate = rng.betavariate(0.6, 0.9)
        rewards = [float(rng.random() < rate) for _ in range(args.group_size)]

    def tokens(length: int) -> list[int]:
        return [rng.randrange(FIRST_TOKEN, args.vocab) for _ in range(length)]

    return {"prompt_ids": tokens(prompt), "completion_ids": [tokens(n) for n in lengths], "rewards": rewards}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=120, help="mean; each prompt is within 30 %% of it")
    parser.add_argument("--mean-tokens", type=float, default=60.0, help="mean length of a completion before the cut")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--vocab", type=int, default=49152)
    parser.add_argument(
        "--solve-rate", choices=["mixed", "half"], default="mixed", help="half: every second completion is correct"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    args.out.write_text("".join(json.dumps(group(args, rng)) + "\n" for _ in range(args.prompts)))


if __name__ == "__main__":
    main()
