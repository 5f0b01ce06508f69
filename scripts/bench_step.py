"""Measure the training phase of one RL step, side by side with TRL's GRPOTrainer on the same recorded rollouts.

    python scripts/bench_step.py speed --trl-python .venv-trl/bin/python        # one seed, alternating runs
    python scripts/bench_step.py mixed --trl-python .venv-trl/bin/python        # seeds 0 to 9, skipping included
    python scripts/bench_step.py linear                                           # 8 to 128 prompts
    python scripts/bench_step.py vocabulary                                       # 32k to 256k entries
    python scripts/bench_step.py speed --model runs/smollm2 --prompts 4 --mean-tokens 30 --max-tokens 128 ...
    python scripts/bench_step.py speed --device cuda --bf16 --shape qwen2.5-1.5b --prompts 64 --mean-tokens 600 ...

Every measurement is a process of its own (`bench_step_worker.py` for this library, `bench_trl.py` for TRL), so that
peaks of memory are the process's. Times of this library hold advantages, packing, forward, backward, clipping,
optimizer step and logging; TRL's hold what lies between finished rollouts and the end of its step. Results are appended
to a JSON Lines file and printed as a summary. The recorded step is `bench_workload.py`'s. TRL is installed apart:

    bash scripts/setup_trl.sh      # makes .venv-trl
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
SHAPES: dict[str, dict[str, Any]] = {
    "llama-25m": {
        "model_type": "llama",
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "vocab_size": 32000,
        "tie_word_embeddings": True,
    },
    "qwen2.5-1.5b": {
        "model_type": "qwen2",
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 32768,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 32768,
    },
}
WORKLOAD = ["prompts", "group_size", "prompt_tokens", "mean_tokens", "max_tokens", "solve_rate"]


def make_model(args: argparse.Namespace, **changes: Any) -> Path:
    """A folder with random weights and a tokenizer that knows every id, made once."""
    if args.model:
        return Path(args.model)
    config = {**SHAPES[args.shape], "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **changes}
    folder = Path(args.out) / f"{args.shape}-{config['vocab_size']}{'-bf16' if args.bf16 else ''}"
    if not (folder / "tokenizer.json").exists():
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

        torch.manual_seed(0)
        dtype = torch.bfloat16 if args.bf16 else torch.float32
        with torch.device(args.device):  # billions of random numbers take minutes on a CPU
            AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=dtype).save_pretrained(folder)
        words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"w{i}": i for i in range(3, config["vocab_size"])}}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
        ).save_pretrained(folder)
    return folder


def make_workload(args: argparse.Namespace, model: Path, seed: int, **changes: Any) -> Path:
    """A recorded step for this model's vocabulary."""
    settings = {**{name: getattr(args, name) for name in WORKLOAD}, **changes}
    settings["vocab"] = json.loads((model / "config.json").read_text())["vocab_size"]
    name = "-".join(str(value) for value in settings.values())
    path = Path(args.out) / f"workload-{name}-seed{seed}.jsonl"
    flags = [text for key, value in settings.items() for text in (f"--{key.replace('_', '-')}", str(value))]
    subprocess.run(
        [sys.executable, str(HERE / "bench_workload.py"), str(path), *flags, "--seed", str(seed)], check=True
    )
    return path


def measure(args: argparse.Namespace, command: list[str], **facts: Any) -> dict[str, Any]:
    """Run one process to its end and return the JSON object it prints last, also appended to the results."""
    environment = {
        "OMP_NUM_THREADS": str(args.threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        **os.environ,
    }
    command = [*shlex.split(args.prefix), *command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    result = {**facts, **json.loads(done.stdout.strip().splitlines()[-1]), "command": shlex.join(command)}
    with open(Path(args.out) / "results.jsonl", "a") as file:
        file.write(json.dumps({"date": date.today().isoformat(), **result}) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "command"}), flush=True)
    return result


def ours(args: argparse.Namespace, model: Path, workload: Path, steps: int, **facts: Any) -> dict[str, Any]:
    """Measure this library."""
    command = [sys.executable, str(HERE / "bench_step_worker.py"), str(model), str(workload), "--steps", str(steps)]
    command += ["--token-budget", str(args.token_budget), "--threads", str(args.threads), "--device", args.device]
    command += ["--bf16"] * args.bf16 + ["--checkpointing"] * args.checkpointing
    command += ["--compile"] * args.compile
    command += ["--max-saved-logits-mib", str(args.max_saved_logits_mib)]
    return measure(args, command, who="lit-passk", **facts)


def trl(args: argparse.Namespace, model: Path, workload: Path, micro: int, **facts: Any) -> dict[str, Any]:
    """Measure TRL, one timed step after a warm-up step."""
    script = str(HERE / "bench_trl.py")
    command = [args.trl_python, script, str(model), str(workload), "--steps", "1", "--micro", str(micro)]
    command += ["--device", args.device] + ["--bf16"] * args.bf16 + shlex.split(args.trl_flags)
    return measure(args, command, who="trl", micro=micro, **facts)


def throughput(result: dict[str, Any]) -> float:
    """Completion tokens per second, of the median step."""
    return result["completion_tokens"] / median(result.get("seconds") or result["seconds_per_step"])


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """One seed: TRL's best micro-batch first, where there is a choice, then alternating runs."""
    model = make_model(args)
    workload = make_workload(args, model, args.seed)
    mine: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    compares, choices = bool(args.trl_python), args.trl_micro
    trials = [trl(args, model, workload, micro) for micro in choices] if compares and len(choices) > 1 else []
    best = max(trials, key=throughput)["micro"] if trials else choices[0]
    for _ in range(args.runs):
        mine.append(ours(args, model, workload, args.steps, seed=args.seed))
        if compares:
            theirs.append(trl(args, model, workload, best, seed=args.seed))
    summary = {
        "seed": args.seed,
        "seconds": median(s for r in mine for s in r["seconds"]),
        "utilisation": median(u for r in mine for u in r["utilisation"]),
        "own_overhead": median(r["median_overhead"] for r in mine),
        "peak_gib": max(r["peak_gib"] for r in mine),
    }
    if compares:
        ratios = [throughput(a) / throughput(b) for a, b in zip(mine, theirs, strict=True)]
        summary |= {"speed_over_trl": median(ratios), "ratios": ratios}
        summary["trl"] = {r["micro"]: [r["median_seconds"], r["peak_gib"]] for r in trials + theirs}
        summary["memory_over_trl"] = {r["micro"]: summary["peak_gib"] / r["peak_gib"] for r in trials + theirs}
    return summary


def mixed(args: argparse.Namespace) -> dict[str, Any]:
    """Several seeds with groups without an advantage; TRL once, as its time hardly depends on them."""
    model = make_model(args)
    workloads = {seed: make_workload(args, model, seed, solve_rate="mixed") for seed in range(args.seeds)}
    mine = {seed: ours(args, model, path, args.steps, seed=seed) for seed, path in workloads.items()}
    tokens = sum(r["completion_tokens"] for r in mine.values())
    share = sum(r["trained_tokens"] for r in mine.values()) / tokens
    pooled = tokens / sum(median(r["seconds"]) for r in mine.values())
    summary = {"seeds": args.seeds, "share_with_advantage": share, "tokens_per_s": pooled}
    if args.trl_python:
        theirs = trl(args, model, workloads[args.seed], args.trl_micro[0], seed=args.seed)
        summary |= {"speed_over_trl": pooled / throughput(theirs), "wanted": 8 / share}
    return summary


def linear(args: argparse.Namespace) -> dict[str, Any]:
    """The same budget for ever larger steps."""
    model = make_model(args)
    found = {}
    for prompts in (8, 16, 32, 64, 128):
        workload = make_workload(args, model, args.seed, prompts=prompts)
        result = ours(args, model, workload, args.steps, prompts=prompts)
        work = [result["useful_operations"] / (s * r) for s, r in zip(result["seconds"], result["rates"], strict=True)]
        found[prompts] = {
            "microseconds_a_token": 1e6 * median(result["seconds"]) / result["fed_tokens"],
            "utilisation": median(work),
            "peak_gib": result["peak_gib"],
            "largest_micro_batch": result["largest_micro_batch"],
        }
    return found


def vocabulary(args: argparse.Namespace) -> dict[str, Any]:
    """Ever larger vocabularies; weight, gradient and two optimizer states of it are the memory that must grow."""
    found = {}
    for size in (32_000, 64_000, 128_000, 256_000):
        model = make_model(args, vocab_size=size)
        result = ours(args, model, make_workload(args, model, args.seed), 1, vocab=size)
        found[size] = {
            "peak_gib": result["peak_gib"],
            "peak_without_weights_gib": round(result["peak_gib"] - 4 * result["parameter_gib"], 3),
        }
    return found


def main() -> None:
    """Parse the command line, measure, print and store the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"speed": speed, "mixed": mixed, "linear": linear, "vocabulary": vocabulary}
    parser.add_argument("what", choices=commands)
    parser.add_argument("--out", default="runs/bench_step", help="folder for models, workloads and results")
    parser.add_argument("--model", help="Hugging Face folder with a tokenizer, instead of --shape with random weights")
    parser.add_argument("--shape", choices=SHAPES, default="llama-25m")
    parser.add_argument("--runs", type=int, default=5, help="alternating runs of `speed`")
    parser.add_argument("--steps", type=int, default=1, help="timed steps a run, after one warm-up step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10, help="workloads of `mixed`")
    parser.add_argument("--token-budget", type=int, default=1000)
    parser.add_argument("--max-saved-logits-mib", type=int, default=256)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--compile", action="store_true", help="compile the decoder blocks")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--trl-python", help="interpreter of the environment that holds TRL; without it no comparison")
    parser.add_argument("--trl-micro", type=int, nargs="+", default=[4, 16], help="TRL's micro-batches to try")
    parser.add_argument("--trl-flags", default="", help="more options of bench_trl.py")
    parser.add_argument("--prefix", default="", help="put before each measured command, such as `taskset -c 1`")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=120)
    parser.add_argument("--mean-tokens", type=float, default=60)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--solve-rate", choices=["mixed", "half"], default="half")
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    summary = {"what": args.what, "date": date.today().isoformat(), "summary": commands[args.what](args)}
    with open(Path(args.out) / "summaries.jsonl", "a") as file:
        file.write(json.dumps(summary) + "\n")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
