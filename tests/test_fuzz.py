"""Files and configurations with random faults: taken, or refused in a sentence; nothing else is raised."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
import yaml
from helpers.fuzz import ODD, check_rows, damaged, edited, examples
from helpers.result_files import SETTINGS, group
from hypothesis import given
from hypothesis import strategies as st

from lit_passk import cli
from lit_passk.checkpointing.reading import FILES, is_whole
from lit_passk.commands import configurations
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.results import ResultWriter, load_results
from lit_passk.tasks import ARCAGITask, CodeTask, CountdownTask, MathTask, MultipleChoice
from lit_passk.tasks.records import check_problem


@pytest.fixture(scope="module")
def result_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "run.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p1", [0, 1]))
    return path


@examples(60)
@given(data=st.data())
def test_result_files_with_faults(result_file, data):
    lines = result_file.read_bytes().splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 1))
    if data.draw(st.booleans()):
        lines[number] = (json.dumps(data.draw(edited(json.loads(lines[number]))), allow_nan=True) + "\n").encode()
    else:
        lines[number] = data.draw(damaged(lines[number]))
    path = result_file.with_name("faulty.jsonl")
    path.write_bytes(b"".join(lines))
    with contextlib.suppress(Refusal):
        assert len(load_results(path).records) <= 2 * len(lines)


HUMAN_EVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def f(x):\n    """Double it."""\n',
    "entry_point": "f",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
PROGRAM = {
    "question": "Double it.",
    "input_output": json.dumps({"inputs": ["2\n"], "outputs": ["4\n"]}),
    "starter_code": "",
}
VERL = {
    "prompt": [{"role": "user", "content": "What is 1 + 1?"}],
    "reward_model": {"style": "rule", "ground_truth": "2"},
    "extra_info": {"index": 0, "split": "train"},
}
CHOICE = {
    "question": "Which is even?",
    "choices": {"text": ["1", "2", "3"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
GRIDS = {"id": "a", "train": [{"input": [[1, 0]], "output": [[0, 1]]}], "test": [{"input": [[2]], "output": [[3]]}]}
ROWS = [
    (MathTask, {"question": "What is 1 + 1?", "answer": "2"}),
    (MathTask, VERL),
    (MultipleChoice, CHOICE),
    (MultipleChoice, {"question": "Which is even?", "choices": ["1", "2", "3"], "answer": 1}),
    (CodeTask, HUMAN_EVAL),
    (CodeTask, PROGRAM),
    (ARCAGITask, GRIDS),
    (CountdownTask, {"nums": [3, 5, 7], "target": 15}),
]


@examples(200)
@given(data=st.data())
def test_rows_with_faults_are_taken_or_refused(tmp_path_factory, data):
    kind, row = data.draw(st.sampled_from(ROWS))
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(data.draw(edited(row))) + "\n")
    check_rows(kind, path)


@pytest.mark.parametrize(("kind", "row"), ROWS)
def test_rows_without_faults_are_taken(tmp_path, kind, row):
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    check_problem(kind(str(tmp_path / "rows.jsonl"))[0], "the row")


@examples(40)
@given(edited({"a.bin": 1, "b.bin": [2, "0123456789abcdef"]}) | st.sampled_from(ODD))
def test_the_list_of_files_of_a_checkpoint(tmp_path_factory, listed):
    folder = tmp_path_factory.getbasetemp() / "shards"
    folder.mkdir(exist_ok=True)
    (folder / "a.bin").write_bytes(b"1")
    (folder / "b.bin").write_bytes(b"12")
    for text in (json.dumps(listed), json.dumps(listed)[:-1], "[" * 100_000, "\xff"):
        (folder / FILES).write_text(text, encoding="latin-1", errors="replace")
        assert is_whole(folder) in (True, False)
    (folder / FILES).write_text(json.dumps({"a.bin": 1, "b.bin": 2}))
    assert is_whole(folder)


@pytest.mark.seconds
@examples(20)
@given(data=st.data())
def test_configurations_with_faults_are_taken_or_refused(configs, maze_policy, tmp_path_factory, data):
    config = yaml.safe_load((configs / "maze_cpu.yaml").read_text())
    config["model"]["policy"] = maze_policy
    config["data"]["train"]["init_args"]["num_problems"] = 50
    faulty = data.draw(edited(config))
    path = tmp_path_factory.getbasetemp() / "faulty.yaml"
    path.write_text(yaml.safe_dump(faulty, allow_unicode=True), errors="surrogatepass")
    assert_taken_or_refused(path)


def assert_taken_or_refused(path: Path) -> None:
    said = io.StringIO()
    args = ["--config", str(path), "--trainer.accelerator", "cpu", "--trainer.devices", "1"]
    try:
        args[1] = str(configurations.find(args[1]))
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            LitPassKCLI(PassKRLModule, PromptDataModule, run=False, save_config_callback=None, args=args)
    except SystemExit:  # of the parser
        assert "error: " in said.getvalue()
    except Exception as error:  # as the command line does
        if cli._refusal(error) is None:
            raise
