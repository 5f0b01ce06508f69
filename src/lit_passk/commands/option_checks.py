"""What jsonargparse lets through although the options' types forbid it: ``null``, values for whole sections, NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum
from pydoc import locate
from typing import Any, get_args

from jsonargparse import ArgumentParser, Namespace

from lit_passk.errors import Refusal


def check_options(parser: ArgumentParser, config: Namespace) -> None:
    """Give empty sections their defaults; refuse ``null`` where an option needs a value, and NaN.

    Args:
        parser: With the options.
        config: What it made of files and command line; empty sections are filled in place.

    Raises:
        Refusal: With the option, what it needs and its default; for NaN, which comparisons with bounds let through.
    """
    names = [action.dest for action in parser._actions if hasattr(action, "_typehint") and action.default != _HELP]
    for section in sorted({name.rpartition(".")[0] for name in names} - {""}, key=len):
        value = config.get(section)
        if value is not None and not isinstance(value, Namespace):
            below = ", ".join(name.removeprefix(f"{section}.") for name in names if name.startswith(f"{section}."))
            raise Refusal(
                f"`{section}` is {value!r}, but it has options below ({below}). Leave it out for their defaults."
            )
    if missing := [name for name in names if name not in config]:  # of a section without anything below
        defaults = parser.get_defaults()
        for name in missing:
            config[name] = defaults.get(name)
    _refuse_nulls(parser, config, "")
    for place in _nans(config, ""):
        raise Refusal(f"`{place}` is NaN (not a number), by which no option goes. Give it a number.")
    for name in names:
        for place, given in _classes(config.get(name), name):
            if (chosen := locate(given.class_path)) is not None:
                of_class = ArgumentParser(exit_on_error=False)
                of_class.add_class_arguments(chosen, fail_untyped=False)
                _refuse_nulls(of_class, given.init_args, f"{place}.init_args.")


_HELP = "==SUPPRESS=="
"""The default of what is no option itself: ``--model.loss.help``."""


def _refuse_nulls(parser: ArgumentParser, config: Namespace, before: str) -> None:
    for action in parser._actions:
        kind, default = getattr(action, "_typehint", None), action.default
        needs_value = kind is not None and default not in (None, _HELP) and type(None) not in get_args(kind)
        if needs_value and action.dest in config and config[action.dest] is None:
            raise Refusal(
                f"`{before}{action.dest}` is null, but it needs a value. Leave it out for its default, {default!r}."
            )


def _nans(value: Any, place: str) -> Iterator[str]:
    """Where a value holds NaN."""
    if isinstance(value, float) and math.isnan(value):
        yield place
    value = vars(value) if isinstance(value, Namespace) else value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in pairs:
        yield from _nans(inner, f"{place}.{key}" if place else str(key))


def write_out_enums(value: Any) -> None:
    """Write Lightning's enumerations as texts, in place: ``Timer``'s default is one, which YAML cannot hold."""
    value = vars(value) if isinstance(value, Namespace) else value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        if isinstance(inner, Enum) and isinstance(inner, str) and type(inner).__module__.startswith("lightning."):
            value[key] = inner.value
        write_out_enums(inner)


def _classes(value: Any, place: str) -> Iterator[tuple[str, Namespace]]:
    """Every ``class_path`` with ``init_args`` in a value, and where it is."""
    if isinstance(value, Namespace) and isinstance(value.get("init_args"), Namespace):
        yield place, value
        place, value = f"{place}.init_args", value.init_args
    if isinstance(value, Namespace):
        value = vars(value)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _classes(inner, f"{place}.{key}")
