"""From prompts to a step's rollouts.

- ``source.py``: the interface of where they come from; ``on_policy.py``, ``dynamic_sampling.py`` and
  ``one_step_off_policy.py`` (with ``background.py``) are the ways; ``step.py`` is what a source knows of a step.
- ``sampler.py``: engine and scorer of a run; ``sampling.py`` lets both work at once; ``collate.py`` makes tensors.
- ``parity.py`` compares the engine with the policy; ``checks.py`` refuses settings that cannot work.
"""
