"""Functions by name: ``path/to/file.py:name`` or ``package.module:name``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded


def absolute(reference: str) -> str:
    """The same function under a name that does not depend on the folder one works in."""
    place, colon, name = reference.rpartition(":")
    return f"{expanded(place).resolve()}{colon}{name}" if _is_file(place) else reference


@contextmanager
def process_kept() -> Iterator[None]:
    """What files change as they are loaded is put back: a run keeps its folder, environment, log and random numbers."""
    import torch  # here: the workers load functions too, and have no need of these
    from lightning.pytorch.utilities.seed import isolate_rng

    streams, handlers = (sys.stdout, sys.stderr), list(logging.root.handlers)
    put_back: tuple[tuple[Callable[[Any], Any], Any], ...] = (
        (os.chdir, os.getcwd()),
        (logging.disable, logging.root.manager.disable),
        (logging.root.setLevel, logging.root.level),
        (torch.set_default_dtype, torch.get_default_dtype()),
    )
    environment, threads = dict(os.environ), torch.get_num_threads()
    try:
        with (
            isolate_rng(include_cuda=False),
            warnings.catch_warnings(),
            torch.set_grad_enabled(torch.is_grad_enabled()),
        ):
            yield
    finally:
        sys.stdout, sys.stderr = streams
        logging.root.handlers[:] = handlers
        for put, value in put_back:
            put(value)
        if os.environ != environment:  # CUDA_VISIBLE_DEVICES, say, that keeps a judge off the GPUs
            os.environ.clear()
            os.environ.update(environment)
        if torch.get_num_threads() != threads:  # setting it says more to the libraries than the number
            torch.set_num_threads(threads)


def load_function(reference: str) -> Callable[..., Any]:
    """The function that a reference names.

    A file's own folder can be imported from, after everything else that can be.

    Args:
        reference: ``path/to/file.py:name`` or ``package.module:name``; a name may have points.

    Raises:
        Refusal: If there is no such file, module or name, if loading it raises, or if it cannot be called.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise Refusal(f"A function is given as `path/to/file.py:name` or `package.module:name`, but got {reference!r}.")
    found: Any = _load_file(expanded(place).resolve()) if _is_file(place) else _import(place)
    for step in name.split("."):
        if not hasattr(found, step):
            names = ", ".join(n for n in dir(found) if not n.startswith("_") and callable(getattr(found, n)))
            raise Refusal(f"{place} has no {name!r}. What can be called there: {names or 'nothing'}.")
        found = getattr(found, step)
    if not callable(found):
        raise Refusal(f"{reference!r} is no function, but {type(found).__name__}.")
    return found


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Refusal(f"There is no file {str(path)!r} to take a function from.")
    mark = hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    name = f"_lit_passk_{path.stem}_{mark}"  # functions of one file share their module
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refusal(f"A function is taken from a Python file, but {str(path)!r} is none: its name must end in .py.")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _cannot_load(str(path), error) from error
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _cannot_load(name, error) from error
        raise Refusal(
            f"There is no module {name!r} to take a function from: install it, work in the folder that holds it, or "
            "name its file, `path/to/file.py:name`."
        ) from error
    except (Exception, SystemExit) as error:
        raise _cannot_load(name, error) from error


def _cannot_load(place: str, error: BaseException) -> Refusal:
    return Refusal(f"Loading {place} to take a function from raised {type(error).__name__}: {error}")
