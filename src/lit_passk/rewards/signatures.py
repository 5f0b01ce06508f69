"""The signatures that people's reward functions have, told apart by the names of their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText, Problem, Score

Texts = Sequence[CompletionText]
Verdicts = Sequence[Score]


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a reward function, by keywords."""

    shown: str
    """As documentation writes it."""
    fits: Callable[[frozenset[str]], bool]
    """Whether a function with parameters of these names is called this way."""
    offer: Callable[[Problem, Texts, Verdicts], dict[str, Any]]
    """What it is called with, as far as it takes it; without completions only the names count."""
    of_group: bool = False
    """Called once for a group, and returns a list."""
    with_columns: bool = False
    """Its other parameters are columns of the rows; for a group a list of equal values each."""
    none_allowed: bool = True
    """Whether None says that the function does not apply."""
    score_key: str | None = None
    """Where the number is, if it returns a mapping."""

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Call:
    """How a function is called, and the names it takes."""

    where: str
    """Opens the message of every error."""
    signature: Signature
    names: frozenset[str]
    required: frozenset[str]
    takes_any: bool
    """Whether it has ``**kwargs``."""

    def arguments(self, problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
        """The keywords to call it with."""
        offered = self.signature.offer(problem, completions, scores)
        if self.signature.with_columns:
            columns: dict[str, Any] = dict.fromkeys(self.required)  # another row had what this one lacks
            columns |= row_columns(problem)
            if self.signature.of_group:
                columns = {name: [value] * len(completions) for name, value in columns.items()}
            offered = columns | offered
        unknown = {name for name, value in offered.items() if value is NOT_KEPT}
        if lacks := self.required & unknown:
            raise BadScore(f"{self.where} needs {min(lacks)}, and a result file has none.")
        takes = offered.keys() if self.takes_any else self.names
        return {name: value for name, value in offered.items() if name in takes and name not in unknown}

    def missing(self, problem: Problem) -> frozenset[str]:
        """Parameters without a default that a problem's row has no column for."""
        offered = self.signature.offer(problem, [], []).keys()
        columns = row_columns(problem).keys() if self.signature.with_columns else ()
        return self.required - offered - frozenset(columns)


def recognise(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> Call:
    """Find out how a function wants to be called.

    Args:
        function: The function.
        given: Keywords that it is called with besides, from the configuration.
        where: Opens the message of every error.

    Raises:
        Refusal: If its parameters fit no signature, or it does not take what is ``given``.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtin functions do not tell
        parameters = []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = frozenset(p.name for p in named)
    required = frozenset(p.name for p in named if p.default is p.empty) - given.keys()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    signature = next((signature for signature in SIGNATURES if signature.fits(names)), None)
    if signature is None or any(p.kind is p.POSITIONAL_ONLY for p in parameters):
        raise Refusal(
            f"{where} has the parameters ({', '.join(map(str, parameters))}), which fit none of the signatures "
            f"{'; '.join(map(str, SIGNATURES))}: use all or some of their names."
        )
    call = Call(where, signature, names, required, takes_any)
    if not signature.with_columns and (unknown := call.missing(_NOTHING)):
        raise Refusal(
            f"{where} is called as {signature}, which says nothing of its {_listed(unknown)}: give it in `kwargs` of "
            "the FunctionReward, or a default."
        )
    if not takes_any and (refused := given.keys() - names):
        raise Refusal(f"{where} takes no {_listed(refused)}, which `kwargs` of the FunctionReward gives it.")
    return call


def row_columns(problem: Problem) -> dict[str, Any]:
    """The columns of a problem's row, as far as it keeps them, and ``answer``."""
    hidden = ("prompt", "completion")
    return {"answer": problem.answer} | {str(k): value for k, value in problem.metadata.items() if k not in hidden}


def _plain(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    one = {"completion": completions[0], "score": scores[0]} if completions else {"completion": None, "score": None}
    return {"problem": problem, "prompt": problem.prompt, **one}


def _batched(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    return {"problem": problem, "completions": list(completions), "scores": list(scores)}


def _verl(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    row = problem.metadata
    model = row.get("reward_model")
    truth = model.get("ground_truth") if isinstance(model, Mapping) else None
    return {
        "data_source": row.get("data_source", problem.source),
        "solution_str": str(completions[0]) if completions else "",
        "ground_truth": problem.answer if truth is None else truth,
        "extra_info": dict(info) if isinstance(info := row.get("extra_info", row), Mapping) else info,
    }


def _verl_batched(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    rows = [_verl(problem, [completion], []) for completion in completions]
    return {f"{name}s": [row[name] for row in rows] for name in _verl(problem, [], [])}


def _trl(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    chat = not isinstance(problem.prompt, str)
    texts: list[Any] = [str(text) for text in completions]
    tokens = [text.token_ids for text in completions]
    ids = NOT_KEPT if None in tokens else tokens
    return {
        "prompts": [problem.prompt] * len(texts),
        "completions": [[{"role": "assistant", "content": text}] for text in texts] if chat else texts,
        "completion_ids": ids,
        "completions_ids": ids,  # what TRL's documentation called them
    }


def _sample(problem: Problem, completion: CompletionText) -> SimpleNamespace:
    return SimpleNamespace(
        prompt=problem.prompt,
        response=str(completion),
        response_length=completion.num_tokens,
        label=_verl(problem, [], [])["ground_truth"],
        metadata=dict(problem.metadata),
    )


def _slime(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    return {"args": SimpleNamespace(), "sample": _sample(problem, completions[0]) if completions else None}


def _slime_group(problem: Problem, completions: Texts, scores: Verdicts) -> dict[str, Any]:
    return {"args": SimpleNamespace(), "samples": [_sample(problem, completion) for completion in completions]}


NOT_KEPT = object()
"""In the place of tokens that a result file did not keep."""
_NOTHING = Problem(id="", prompt="", answer="")
SIGNATURES = (
    Signature("f(problem, completion, score)", lambda names: "completion" in names, _plain, with_columns=True),
    Signature(
        "f(problem, completions, scores)",
        lambda names: {"completions", "scores"} <= names and "prompts" not in names,
        _batched,
        of_group=True,
    ),
    Signature(
        "verl's compute_score(data_source, solution_str, ground_truth, extra_info)",
        lambda names: "solution_str" in names,
        _verl,
        none_allowed=False,
        score_key="score",
    ),
    Signature(
        "verl's compute_score(data_sources, solution_strs, ground_truths, extra_infos)",
        lambda names: "solution_strs" in names,
        _verl_batched,
        of_group=True,
        none_allowed=False,
        score_key="score",
    ),
    Signature(
        "TRL's f(prompts, completions, completion_ids, **columns)",
        lambda names: bool({"completions", "completion_ids", "completions_ids"} & names),
        _trl,
        of_group=True,
        with_columns=True,
    ),
    Signature("slime's f(args, sample)", lambda names: "sample" in names, _slime, none_allowed=False),
    Signature(
        "slime's f(args, samples)", lambda names: "samples" in names, _slime_group, of_group=True, none_allowed=False
    ),
)


def _listed(names: frozenset[str] | set[str]) -> str:
    return " and ".join(map(repr, sorted(names)))
