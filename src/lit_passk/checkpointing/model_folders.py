"""Folders of models that an export or a cold start may write over: it replaces them as a whole."""

from __future__ import annotations

import json
from pathlib import Path

from lit_passk.errors import Refusal

_SUFFIXES = (".json", ".safetensors", ".bin", ".model", ".jinja")
_NAMES = ("README.md", "LICENSE", "LICENSE.txt", ".gitattributes", "merges.txt", "vocab.txt")
_FOLDERS = ("additional_chat_templates",)
"""What transformers, peft and the hub put into the folder of a model."""


def check_replaceable(folder: Path, models: bool = True) -> None:
    """Refuse to write a model's folder over something else: the whole folder would be replaced.

    Args:
        folder: Where it is to be.
        models: Whether the folder of another model may be replaced.

    Raises:
        Refusal: If there is a file, or a folder with anything but a model in it.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not any(_describes_model(folder / name, keys) for name, keys in _DESCRIPTIONS.items()):
        raise Refusal(
            f"`--out` {str(folder)!r} exists and is not the folder of a model; it would be replaced as a whole. "
            "Name a folder that does not exist yet."
        )
    if not models:
        raise Refusal(f"`--out` {str(folder)!r} holds a model already. Remove it, or name a new folder.")
    if others := sorted(path.name for path in folder.iterdir() if not _is_of_a_model(path)):
        raise Refusal(
            f"`--out` {str(folder)!r} holds {', '.join(map(repr, others[:3]))} beside a model, and would be replaced "
            "as a whole. Move that elsewhere, or name a folder that does not exist yet."
        )


_DESCRIPTIONS = {"config.json": ("model_type", "architectures"), "adapter_config.json": ("peft_type",)}


def _describes_model(path: Path, keys: tuple[str, ...]) -> bool:
    """Whether it is a model's configuration: many projects of other kinds have a file of that name."""
    if not path.is_file():
        return False
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and any(key in content for key in keys)


def _is_of_a_model(path: Path) -> bool:
    if path.is_dir():
        return path.name in _FOLDERS
    return path.name in _NAMES or path.suffix in _SUFFIXES
