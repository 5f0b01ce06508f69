"""Evaluation results on disk: one JSON line per completion, appended as it is scored, never rewritten.

``record`` what a line holds; ``writer`` appends and says what is missing; ``reader`` loads; ``rescore`` scores the same
completions again.
"""

from lit_passk.results.reader import Results, load_results
from lit_passk.results.record import CompletionRecord, group_records, run_settings
from lit_passk.results.rescore import RescoreSummary, rescore
from lit_passk.results.writer import ResultWriter

__all__ = [
    "CompletionRecord",
    "RescoreSummary",
    "ResultWriter",
    "Results",
    "group_records",
    "load_results",
    "rescore",
    "run_settings",
]
