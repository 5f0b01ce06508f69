"""Which families of models vLLM samples here with the policy's log-probabilities, and why not: docs/engines.md.

    .venv/bin/python scripts/sweep_vllm_families.py [FAMILY ...]

For each family a tiny random model (tests/helpers/tiny_families.py) is served by ``VLLMEngine`` in a process of its
own, sampled from, changed in every weight, sent, and sampled from again. Prints a row of the table a family: the
largest difference of a token's log-probability before and after the weights came, or the first line of the error.
About half a minute a family. Some of vLLM's kernels exist in bfloat16 alone: ``--dtype bfloat16``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = [[1, 5, 6, 7], [1, 9]]
RESULT = "result: "


def measure(family: str, dtype: str) -> str:
    """Serve one family; return the cells of its row."""
    import torch
    from helpers.tiny_families import change_weights, tiny_model
    from helpers.tiny_policies import EOS, logprobs_of
    from transformers import AutoModelForCausalLM

    from lit_passk.engines.vllm_engine import VLLMEngine
    from lit_passk.types import Sampling

    def worst() -> float:
        groups = dict(engine.generate(PROMPTS, Sampling(n=3, max_tokens=20), [10, 20]))
        differences = [
            torch.tensor(c.logprobs) - logprobs_of(policy, PROMPTS[p], list(c.token_ids), 1.0)
            for p, group in groups.items()
            for c in group
        ]
        return torch.cat(differences).abs().max().item()

    with tempfile.TemporaryDirectory() as folder:
        tiny_model(family).save_pretrained(folder)
        policy = AutoModelForCausalLM.from_pretrained(folder).eval()
        engine = VLLMEngine(dtype=dtype, kv_cache_gib=2**-4, max_model_len=128)
        before = after = "-"
        try:
            engine.start(folder, policy, [EOS])
            before = f"{worst():.0e}"
            change_weights(policy)
            engine.load_weights(policy.state_dict().items(), version=1)
            after = f"{worst():.0e}"
        except Exception as error:  # whatever stops a family is its row's last cell
            if "--trace" in sys.argv:
                raise
            return f"{before} | {after} | {type(error).__name__}: {' '.join(str(error).split())}"
        finally:
            engine.close()
    return f"{before} | {after} | "


def main() -> None:
    """Run each family in a process of its own; print the table."""
    sys.path.insert(0, str(ROOT / "tests"))
    from helpers.tiny_families import FAMILIES, MORE_FAMILIES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=sorted(FAMILIES | MORE_FAMILIES), metavar="FAMILY")
    parser.add_argument("--dtype", default="float32", help="of vLLM; the policy is in float32")
    parser.add_argument("--trace", action="store_true", help="run one family in this process and show its error whole")
    options = parser.parse_args()
    if options.trace:
        print(f"{RESULT}{measure(options.families[0], options.dtype)}")
        return
    print("| family | difference at the start | after new weights | |\n|---|---|---|---|", flush=True)
    environ = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    for family in options.families:
        code = (
            f"import sweep_vllm_families as sweep; print(sweep.RESULT + sweep.measure({family!r}, {options.dtype!r}))"
        )
        child = [sys.executable, "-c", code]
        run = subprocess.run(
            child, cwd=ROOT / "scripts", env=environ, capture_output=True, text=True, timeout=900, check=False
        )
        rows = [line.removeprefix(RESULT) for line in run.stdout.splitlines() if line.startswith(RESULT)]
        last = (run.stderr.strip().splitlines() or ["nothing"])[-1]
        print(
            f"| {family} | {rows[-1] if rows else f'- | - | the process ended with {run.returncode}: {last}'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
