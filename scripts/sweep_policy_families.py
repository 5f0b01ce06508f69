"""Which families of models a policy trains as transformers defines them: docs/engines.md.

    PYTHONPATH=src:tests python scripts/sweep_policy_families.py [FAMILY ...] [--checks CHECK ...]

Each check of ``tests/helpers/family_checks.py`` on a tiny random model (tests/helpers/tiny_families.py) of each causal
language model that transformers has, in float32. Prints a row a family: ``ok``, or what stopped each check. A family
whose sizes are not known is passed over where it would not be tiny. About a second a family.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import traceback

from helpers.family_checks import CHECKS
from helpers.tiny_families import all_families, num_parameters, tiny_model

LARGEST = 10**7


def rows(family: str, checks: list[str], trace: bool) -> str:
    """The result of one family."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            if (size := num_parameters(family)) > LARGEST:
                return f"not tried: its sizes are not known, and it would have {size:,} parameters"
            model = tiny_model(family)
            model.save_pretrained(folder)
        except Exception as error:
            return f"not built: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        for name in checks:
            try:
                CHECKS[name](copy.deepcopy(model), folder)
            except Exception as error:
                if trace:
                    traceback.print_exc()
                found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    return "; ".join(f"{name}: {words}" for name, words in found.items()) or "ok"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), choices=list(CHECKS))
    parser.add_argument("--trace", action="store_true", help="show errors whole")
    options = parser.parse_args()
    for family in options.families or all_families():
        print(f"| {family} | {rows(family, options.checks, options.trace)} |", flush=True)


if __name__ == "__main__":
    main()
