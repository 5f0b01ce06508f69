"""From advantages to the loss of a micro-batch: one loss, one class, one file.

``base.py`` holds the interface: ``LossInputs`` (flat tensors, one entry per completion token) goes in, ``LossOutput``
(sums, already weighted by global denominators) comes out. What a token weighs is decided before, by
``functional.policy_loss.token_weights``; the KL penalty is ``functional.kl``.

- ``ClippedLoss`` (``clipped.py``): PPO, GRPO and DAPO, clipped token by token.
- ``GSPOLoss`` (``gspo.py``): clipped completion by completion.
- ``CISPOLoss`` (``cispo.py``): clips the weight of a token, never its gradient.
"""

from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss
from lit_passk.losses.cispo import CISPOLoss
from lit_passk.losses.clipped import ClippedLoss
from lit_passk.losses.gspo import GSPOLoss

__all__ = ["CISPOLoss", "ClippedLoss", "GSPOLoss", "LossInputs", "LossOutput", "PolicyLoss"]
