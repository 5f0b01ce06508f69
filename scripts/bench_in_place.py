"""What the gradient of a tied embedding costs: one matrix of it made, or several that autograd adds up.

    python scripts/bench_in_place.py --shape smollm2-135m --prompts 2 --rounds 5            # seconds of CPU time
    python scripts/bench_in_place.py --shape smollm2-135m --prompts 2 --memory              # peaks, a process each

A step is forward and backward pass of every micro-batch and AdamW, on random tokens. Four ways:

- ``both``: ``TiedGradient`` and the head's ``add_to_grad``, as in training;
- ``tied``: ``TiedGradient`` alone: later micro-batches make a matrix that autograd adds to the first;
- ``head``: ``add_to_grad`` alone: the input embedding's backward pass makes a matrix;
- ``none``: autograd alone.

The four take turns within one process, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lit_passk.policy import model as policy_model
from lit_passk.policy.model import CausalPolicy, keep_freed_memory
from lit_passk.policy.packing import PackedBatch, pack

SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "llama-25m": {
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "vocab_size": 32000,
    },
}
WAYS = ("both", "tied", "head", "none")


class ByAutograd:
    """In the place of ``TiedGradient``."""

    def __init__(self, embedding: torch.nn.Module, weight: torch.Tensor, add_to_grad: bool = False) -> None:
        self.lookup, self.weight = embedding, weight

    def output(self) -> torch.Tensor:
        """The weight as it is."""
        return self.weight


def make_policy(shape: str) -> CausalPolicy:
    """A tied Llama with random weights."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", tie_word_embeddings=True, **SHAPES[shape])
    return CausalPolicy(AutoModelForCausalLM.from_config(config, dtype=torch.float32)).train()


def make_batches(policy: CausalPolicy, args: argparse.Namespace) -> list[PackedBatch]:
    """Prompts of 120 tokens and completions of 1 to 119."""
    generator = torch.Generator().manual_seed(0)
    vocab, count = SHAPES[args.shape]["vocab_size"], args.prompts * args.group_size
    prompts = [torch.randint(vocab, (120,), generator=generator) for _ in range(args.prompts)]
    lengths = torch.randint(1, 120, (count,), generator=generator).tolist()
    completions = [torch.randint(vocab, (n,), generator=generator) for n in lengths]
    owner = torch.arange(count) // args.group_size
    return pack(prompts, completions, owner, None, args.token_budget, costs=policy.token_costs)


def step(policy: CausalPolicy, batches: list[PackedBatch], optimizer: torch.optim.Optimizer, way: str) -> float:
    """One step; returns its seconds of CPU time."""
    tied = policy_model.TiedGradient
    policy_model.TiedGradient = tied if way in ("both", "tied") else ByAutograd  # type: ignore[misc]
    start = time.process_time()
    for batch in batches:
        policy(batch, with_entropy=False, add_to_grad=way in ("both", "head"))[0].sum().mul(1e-4).backward()
    optimizer.step()
    optimizer.zero_grad()
    seconds = time.process_time() - start
    policy_model.TiedGradient = tied  # type: ignore[misc]
    return seconds


def main() -> None:
    """Parse the command line; print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--token-budget", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="peaks of two steps, each way in a process of its own")
    parser.add_argument("--way", choices=WAYS, help="measure the peak of this one")
    args = parser.parse_args()
    if args.memory:
        for way in WAYS:
            rest = [flag for flag in sys.argv if flag != "--memory"]
            subprocess.run([sys.executable, *rest, "--way", way], check=True)
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    policy = make_policy(args.shape)
    batches = make_batches(policy, args)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-5)
    facts = {"shape": args.shape, "micro_batches": len(batches), "tokens": sum(len(b.input_ids) for b in batches)}
    if args.way:
        for _ in range(2):
            step(policy, batches, optimizer, args.way)
        print(
            json.dumps({**facts, "way": args.way, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10})
        )
        return
    step(policy, batches, optimizer, "both")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(args.rounds):
        for at in range(len(WAYS)):
            way = WAYS[(number + at) % len(WAYS)]
            seconds[way].append(step(policy, batches, optimizer, way))
    over = {way: [round(a / b, 4) for a, b in zip(seconds[way], seconds["both"], strict=True)] for way in WAYS}
    print(
        json.dumps({**facts, "seconds": seconds, "over_both": over, "median": {w: median(r) for w, r in over.items()}})
    )


if __name__ == "__main__":
    main()
