"""A task whose prompts differ in length alone, and a chat template over letters."""

from __future__ import annotations

from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'][0].upper() }}{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}R{% endif %}"
)


class Letters(Task):
    """Prompts of 1, 2, 3, ... letters."""

    def __init__(self, num: int = 11) -> None:
        self.num = num

    def __len__(self):
        return self.num

    def __getitem__(self, index):
        if index >= self.num:
            raise IndexError(index)
        return Problem(id=str(index), prompt="U" * (index + 1), answer="")

    def score(self, problem, completion):
        return Score(reward=0.0, correct=False)
