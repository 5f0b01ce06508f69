"""The model card of an exported policy: how it was trained, what it scores, and nothing secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lit_passk import __version__
from lit_passk.errors import Refusal
from lit_passk.inputs import parse_yaml
from lit_passk.report.runs import open_runs
from lit_passk.report.summary import summarize
from lit_passk.report.tables import as_markdown, summary_table

HIDDEN = "(hidden)"
_SECRET_NAME = re.compile(r"(?i)(api_?key|secret|passw|credential|authorization|bearer|(^|_)token$|(^|_)key$)")
_SECRET_TEXT = re.compile(
    r"\b(hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{16}|[0-9a-f]{40})\b"  # tokens
    r"|(?<=://)[^/\s@]+(?=@)"  # the user and password of an address
)


def model_card(
    checkpoint: Mapping[str, Any], path: str, source: str, adapter: bool, results: Sequence[str | Path] = ()
) -> str:
    """The text of ``README.md``.

    Args:
        checkpoint: What ``export`` read.
        path: Where the checkpoint is; only its last two parts are shown.
        source: Folder or hub id of the policy that the run started from.
        adapter: Whether the folder holds an adapter alone.
        results: Result files of evaluations, whose pass@k the card reports.

    Raises:
        Refusal: If a result file cannot be read.
    """
    config = parse_yaml(checkpoint["config"] or "", f"The configuration in {str(path)!r}") or {}
    if not isinstance(config, Mapping):
        raise Refusal(
            f"The configuration in {str(path)!r} is no mapping, but {type(config).__name__}: no run wrote it."
        )
    config = without_secrets(config)
    local = Path(source).is_dir()
    name = Path(source).name
    parts = [
        f"# {name}, trained with lit-passk",
        f"{'Adapter' if adapter else 'Weights'} after {checkpoint['rl_step']} steps of reinforcement learning with "
        f"verifiable rewards from `{name if local else source}` (checkpoint `{'/'.join(Path(path).parts[-2:])}`), by "
        f"lit-passk {__version__} ([arXiv 2508.10751](https://arxiv.org/abs/2508.10751)).",
        "## How it was trained",
        as_markdown([["", ""], *training(config, checkpoint, name if local else source)]),
    ]
    if results:
        runs, _ = open_runs([str(file) for file in results])
        summaries = [summary for run in runs for summary in summarize(run.seeds, run.label)]
        parts += ["## What it scores", as_markdown(summary_table(summaries))]
    metrics = [[metric, f"{value:.6g}"] for metric, value in sorted(checkpoint["metrics"].items())]
    if metrics:
        parts += ["## Metrics when the checkpoint was written", as_markdown([["metric", "value"], *metrics])]
    shown = yaml.safe_dump(config, sort_keys=False) if config else "# not recorded: not started by the command line\n"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))  # that no text in it can close
    parts += ["## Configuration", f"{fence}yaml\n{shown}{fence}"]
    head = {
        "library_name": "peft" if adapter else "transformers",
        **({} if local else {"base_model": source}),
        "tags": ["lit-passk", "pass-at-k", "reinforcement-learning"],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n" + "\n\n".join(parts) + "\n"


def training(config: Mapping[str, Any], checkpoint: Mapping[str, Any], source: str) -> list[list[str]]:
    """Strategy, group size, steps, data and versions, a row each."""
    model, rollout, data = (_mapping(config.get(name)) for name in ("model", "rollout", "data"))
    lora = _mapping(model.get("lora"))
    rows = {
        "base model": source,
        "advantage strategy": described(model.get("advantage")) or "PassKAnalytic(k=4)",
        "loss": described(model.get("loss")) or "ClippedLoss()",
        "completions of a prompt (G)": rollout.get("group_size"),
        "prompts of an RL step": data.get("prompts_per_step"),
        "RL steps": checkpoint["rl_step"],
        "trained on": described(data.get("train")),
        "adapters": f"LoRA, rank {lora.get('rank')}, alpha {lora.get('alpha')}" if lora else None,
        "lit-passk": __version__,
    }
    return [[name, str(value)] for name, value in rows.items() if value is not None]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def described(part: Any) -> str | None:
    """A chosen class with its settings, as one would call it; None for none.

    Example:
        >>> described({"class_path": "lit_passk.advantages.PassKAnalytic", "init_args": {"k": 4, "std": None}})
        'PassKAnalytic(k=4)'

    """
    if not isinstance(part, Mapping) or "class_path" not in part:
        return None
    settings = ((name, value) for name, value in _mapping(part.get("init_args")).items() if value is not None)
    shown = (f"{name}={described(value) or value}" for name, value in settings)
    return f"{str(part['class_path']).rpartition('.')[2]}({', '.join(shown)})"


def without_secrets(value: Any) -> Any:
    """The same with keys, tokens and passwords hidden: by the name of an option, or by what a text looks like.

    Example:
        >>> without_secrets({"api_key": "abc", "max_tokens": 9, "url": "http://me:pw@host"})
        {'api_key': '(hidden)', 'max_tokens': 9, 'url': 'http://(hidden)@host'}

    """
    if isinstance(value, Mapping):
        return {
            key: HIDDEN
            if inner and isinstance(inner, str) and _SECRET_NAME.search(str(key))
            else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return _SECRET_TEXT.sub(HIDDEN, value) if isinstance(value, str) else value
