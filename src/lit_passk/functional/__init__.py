"""Pure tensor functions: the arithmetic of the library, without Lightning and without state."""

from lit_passk.functional.bootstrap import paired_difference, pass_at_k_interval
from lit_passk.functional.pass_at_k import max_at_k, pass_at_k

__all__ = ["max_at_k", "paired_difference", "pass_at_k", "pass_at_k_interval"]
