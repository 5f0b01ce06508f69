"""What a first configuration is made from: the task, the policy, the machine."""

from __future__ import annotations

from dataclasses import dataclass

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded

MAZE_POLICY = "runs/maze_sft"
"""The small policy that ``lit-passk sft --config maze_sft_cpu`` makes."""
TASKS = {
    "maze": "mazes that are generated, without a data set",
    "math": "questions with a mathematical answer: rows of GSM8K, verl, TRL, ...",
    "code": "programs judged by tests: rows of APPS, MBPP, LiveCodeBench, verl, ...",
    "function": "rows that a function of yours judges, with verl's or TRL's signature",
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user chose.

    Args:
        task: One of ``TASKS``.
        policy: Folder or hub id of the model.
        path: Rows to train on, a file, folder or hub id; None for mazes.
        split: Split of a hub data set to train on.
        subset: Configuration of a hub data set.
        val_path: Rows to validate on; None takes those of ``val_split``, if that is given.
        val_split: Split of a hub data set to validate on.
        function: ``FILE:NAME`` of the function that judges.
        k: Size of the groups that are paid.
        gpus: GPUs of one machine; 0 is a CPU.
        lora: Train low-rank adapters instead of the weights.
        vllm: Sample with vLLM instead of the policy itself.
    """

    task: str
    policy: str
    path: str | None
    split: str | None
    subset: str | None
    val_path: str | None
    val_split: str | None
    function: str | None
    k: int
    gpus: int
    lora: bool
    vllm: bool

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise Refusal(f"`--task` is one of {', '.join(TASKS)}, but got {self.task!r}.")
        if self.task != "maze" and not self.path:
            raise Refusal(f"The task {self.task!r} needs rows: name a file, a folder or a hub id by `--path`.")
        if self.task == "maze" and (self.path or self.val_path):
            raise Refusal("Mazes are generated: `--path` and `--val_path` go with another `--task`.")
        if (self.task == "function") != bool(self.function):
            raise Refusal(
                "`--function FILE:NAME` goes with `--task function` and only with it, as `--function rewards.py:score`."
            )
        if self.gpus < 0:
            raise Refusal(f"`--gpus` is 0 for a CPU, or how many GPUs there are, but got {self.gpus}.")
        if self.k < 1:
            raise Refusal(f"`--k` must be at least 1, but got {self.k}.")
        if self.path and is_hub_id(self.path) and not self.split:
            raise Refusal(f"The hub data set {self.path!r} needs a split: give `--split`, such as `--split train`.")
        if self.val_path and is_hub_id(self.val_path) and not self.val_split:
            raise Refusal(f"The hub data set {self.val_path!r} needs a split: give `--val_split`.")

    @property
    def toy(self) -> bool:
        """Whether it is the shipped maze job, whose policy has 80,000 parameters and a vocabulary of 15."""
        return self.task == "maze" and self.policy == MAZE_POLICY

    @property
    def validates(self) -> bool:
        """Whether there is something to validate on."""
        return self.task == "maze" or bool(self.val_path or self.val_split)


def is_hub_id(path: str) -> bool:
    """Whether rows are looked for on the hub: there is no such file or folder, and the form is a hub id's."""
    return not expanded(path).exists() and path.count("/") == 1 and not path.startswith((".", "~", "/"))
