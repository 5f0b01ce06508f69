"""Does vLLM in the training process work on a GPU, and how fast? Needs vLLM for CUDA; says so where it is not.

    python scripts/gpu/step3_vllm.py --minutes 10           # writes runs/gpu/step3.jsonl; start again to go on
    python scripts/gpu/step3_vllm.py --device cpu --tiny

Memory before and after sleep and wake; the tests of the engine, which compare log-probabilities with the policy's
before and after a weight sync; sampling and weight updates of a policy of 1.5 billion parameters against bare vLLM and
a copy within the device; a run of a shipped configuration on arithmetic.
"""

from __future__ import annotations

import sys

from programme import REPOSITORY, Results, cannot_import, options, python, tiny_policy

SMOLLM2 = REPOSITORY / "runs" / "smollm2"


def main() -> None:
    """Do what is not done yet."""
    args = options(__doc__)
    results = Results(args, "step3.jsonl")
    if reason := cannot_import(sys.executable, "vllm"):
        results.skip("vLLM", reason)
        return
    policy = tiny_policy(args.out / "tiny")
    for level in ["2"] if args.tiny else ["2", "1"]:
        sleep = python("scripts/gpu/sleep_memory.py", policy, "--level", level, "--device", args.device)
        results.run(f"sleep level {level}", sleep, seconds=240)
    tests = ["tests/engines/test_vllm_parity.py", *([] if args.tiny else ["tests/engines/test_vllm_engine.py"])]
    results.run("engine", python("-m", "pytest", "-q", "-rf", "--tb=short", *tests), seconds=480)
    if args.tiny:
        sizes = ["--prompts", "2", "--group-size", "2", "--prompt-tokens", "4", "--max-tokens", "4", "--repeats", "1"]
        bench = ["--policy", policy, *sizes, "--engines", "VLLMEngine", "TransformersEngine"]
    else:
        bench = ["--random", "1.5b", "--dtype", "bfloat16", "--prompts", "64"]
    file = str(args.out / "rollout.json")
    results.run("sampling and weight sync", python("scripts/bench_rollout.py", *bench, "--out", file), seconds=480)
    if not (SMOLLM2 / "config.json").exists():
        results.skip("arithmetic", "there is no runs/smollm2: scripts/prepare_smollm2.py makes it")
    elif not args.tiny:
        run = ["-m", "lit_passk.cli", "fit", "--config", "configs/arithmetic_smollm2_cpu.yaml"]
        run += ["--trainer.accelerator", "gpu", "--trainer.precision", "bf16-mixed"]
        run += ["--trainer.default_root_dir", str(args.out / "arithmetic")]
        results.run("arithmetic", python(*run), seconds=600)


if __name__ == "__main__":
    main()
