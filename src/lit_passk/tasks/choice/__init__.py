"""Questions with options, one of which is right: ``task.py``, ``rows.py`` (columns) and ``letters.py`` (answers)."""

from lit_passk.tasks.choice.task import MultipleChoice

__all__ = ["MultipleChoice"]
