"""Questions with mathematical answers: ``text.py`` finds the answer of a completion, ``grading.py`` compares it."""

from lit_passk.tasks.math.task import MathTask

__all__ = ["MathTask"]
