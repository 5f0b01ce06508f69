"""What goes on around a batch: rollouts before it, pictures and tables after it."""

from lit_passk.callbacks.rollout import RolloutCallback

__all__ = ["RolloutCallback"]
