"""How fast are rollouts and weight updates, and what do our engines cost on top of bare vLLM?

    python scripts/bench_rollout.py --policy runs/smollm2
    python scripts/bench_rollout.py --random 0.5b --dtype bfloat16          # random weights, on a GPU

Every engine runs in a process of its own: the same prompts, the same length limit, vLLM and VLLMEngine with the same
seeds, hence the same completions. The first rollout warms up and is not counted; medians over the others. The share of
the matrix rate is what the tokens need, 2 operations a parameter, over what a large matrix product reaches just before
and after: no engine can pass 1. Prints a table and writes it as JSON to --out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from bench_step_worker import matrix_rate

from lit_passk.types import Sampling

ENGINES = ["vllm", "VLLMEngine", "TransformersEngine"]
SIZES = {  # Qwen2.5 shapes: hidden, intermediate, layers, heads, key-value heads
    "0.5b": (896, 4864, 24, 14, 2),
    "1.5b": (1536, 8960, 28, 12, 2),
}


def main() -> None:
    """Run every engine in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--policy", help="folder of a Hugging Face model")
    source.add_argument("--random", choices=SIZES, help="size of a model of random weights")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--only", choices=ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print("RESULT " + json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.random:
            args.policy = write_random(Path(folder), args.random, args.dtype)
        results = {name: run_apart(name, args) for name in args.engines}
    show(results)
    if args.out:
        args.out.write_text(json.dumps({"settings": vars(args) | {"out": str(args.out)}, "results": results}, indent=1))


def run_apart(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one engine in a fresh process."""
    options = [f"--{key.replace('_', '-')}={getattr(args, key)}" for key in MEASURED]
    command = [sys.executable, __file__, f"--policy={args.policy}", f"--only={name}", *options]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.split("RESULT ")[1])


MEASURED = ("dtype", "prompts", "group_size", "prompt_tokens", "max_tokens", "repeats")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time rollouts, weight updates and, on a GPU, sleeping."""
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    policy = AutoModelForCausalLM.from_pretrained(args.policy, dtype=getattr(torch, args.dtype)).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    vocabulary = policy.config.vocab_size
    prompts = torch.randint(  # first ids are often special
        min(100, vocabulary // 2), vocabulary, (args.prompts, args.prompt_tokens), generator=generator
    ).tolist()
    sampling = Sampling(n=args.group_size, max_tokens=args.max_tokens)
    eos = policy.config.eos_token_id
    engine = {"vllm": BareVLLM, "VLLMEngine": ours, "TransformersEngine": transformers_engine}[args.only](args)
    engine.start(args.policy, policy, [eos] if isinstance(eos, int) else list(eos or []))
    rates, shares, tokens = [], [], 0
    for repeat in range(args.repeats + 1):
        engine.load_weights(policy.state_dict().items(), version=repeat + 1)
        before = matrix_rate(torch.device(device), policy.dtype)
        begin = time.perf_counter()
        groups = list(engine.generate(prompts, sampling, [1000 * index for index in range(len(prompts))]))
        seconds = time.perf_counter() - begin
        tokens = sum(len(completion) for _, group in groups for completion in map(_tokens, group))
        limit = (before + matrix_rate(torch.device(device), policy.dtype)) / 2 / (2 * policy.num_parameters())
        rates.append(tokens / seconds)
        shares.append(tokens / seconds / limit)
    result: dict[str, Any] = {"tokens_per_s": statistics.median(rates[1:]), "tokens": tokens}
    result["share_of_matrix_rate"] = statistics.median(shares[1:])
    if args.only != "TransformersEngine":  # which samples with the policy itself
        updates = [timed(lambda v=v: engine.load_weights(policy.state_dict().items(), 100 + v)) for v in range(5)]
        result["update_s"] = statistics.median(updates)
        num_bytes = sum(tensor.nbytes for tensor in policy.state_dict().values())
        result["update_gb_per_s"] = num_bytes / result["update_s"] / 1e9
        result["copy_gb_per_s"] = copy_bandwidth(device)
    if device == "cuda" and args.only == "VLLMEngine":
        free = torch.cuda.mem_get_info()[0]
        engine.sleep()
        result["freed_by_sleep_gib"] = (torch.cuda.mem_get_info()[0] - free) / 2**30
        result["wake_and_update_s"] = timed(
            lambda: (engine.wake(), engine.load_weights(policy.state_dict().items(), 999))
        )
    engine.close()
    return result


def ours(args: argparse.Namespace) -> Any:
    """Build VLLMEngine."""
    from lit_passk.engines.vllm_engine import VLLMEngine

    return VLLMEngine(dtype=args.dtype, max_model_len=args.prompt_tokens + args.max_tokens)


def transformers_engine(args: argparse.Namespace) -> Any:
    """Build TransformersEngine."""
    from lit_passk.engines.transformers_engine import TransformersEngine

    return TransformersEngine()


class BareVLLM:
    """What one would write without this library: ``vllm.LLM`` with the settings of VLLMEngine."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def start(self, path: str, policy: torch.nn.Module, eos: list[int]) -> None:
        """Build it."""
        import os

        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        import vllm

        cpu = not torch.cuda.is_available()
        length = self.args.prompt_tokens + self.args.max_tokens
        whole_prefill = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(4096, length), "block_size": 32}
        self.eos = eos
        self.llm = vllm.LLM(
            path,
            dtype=self.args.dtype,
            max_model_len=length,
            skip_tokenizer_init=True,
            generation_config="vllm",
            logprobs_mode="processed_logprobs",
            enforce_eager=cpu,
            gpu_memory_utilization=0.5,
            **({"kv_cache_memory_bytes": 2**30} | whole_prefill if cpu else {"enable_sleep_mode": True}),
        )

    def load_weights(self, named_tensors: Any, version: int) -> None:
        """Call vLLM's reload."""
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": named_tensors})

    def generate(self, prompts: list[list[int]], sampling: Sampling, seeds: list[int]) -> Iterator[tuple[int, Any]]:
        """Sample all prompts and yield them at the end."""
        from vllm import SamplingParams

        params = [
            SamplingParams(
                n=sampling.n, seed=seed, max_tokens=sampling.max_tokens, stop_token_ids=self.eos, ignore_eos=True,
                logprobs=0, flat_logprobs=True, detokenize=False,
            )
            for seed in seeds
        ]  # fmt: skip
        outputs = self.llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False)
        yield from ((index, output.outputs) for index, output in enumerate(outputs))

    def close(self) -> None:
        """Forget it."""
        del self.llm


def _tokens(completion: Any) -> list[int]:
    return completion.token_ids


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that an action takes."""
    begin = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def copy_bandwidth(device: str) -> float:
    """Copy 256 MiB within the device; GB/s of data copied."""
    source = torch.ones(2**26, device=device)
    target = torch.empty_like(source)
    return source.nbytes / statistics.median(timed(lambda: target.copy_(source)) for _ in range(5)) / 1e9


def write_random(folder: Path, size: str, dtype: str) -> str:
    """Save a Qwen2 of random weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    hidden, intermediate, layers, heads, kv_heads = SIZES[size]
    config = Qwen2Config(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=True,
        eos_token_id=0,
    )
    Qwen2ForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
    return str(folder)


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print the table, and the ratios that the design asks for."""
    for name, result in results.items():
        print(f"{name:20}" + "  ".join(f"{key} {value:,.3g}" for key, value in result.items()))
    rate = {name: result["tokens_per_s"] for name, result in results.items()}
    if "VLLMEngine" in rate:
        for other in rate.keys() - {"VLLMEngine"}:
            print(f"VLLMEngine samples {rate['VLLMEngine'] / rate[other]:.2f} times as fast as {other}")
    if {"vllm", "VLLMEngine"} <= results.keys():
        ratio = results["VLLMEngine"]["update_s"] / results["vllm"]["update_s"]
        print(f"VLLMEngine takes {ratio:.2f} times as long as the bare reload for a weight update")


if __name__ == "__main__":
    main()
