"""Two training processes, first with a vLLM each, then sharing one: `-m helpers.vllm_rank RANK FOLDER POLICY`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from helpers.tiny_policies import EOS, logprobs_of, tiny_policy

from lit_passk.engines.vllm_engine import VLLMEngine
from lit_passk.types import Sampling

SAMPLING = Sampling(n=2, max_tokens=12)


def rollouts(engine: VLLMEngine, rank: int) -> list[list[list[int]]]:
    """This rank's prompts (one more on rank 1), checked against the policy whose weights the engine got."""
    policy = tiny_policy(tied=True, seed=5)
    engine.load_weights(policy.state_dict().items(), version=1)
    prompts = [[1, 10 + rank], [1, 20, 21], [1, 30, 31, 32]][: 2 + rank]
    seeds = [1000 * rank + 100 * index for index in range(len(prompts))]
    groups = dict(engine.generate(prompts, SAMPLING, seeds))
    for index, prompt in enumerate(prompts):
        for completion in groups[index]:
            expected = logprobs_of(policy, prompt, list(completion.token_ids), 1.0)
            torch.testing.assert_close(torch.tensor(completion.logprobs), expected, rtol=0, atol=2e-5)
    return [[list(c.token_ids) for c in groups[index]] for index in range(len(prompts))]


def main() -> None:
    rank, folder, policy_path = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    # as under Lightning's launcher: a process group, but no RANK in the environment
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    environ = dict(os.environ)
    results = {}
    for name, size in (("own", 1), ("shared", 2)):
        engine = VLLMEngine(tensor_parallel_size=size, kv_cache_gib=0.03125)
        engine.start(policy_path, None, [EOS])
        results[name] = rollouts(engine, rank)
        engine.close()
        # the group that was there before the engine is there after it
        total = torch.ones(1)
        dist.all_reduce(total)
        assert total.item() == 2
    changed = {key for key in set(environ) | set(os.environ) if environ.get(key) != os.environ.get(key)}
    assert all(key.startswith("VLLM_") for key in changed), changed
    (folder / f"rank{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
