"""What looks like a credential: kept out of processes that need none, and out of what is saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal

_WORDS = re.compile(
    r"(?:^|_)(?:key|pat|auth|credentials?|\w*(?:apikey|token|secret|passphrase|password|passwd))(?:_|$)"
)
_IN_URL = re.compile(r"\w+://[^/\s@]+:[^/\s@]+@")
_OPTIONS = re.compile(
    r"(?:^|_)(?:api_?key|access_?key|secret|password|passwd|credentials?|(?:hf|auth|access|api)_token)$"
)


def without_credentials(environ: Mapping[str, str], kept: Sequence[str] = ()) -> dict[str, str]:
    """An environment without what looks like a credential, by a word of its name or by a password in its value.

    Args:
        environ: The environment.
        kept: Names that stay whatever they look like.

    Example:
        >>> environ = {"HF_TOKEN": "x", "TOKENIZERS_PARALLELISM": "false", "HTTPS_PROXY": "http://me:x@proxy"}
        >>> without_credentials(environ), without_credentials(environ, kept=["HF_TOKEN"])["HF_TOKEN"]
        ({'TOKENIZERS_PARALLELISM': 'false'}, 'x')

    """
    return {name: value for name, value in environ.items() if name in kept or not _is_credential(name, value)}


def _is_credential(name: str, value: str) -> bool:
    return _WORDS.search(name.lower()) is not None or _IN_URL.search(value) is not None


def check_without_credentials(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that holds a credential: it is saved beside the logs, in checkpoints and in model cards.

    Args:
        config: Nested mappings and lists.

    Raises:
        Refusal: If an option is named as one (``api_key``, ``password``), or a value is an address with a password.

    Example:
        >>> check_without_credentials({"logger": {"init_args": {"uri": "https://me:pass@host"}}})
        Traceback (most recent call last):
        lit_passk.errors.Refusal: `logger.init_args.uri` holds a credential...

    """
    for path, value in _leaves(config):
        named = _OPTIONS.search(path.rpartition(".")[2].lower())
        if isinstance(value, str) and value and (named or _IN_URL.search(value)):
            raise Refusal(
                f"`{path}` holds a credential, which would be saved beside the logs, in checkpoints and in model "
                "cards. Leave it out, and have it read from an environment variable (HF_TOKEN, WANDB_API_KEY, "
                "VLLM_API_KEY, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; a class of yours reads its own)."
            )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from _leaves(below, f"{path}.{number}")
    else:
        yield path, value
