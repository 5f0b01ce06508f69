"""Files of random bytes: rows, results, rollouts, saved steps, checkpoints. Taken, or refused in a sentence."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from helpers.fuzz import check_rows, damaged, edited, examples
from helpers.result_files import SETTINGS, group
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from lit_passk.errors import Refusal
from lit_passk.results import ResultWriter, load_results
from lit_passk.results.saved_step import SavedStep, read_step, write_step
from lit_passk.results.step_files import StepFolder, step_path
from lit_passk.tasks import CodeTask, MathTask, MultipleChoice
from lit_passk.tasks.records import check_problem
from lit_passk.types import Completion, Problem, Sampling, Score, ScoredGroup

ROWS = [
    (MathTask, {"question": "What is 1 + 1?", "answer": "2", "level": 3, "parts": [{"a": [1.5, None]}]}),
    (MultipleChoice, {"question": "Which is even?", "choices": ["1", "2", "3"], "answer": 1}),
    (CodeTask, {"question": "Double it.", "input_output": json.dumps({"inputs": ["2\n"], "outputs": ["4\n"]})}),
]


def as_parquet(row):
    pyarrow, stream = pytest.importorskip("pyarrow"), io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist([row, row]), stream)
    return stream.getvalue()


def as_lines(row):
    return (json.dumps(row) + "\r\n" + json.dumps(row, indent=None)).encode()


FORMATS = {
    "rows.jsonl": as_lines,
    "rows.json": lambda row: json.dumps([row, row], indent=1).encode(),
    "rows.jsonl.gz": lambda row: gzip.compress(as_lines(row)) + gzip.compress(b"\n" + as_lines(row)),
    "rows.parquet": as_parquet,
}
FILES = [(kind, name, write(row)) for kind, row in ROWS for name, write in FORMATS.items()]


@st.composite
def bytes_like(draw, data):
    """Damaged, packed and damaged within, in another encoding, or nothing like it."""
    how = draw(st.sampled_from(("damaged", "damaged", "damaged", "within", "encoded", "any")))
    if how == "any":
        return draw(st.binary(max_size=200))
    if how == "encoded":
        encoding = draw(st.sampled_from(("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7")))
        return data.decode("latin-1").encode(encoding)
    if how == "within" and data[:2] == b"\x1f\x8b":
        return gzip.compress(draw(damaged(gzip.decompress(data))))
    return draw(damaged(data))


@examples(100)
@given(data=st.data())
def test_rows_of_any_bytes(tmp_path_factory, data):
    kind, name, content = data.draw(st.sampled_from(FILES))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(bytes_like(content)))
    check_rows(kind, path)


@pytest.mark.parametrize(("kind", "name", "content"), FILES)
def test_rows_without_faults_are_taken(tmp_path, kind, name, content):
    (tmp_path / name).write_bytes(content)
    check_problem(kind(str(tmp_path / name))[1], "the row")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("bytes") / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", [0, 1]))
        writer.write(group("p2", [0]))
    return path.read_bytes()


@examples(60)
@given(data=st.data())
def test_results_of_any_bytes(results, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    content = data.draw(bytes_like(data.draw(st.sampled_from((results, gzip.compress(results))))))
    for path in (folder / "bytes.jsonl", step_path(folder, 1)):
        path.write_bytes(content)
    with suppress(Refusal):
        assert len(load_results(folder / "bytes.jsonl").records) <= 2 * len(content)
    with suppress(Refusal):
        list(StepFolder.open(folder).steps())
    try:
        with ResultWriter(folder / "bytes.jsonl", SETTINGS) as writer:
            writer.write(group("p3", [0]))
    except Refusal:
        return
    assert load_results(folder / "bytes.jsonl").groups()["times"]["p3"]


STEP = SavedStep(
    **{"step": 3, "reason": "asked for", "policy": "policy", "weights": None, "config": "", "precision": "32-true"},
    **{"max_steps": 5, "version": 3, "full_precision": True},
    sampling=Sampling(n=2),
    groups=[
        ScoredGroup(
            problem=Problem(id="a", prompt="", answer=""),
            index=0,
            prompt_ids=[1, 2],
            completions=[Completion(token_ids=[3, 4], logprobs=[-0.5, -0.25], finish_reason="stop")] * 2,
            texts=["", ""],
            scores=[Score(reward=1.0, correct=True), Score(reward=0.0, correct=False, error="none")],
            seed=7,
        )
    ],
    positions=[0],
    advantages=torch.tensor([0.5]),
)


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    path = tmp_path_factory.mktemp("steps") / "step_000003.safetensors"
    write_step(path, STEP)
    return path.read_bytes()


def test_a_step_without_faults_is_read(step, tmp_path):
    (tmp_path / "step.safetensors").write_bytes(step)
    read = read_step(tmp_path / "step.safetensors")
    assert read.groups[0].scores == STEP.groups[0].scores
    assert read.groups[0].completions[1].logprobs == [-0.5, -0.25]  # exact: as written
    assert (read.sampling, read.metrics, read.positions) == (STEP.sampling, {}, [0])


def test_a_step_has_an_advantage_for_every_completion_with_a_score(tmp_path):
    first = Completion(token_ids=[0, 4], logprobs=[-0.5, -0.25], finish_reason="stop")  # token 0 is one like any other
    group = replace(STEP.groups[0], completions=[first] * 2, scores=STEP.groups[0].scores[:1] * 2)
    advantages = torch.tensor([0.5, -0.5])
    path = tmp_path / "not" / "there" / "step.safetensors"
    write_step(path, replace(STEP, groups=[group], advantages=advantages))
    read = read_step(path)
    assert read.advantages.tolist() == [0.5, -0.5]  # exact: as written
    assert read.groups[0].completions[1].token_ids == [0, 4]


@pytest.mark.parametrize(
    ("tensors", "scores"),
    [
        ({"advantages": torch.tensor([[0.5]])}, 2),
        ({"advantages": torch.tensor([0.5, 0.5])}, 2),
        ({"advantages": torch.tensor([0.5], dtype=torch.float64)}, 2),
        ({"token_ids": torch.tensor([3, 4, 3, -4])}, 2),
        ({"token_ids": torch.tensor([3, 4, 3, 4], dtype=torch.int32)}, 2),
        ({"token_ids/lengths": torch.tensor([1, 3])}, 2),
        ({"prompt_ids/lengths": torch.tensor([1, 1])}, 2),
        ({"prompt_ids": torch.zeros(0, dtype=torch.int64), "prompt_ids/lengths": torch.tensor([0])}, 2),
        ({}, 1),
    ],
)
def test_steps_whose_parts_do_not_fit_together(step, tmp_path, tensors, scores):
    path = tmp_path / "step.safetensors"
    path.write_bytes(step)
    with safe_open(path, framework="pt") as file:
        about, whole = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    groups = json.loads(whole["groups"].numpy().tobytes())
    groups[0]["scores"] = groups[0]["scores"][:scores]
    whole["groups"] = torch.frombuffer(bytearray(json.dumps(groups).encode()), dtype=torch.uint8)
    save_file({**whole, **tensors}, path, about)
    with pytest.raises(Refusal, match="a saved step that is damaged"):
        read_step(path)


def test_steps_of_temperature_0_are_none(tmp_path):
    """Nothing writes one: `rollout.sampling.temperature: 0` is refused."""
    write_step(tmp_path / "step.safetensors", replace(STEP, sampling=Sampling(n=2, temperature=0.0)))
    with pytest.raises(Refusal, match=r"damaged.*no step is trained on completions of temperature 0"):
        read_step(tmp_path / "step.safetensors")


@examples(60)
@given(data=st.data())
def test_steps_of_any_bytes(step, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "step_000001.safetensors"
    path.write_bytes(data.draw(bytes_like(step)))
    with suppress(Refusal):
        read_step(path)


@examples(120)
@given(data=st.data())
def test_steps_that_say_something_else(step, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "step_000002.safetensors"
    path.write_bytes(step)
    with safe_open(path, framework="pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if data.draw(st.booleans()):
        about["step"] = json.dumps(data.draw(edited(json.loads(about["step"]))))
    else:
        said = json.dumps(data.draw(edited(json.loads(tensors["groups"].numpy().tobytes()))))
        tensors["groups"] = torch.frombuffer(bytearray(said.encode()), dtype=torch.uint8)
    name = data.draw(st.sampled_from(sorted(tensors)))
    tensors[name] = data.draw(st.sampled_from((tensors[name], tensors[name], tensors[name].float(), tensors[name][:1])))
    save_file(tensors, path, about)
    try:
        read = read_step(path)
    except Refusal:
        return
    assert isinstance(read.step, int)
    assert isinstance(read.config, str)
    for completion in read.groups[0].completions if read.groups else ():
        assert len(completion.token_ids) == len(completion.logprobs) == len(completion.trained)
        assert isinstance(completion.finish_reason, str)
    assert all(isinstance(score.reward, float) for one in read.groups for score in one.scores)
