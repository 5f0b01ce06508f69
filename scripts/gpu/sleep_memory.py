"""What a colocated vLLM takes and gives back: prints one JSON object of GiB in use on the GPU.

    python scripts/gpu/sleep_memory.py POLICY --level 2

The policy is loaded on the GPU, as in training; then the engine starts, is given the policy's weights, samples, sleeps,
wakes and samples again from the same seed. On a CPU, where nothing sleeps, no memory is read.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from lit_passk.engines.vllm_engine import VLLMEngine
from lit_passk.types import Sampling


def main() -> None:
    """Parse the command line, sleep and wake, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", help="folder of a Hugging Face model")
    parser.add_argument("--level", type=int, choices=[1, 2], default=2)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    args = parser.parse_args()
    dtype = torch.bfloat16 if args.device == "cuda" else torch.float32
    policy = AutoModelForCausalLM.from_pretrained(args.policy, dtype=dtype).to(args.device).eval()
    engine = VLLMEngine(max_model_len=64, sleep_level=args.level)
    used: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def note(when: str, begin: float) -> None:
        if args.device == "cuda":
            torch.cuda.synchronize()
            free, total = torch.cuda.mem_get_info()
            used[when] = round((total - free) / 2**30, 3)
        seconds[when] = round(time.perf_counter() - begin, 3)

    def do(when: str, action: Any, *values: Any) -> Any:
        begin = time.perf_counter()
        result = action(*values)
        note(when, begin)
        return result

    def sample() -> list[list[int]]:
        engine.load_weights(policy.state_dict().items(), version=1)
        groups = dict(engine.generate([[5, 6, 7], [8, 9]], Sampling(n=4, max_tokens=16), seeds=[1, 2]))
        return [completion.token_ids for index in sorted(groups) for completion in groups[index]]

    note("policy", time.perf_counter())
    do("started", engine.start, args.policy, policy, [policy.config.eos_token_id])
    first = do("sampled", sample)
    do("asleep", engine.sleep)
    do("awake", engine.wake)
    second = do("sampled again", sample)
    do("asleep again", engine.sleep)
    do("closed", engine.close)
    result = {"level": args.level, "gib_in_use": used, "seconds": seconds, "same_completions": first == second}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
