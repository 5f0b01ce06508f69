"""Does vLLM in the training process work on a GPU, and how fast? Needs vLLM for CUDA.

    python scripts/gpu/step3_vllm.py                   # writes runs/gpu/step3.jsonl; start again to go on
    python scripts/gpu/step3_vllm.py --device cpu --tiny

The tests of the engine, which compare log-probabilities with the policy's before and after a weight sync; sampling and
weight updates of a policy of 1.5 billion parameters against bare vLLM; a run of a shipped configuration on arithmetic.
"""

from __future__ import annotations

from programme import Results, options, python


def main() -> None:
    """Do what is not done yet."""
    args = options(__doc__)
    results = Results(args.out / "step3.jsonl")
    tests = ["tests/engines/test_vllm_engine.py", "tests/engines/test_vllm_parity.py"]
    results.run("engine", python("-m", "pytest", "-q", *tests), timeout=900)
    if args.tiny:
        results.run("options", python("scripts/bench_rollout.py", "--help"))
        return
    sizes = ["--random", "1.5b", "--dtype", "bfloat16", "--prompts", "64"]
    results.run("sampling and weight sync", python("scripts/bench_rollout.py", *sizes), timeout=900)
    run = ["-m", "lit_passk.cli", "fit", "--config", "configs/arithmetic_smollm2_cpu.yaml"]
    gpu = ["--trainer.accelerator", "gpu", "--trainer.precision", "bf16-mixed", "--rollout.engine", "VLLMEngine"]
    results.run("arithmetic", python(*run, *gpu, "--trainer.default_root_dir", str(args.out / "arithmetic")), 900)


if __name__ == "__main__":
    main()
