"""What goes on around a batch: rollouts before it, pictures and tables after it."""

from lit_passk.callbacks.completions_table import CompletionsTable
from lit_passk.callbacks.pass_at_k_curve import PassAtKCurve
from lit_passk.callbacks.resume import ResumeCheckpoint
from lit_passk.callbacks.rollout import RolloutCallback
from lit_passk.callbacks.save_for_replay import SaveForReplay
from lit_passk.callbacks.stop_on_signal import StopOnSignal
from lit_passk.callbacks.stop_together import StopTogether
from lit_passk.callbacks.trackio_logger import TrackioLogger

__all__ = [
    "CompletionsTable",
    "PassAtKCurve",
    "ResumeCheckpoint",
    "RolloutCallback",
    "SaveForReplay",
    "StopOnSignal",
    "StopTogether",
    "TrackioLogger",
]
