"""What Lightning would let pass without a word, or end a run for, made right on a trainer."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_warn


def guard(trainer: L.Trainer) -> None:
    """Make a StopIteration that leaves a hook an error, and an error of a logger a warning; safe to call twice.

    Lightning's loops take any StopIteration for their end: one that escapes from a callback, a strategy or a step would
    skip the rest of a step, of a validation or of the whole run, and the exit status would still be 0.
    """
    # Every hook, of whatever object, runs inside `profiler.profile`.
    profiler = trainer.profiler  # type: ignore[attr-defined]
    if not isinstance(profiler.profile, _Profile):
        profiler.profile = _Profile(profiler.profile)
    for logger in trainer.loggers:
        for name in ("log_metrics", "log_hyperparams", "save", "after_save_checkpoint", "finalize"):
            method = getattr(logger, name)
            if not hasattr(method, "guarded"):
                setattr(logger, name, _warn_instead(method, f"{type(logger).__name__}.{name}"))


class _Profile:
    """A profiler's ``profile`` that lets no StopIteration out."""

    def __init__(self, profile: Callable[[str], AbstractContextManager[Any]]) -> None:
        self.profile = profile

    def __call__(self, action: str) -> AbstractContextManager[Any]:
        return _Action(action, self.profile(action))


class _Action(AbstractContextManager[Any]):  # not a generator: Python treats a StopIteration inside those specially
    def __init__(self, name: str, inner: AbstractContextManager[Any]) -> None:
        self.name, self.inner = name, inner

    def __enter__(self) -> Any:
        return self.inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        handled = self.inner.__exit__(kind, error, trace)
        if isinstance(error, StopIteration) and not handled:
            raise RuntimeError(
                f"{self.name} raised StopIteration, which Lightning would have taken for the end of its loop."
            ) from error
        return handled


@contextmanager
def only_warn(what: str) -> Iterator[None]:
    """What shows a run to people may fail without ending it: an error costs a warning with its trace.

    Not for code that other ranks wait for.
    """
    try:
        yield
    except Exception as error:
        rank_zero_warn(f"{what} failed; the run goes on without it.\n{traceback.format_exc()}")
        forget_trace(error)


def forget_trace(error: BaseException) -> None:
    """Let go of what an error and those behind it lead to: a logger may raise the very same one in every step.

    TensorBoard's does, and its trace would then grow by some frames a step, with all that they hold.
    """
    seen: BaseException | None = error
    while seen is not None and seen.__traceback__ is not None:
        seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__


def _warn_instead(method: Callable[..., Any], what: str) -> Callable[..., Any]:
    """What fails in every step, on a disk that is full say, is told when it begins, and again once it has worked."""
    told = False

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        nonlocal told
        try:
            result = method(*args, **kwargs)
        except Exception as error:
            if told:
                forget_trace(error)
                return None
            told = True
            with only_warn(what):
                raise
        else:
            told = False
            return result

    guarded.guarded = True  # type: ignore[attr-defined]
    return guarded
