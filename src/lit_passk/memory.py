"""What to lower when memory runs out, said by the phase in which it did."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_SAYS = (  # how torch and CUDA's libraries say it in a plain RuntimeError, and vLLM in a ValueError
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "no available memory for the cache blocks",
    "free memory on device",
    "kv cache is needed, which is larger than the available",
)
_MARK = "Memory ran out in"


@contextmanager
def memory_for(phase: str, settings: Sequence[str]) -> Iterator[None]:
    """Where memory of a device or of the machine runs out inside, name the phase and the settings to change.

    The error stays what it is, with its trace; the names come below it, as a note (``BaseException.add_note``). Of
    several around one another the innermost speaks.

    Args:
        phase: What the memory was for, such as ``the update``.
        settings: What to change, the first the one to try first.

    Example:
        >>> try:
        ...     with memory_for("the update", ["lower `model.compute.token_budget`"]):
        ...         raise MemoryError
        ... except MemoryError as error:
        ...     print(*error.__notes__)
        Memory ran out in the update. Any of these needs less: lower `model.compute.token_budget`.

    """
    try:
        yield
    except Exception as error:
        if ran_out(error) and not any(note.startswith(_MARK) for note in getattr(error, "__notes__", ())):
            error.add_note(f"{_MARK} {phase}. Any of these needs less: {'; '.join(settings)}.")
        raise


def ran_out(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that memory ran out, on a device or on the machine.

    Example:
        >>> ran_out(RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"))
        True
        >>> ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False

    """
    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError | ValueError) and any(words in str(error).lower() for words in _SAYS):
            return True
        error = error.__cause__
    return False
