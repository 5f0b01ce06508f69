"""One RL step in a file, to be run again by ``lit-passk replay``: tensors and JSON, nothing that runs when it is read.

A safetensors file. Its metadata say what the step was, a tensor of bytes holds problems and scores as JSON, the others
tokens, log-probabilities and advantages of all ranks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.results.atomic import write_atomically
from lit_passk.results.record import installed_versions
from lit_passk.types import Completion, Problem, Sampling, Score, ScoredGroup

FORMAT = "lit-passk-step"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SavedStep:
    """What ``lit-passk replay`` needs of an RL step beside the policy's weights."""

    step: Annotated[int, msgspec.Meta(ge=1)]
    """RL step, counted from 1 as in the logs."""
    reason: str
    """Why it was saved."""
    policy: str
    """Folder or hub id that the run started from."""
    weights: str | None
    """Name of the checkpoint beside the file with the weights that the step began with; None without one."""
    config: str
    """The run's configuration as YAML; empty for a run without the command line."""
    precision: str
    """``trainer.precision``."""
    max_steps: int
    """RL steps of the run, -1 when unknown."""
    sampling: Sampling
    """How the completions were sampled."""
    version: int
    """Version of the weights that sampled them."""
    full_precision: bool
    """See ``RolloutBatch``."""
    groups: Sequence[ScoredGroup]
    """P groups of all ranks in the order of the step, those that training does not see left out. Of a problem its id
    alone was kept, and no texts."""
    positions: Sequence[int]
    """Of each of them in the step."""
    advantages: Tensor
    """Of the N completions that training saw, shape ``(N,)``, float32."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the run logged of the step, if it got there."""
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    """Versions of the packages."""


_HEADER = [
    name for name in SavedStep.__dataclass_fields__ if name not in ("groups", "positions", "advantages", "sampling")
]


_DTYPES = {"advantages": torch.float32, "logprobs": torch.float32, "trained": torch.bool}
"""Of the tensors; all others are int64."""


_Place = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """What the JSON says of a group."""

    problem: str
    source: str | None
    index: _Place
    position: _Place
    seed: int
    completions: list[tuple[str, int]]
    """Finish reason, and version of the weights."""
    scores: list[Score]


def write_step(path: Path, step: SavedStep) -> None:
    """Write a step: all of it or nothing."""
    from safetensors.torch import save

    header = {name: getattr(step, name) for name in _HEADER} | {"sampling": asdict(step.sampling)}
    completions = [completion for group in step.groups for completion in group.completions]
    described = [_described(group, position) for group, position in zip(step.groups, step.positions, strict=True)]
    tensors = {
        "groups": torch.frombuffer(bytearray(json.dumps(described).encode()), dtype=torch.uint8),
        "advantages": step.advantages.float().contiguous(),
        **_flat("prompt_ids", [group.prompt_ids for group in step.groups]),
        **_flat("token_ids", [completion.token_ids for completion in completions]),
        **_flat("logprobs", [completion.logprobs for completion in completions]),
        **_flat("trained", [_trained(completion) for completion in completions]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"format": FORMAT, "version": str(VERSION), "step": json.dumps(header)}
    write_atomically(path, [save(tensors, metadata)])


def read_step(path: Path) -> SavedStep:
    """Read what ``write_step`` wrote.

    Raises:
        Refusal: If the file is another's, of another version, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise Refusal(f"There is no file {str(path)!r}. A step that was saved is <run>/replay/step_000123.safetensors.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise Refusal(f"{path}: not a saved step, its format is {metadata.get('format')!r} and not {FORMAT!r}.")
            if metadata.get("version") != str(VERSION):
                raise Refusal(
                    f"{path}: a saved step of version {metadata.get('version')}, but this lit-passk reads {VERSION}."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return _step(json.loads(metadata["step"]), tensors)
    except SafetensorError as error:
        raise Refusal(f"{path}: not a saved step, or torn ({error}).") from error
    except (LookupError, TypeError, ValueError, RuntimeError, StopIteration, msgspec.ValidationError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal(f"{path}: a saved step that is damaged ({type(error).__name__}: {error}).") from error


def _described(group: ScoredGroup, position: int) -> dict[str, Any]:
    return {
        "problem": group.problem.id,
        "source": group.problem.source,
        "index": group.index,
        "position": position,
        "seed": group.seed,
        "completions": [[c.finish_reason, c.version] for c in group.completions],
        "scores": [asdict(score) for score in group.scores],
    }


def _step(header: dict[str, Any], tensors: dict[str, Tensor]) -> SavedStep:
    described = msgspec.convert(json.loads(tensors["groups"].numpy().tobytes()), list[_Group])
    completions = iter(
        zip(*(_ragged(name, tensors) for name in ("token_ids", "logprobs", "trained")), strict=True)
    )  # of all groups
    groups = []
    for one, prompt in zip(described, _ragged("prompt_ids", tensors), strict=True):
        parts = [next(completions) for _ in one.completions]
        if any(not len(ids) == len(logprobs) == len(trained) for ids, logprobs, trained in parts):
            raise ValueError("a completion needs as many log-probabilities as tokens")
        if not prompt or not all(ids for ids, _, _ in parts):
            raise ValueError("a prompt and a completion need a token")
        if len(one.scores) != len(parts):
            raise ValueError("a completion needs a score")
        groups.append(
            ScoredGroup(
                problem=Problem(id=one.problem, prompt="", answer="", source=one.source),
                index=one.index,
                prompt_ids=prompt,
                completions=[
                    Completion(token_ids=ids, logprobs=logprobs, finish_reason=reason, version=version, trained=trained)
                    for (ids, logprobs, trained), (reason, version) in zip(parts, one.completions, strict=True)
                ],
                texts=[""] * len(parts),
                scores=one.scores,
                seed=one.seed,
            )
        )
    sampling = msgspec.convert(header["sampling"], Sampling)
    if sampling.temperature == 0:
        raise ValueError("no step is trained on completions of temperature 0")
    advantages, types = _typed("advantages", tensors), get_type_hints(SavedStep, include_extras=True)
    if len(advantages) != sum(score.error is None for one in described for score in one.scores):
        raise ValueError("a completion that was scored needs an advantage")
    return SavedStep(
        **{name: msgspec.convert(header[name], types[name]) for name in _HEADER},
        sampling=sampling,
        groups=groups,
        positions=[one.position for one in described],
        advantages=advantages,
    )


def _flat(name: str, parts: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
    """Sequences of any lengths, end to end, and their lengths."""
    return {
        name: torch.tensor([value for part in parts for value in part], dtype=_DTYPES.get(name, torch.int64)),
        f"{name}/lengths": torch.tensor([len(part) for part in parts], dtype=torch.int64),
    }


def _ragged(name: str, tensors: dict[str, Tensor]) -> list[list[Any]]:
    lengths = _typed(f"{name}/lengths", tensors).tolist()
    return [part.tolist() for part in _typed(name, tensors).split(lengths)]


def _typed(name: str, tensors: dict[str, Tensor]) -> Tensor:
    """A tensor of one dimension and its own type."""
    dtype = _DTYPES.get(name, torch.int64)
    if tensors[name].dim() != 1 or tensors[name].dtype != dtype or (dtype == torch.int64 and (tensors[name] < 0).any()):
        raise ValueError(f"{name} must be of one dimension and {dtype}, tokens and lengths not below 0")
    return tensors[name]


def _trained(completion: Completion) -> Sequence[bool]:
    return [True] * len(completion.token_ids) if completion.trained is None else completion.trained
