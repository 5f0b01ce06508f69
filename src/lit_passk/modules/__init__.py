"""The two things one can train: ``PassKRLModule`` by reinforcement learning, ``SFTModule`` for the cold start."""

from lit_passk.modules.advantage import compute_advantages
from lit_passk.modules.passk import PassKRLModule
from lit_passk.modules.schedules import WarmupLR
from lit_passk.modules.sft import SFTModule

__all__ = ["PassKRLModule", "SFTModule", "WarmupLR", "compute_advantages"]
