"""From advantages to the loss of a micro-batch: one loss, one class, one file.

``base.py`` holds the interface: ``LossInputs`` (flat tensors, one entry per completion token) goes in, ``LossOutput``
(sums, already weighted by global denominators) comes out. What a token weighs is decided before, by
``functional.policy_loss.token_weights``; the KL penalty is ``functional.kl``.

- ``ClippedLoss`` (``clipped.py``): PPO, GRPO and DAPO, clipped token by token.
- ``GSPOLoss`` (``gspo.py``): clipped completion by completion.
- ``GMPOLoss`` (``gmpo.py``): one ratio a completion, clipped token by token.
- ``CISPOLoss`` (``cispo.py``): clips the weight of a token, never its gradient.
- ``SAPOLoss`` (``sapo.py``): a soft gate in place of a clip.
- ``SimKOLoss`` (``simko.py``): shares the push of a token with the likeliest ones beside it.
- ``ClipCovLoss`` (``clip_cov.py``), ``KLCovLoss`` (``kl_cov.py``): leave out, or hold back, the few tokens that would
  lower the entropy most.

What is done about completions of an engine whose log-probabilities differ from the policy's (``correction.py``):
``TIS``, ``MIS``, ``IcePop`` weigh (``importance.py``); ``TokenMask``, ``GeometricMask``, ``WorstTokenMask`` and
``OffPolicyMask`` leave out (``masks.py``).

docs/losses.md says which one when, and what verl, TRL and SkyRL call them.
"""

from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss
from lit_passk.losses.cispo import CISPOLoss
from lit_passk.losses.clip_cov import ClipCovLoss
from lit_passk.losses.clipped import ClippedLoss
from lit_passk.losses.correction import RolloutCorrection
from lit_passk.losses.gmpo import GMPOLoss
from lit_passk.losses.gspo import GSPOLoss
from lit_passk.losses.importance import MIS, TIS, IcePop
from lit_passk.losses.kl_cov import KLCovLoss
from lit_passk.losses.masks import GeometricMask, OffPolicyMask, TokenMask, WorstTokenMask
from lit_passk.losses.sapo import SAPOLoss
from lit_passk.losses.simko import SimKOLoss

__all__ = [
    "MIS",
    "TIS",
    "CISPOLoss",
    "ClipCovLoss",
    "ClippedLoss",
    "GMPOLoss",
    "GSPOLoss",
    "GeometricMask",
    "IcePop",
    "KLCovLoss",
    "LossInputs",
    "LossOutput",
    "OffPolicyMask",
    "PolicyLoss",
    "RolloutCorrection",
    "SAPOLoss",
    "SimKOLoss",
    "TokenMask",
    "WorstTokenMask",
]
