"""How fast is the training step? This library and TRL on one recorded step, by `scripts/bench_step.py`.

    python scripts/gpu/step2_train.py --trl-python ../trl-venv/bin/python --trl-script trl_step.py \
      --workload-script make_workload.py              # writes runs/gpu/step2.jsonl; start again to go on
    python scripts/gpu/step2_train.py --device cpu --tiny --workload-script make_workload.py

64 prompts x 8 completions of 600 tokens, random weights of Qwen2.5-1.5B's shape, bfloat16; compiled blocks and not;
TRL's best micro-batch of those that fit. Wanted: 3 times TRL's tokens a second, 45 % of the GPU's arithmetic.
"""

from __future__ import annotations

from programme import Results, options, python

STEP = ["--prompts", "64", "--group-size", "8", "--prompt-tokens", "150"]
STEP += ["--mean-tokens", "600", "--max-tokens", "2048"]
TINY = ["--prompts", "2", "--group-size", "4", "--prompt-tokens", "10", "--mean-tokens", "10", "--max-tokens", "16"]
BUDGETS = [16384, 32768, 65536]


def main() -> None:
    """Do what is not done yet."""
    args = options(__doc__)
    results = Results(args.out / "step2.jsonl")
    shape = ["--shape", "llama-25m" if args.tiny else "qwen2.5-1.5b", "--device", args.device, "--out", str(args.out)]
    common = [*shape, *(TINY if args.tiny else STEP), *([] if args.device == "cpu" else ["--bf16"])]
    for name in ("trl_script", "workload_script"):
        if getattr(args, name):
            common += [f"--{name.replace('_', '-')}", getattr(args, name)]
    timed = ["--runs", "1", "--steps", "1"] if args.tiny else ["--runs", "2", "--steps", "3"]
    bench = python("scripts/bench_step.py", "speed", *common, *timed)
    for budget in [256] if args.tiny else BUDGETS:
        for compiled in [False] if args.tiny else [False, True]:
            flags = ["--token-budget", str(budget), *(["--compile"] if compiled else [])]
            results.run(f"budget {budget}{', compiled' if compiled else ''}", [*bench, *flags])
    if args.trl_python:
        micros = ["--trl-micro", "8", "16", "32", "64"]
        results.run("beside TRL", [*bench, "--trl-python", args.trl_python, *micros], timeout=900)


if __name__ == "__main__":
    main()
