"""Which prompts a training step has: one way, one class, one file.

Start with ``base.py``: ``Candidates`` (a task's prompts and what past rollouts say of them) goes in, rows come out.

- ``Uniform`` (``uniform.py``): every prompt once an epoch; the default.
"""

from lit_passk.data.samplers.base import Candidates, PromptSampler
from lit_passk.data.samplers.uniform import Uniform

__all__ = ["Candidates", "PromptSampler", "Uniform"]
