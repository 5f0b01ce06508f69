"""Which prompts a training step has: one way, one class, one file.

Start with ``base.py``: ``Candidates`` (a task's prompts and what past rollouts say of them) goes in, rows come out.

- ``Uniform`` (``uniform.py``): every prompt once an epoch; the default.
- ``DifficultyPools`` (``difficulty_pools.py``): so many easy, normal and hard prompts in every step.
- ``ExpectedAdvantage`` (``expected_advantage.py``): the prompts from which the strategy in use gets the most.

The last two go by what past rollouts say of each prompt (``data/pass_rates.py``).
"""

from lit_passk.data.samplers.base import Candidates, PromptSampler
from lit_passk.data.samplers.difficulty_pools import DifficultyPools
from lit_passk.data.samplers.expected_advantage import ExpectedAdvantage
from lit_passk.data.samplers.uniform import Uniform

__all__ = ["Candidates", "DifficultyPools", "ExpectedAdvantage", "PromptSampler", "Uniform"]
