"""Pure tensor functions: the arithmetic of the library, without Lightning and without state."""

from lit_passk.functional.pass_at_k import max_at_k, pass_at_k

__all__ = ["max_at_k", "pass_at_k"]
