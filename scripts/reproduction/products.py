"""A real pretrained model: SmolLM2-135M-Instruct on products of two numbers, judged on factors it never trained on.

All is fixed here before anything is looked at, but for seed 0, which was run and published before with fewer samples
(docs/performance.md): it is not used.
"""

from __future__ import annotations

from reproduction.domain import Arm, Claim, Domain, Experiment, strategy

PRODUCTS = Domain(
    name="products",
    title="The paper's first finding on a pretrained model",
    introduction="""SmolLM2-135M-Instruct (`scripts/prepare_smollm2.py`) trains on products of two numbers from 3 to 19
for 24 RL steps of 128 completions (`configs/arithmetic_smollm2_cpu.yaml`), sampled by vLLM. Every training is judged on
48 products of pairs of factors that were left out of training, 32 samples each; all begin with the same weights, so a
seed is one of the training and of the samples.""",
    task="products",
    configuration="configs/arithmetic_smollm2_cpu.yaml",
    test="scripts/reproduction/products_test.yaml",
    prepare="scripts/prepare_smollm2.py",
    cold_starts={"plain": ()},
    arms={
        "start": Arm("before training", parts=(0,)),
        "pass1": Arm("Pass@1 (GRPO)", strategy("GRPO")),
        "passk": Arm("Pass@4", strategy("PassKAnalytic", k=4)),
    },
    experiments={
        "explores": Experiment(
            "Pass@k against Pass@1 training",
            "Does Pass@k training keep or raise pass@k, entropy and the number of different answers, and what does "
            "pass@1 pay?",
            "pass1",
            ("start", "pass1", "passk"),
            (
                Claim("Pass@1 training raises pass@1", "pass1", "start", "pass@1"),
                Claim("Pass@4 training raises pass@1", "passk", "start", "pass@1"),
                Claim("Pass@4 training has more of pass@8 than Pass@1 training", "passk", "pass1", "pass@8"),
                Claim("... and of pass@32", "passk", "pass1", "pass@32"),
                Claim("... and a higher entropy", "passk", "pass1", "entropy"),
                Claim("... and pays less than .03 of pass@1", "passk", "pass1", "pass@1", above=-0.03),
            ),
            metrics=("pass@1", "pass@8", "pass@32", "entropy", "different"),
            seeds=3,
        ),
    },
    steps=24,
    num_parts=3,
    first_seed=1,
)
