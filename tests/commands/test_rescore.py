import pytest

from lit_passk.commands.rescore import load_tasks, main
from lit_passk.errors import Refusal
from lit_passk.results import CompletionRecord, ResultWriter, load_results, run_settings
from lit_passk.tasks import ArithmeticTask
from lit_passk.types import Sampling

CONFIG = """
model:
  policy: org/model
data:
  val:
    products:
      class_path: ArithmeticTask
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def record(problem, sample, completion):
    return CompletionRecord(
        benchmark="products",
        problem_id=problem.id,
        sample=sample,
        prompt=problem.prompt,
        reference="a wrong key",
        completion=completion,
        answer=None,
        reward=0.0,
        correct=False,
        truncated=False,
        error=None,
        num_tokens=1,
        mean_logprob=None,
        seed=0,
    )


def test_tasks_of_a_configuration_score_again(config, tmp_path, capsys):
    task = load_tasks(config)["products"]
    assert isinstance(task, ArithmeticTask)
    path = tmp_path / "run.jsonl"
    with ResultWriter(path, run_settings("org/model", Sampling(), seed=0)) as writer:
        for problem in (task[0], task[1]):
            writer.write([record(problem, 0, problem.answer), record(problem, 1, "no idea")])
    assert main([str(path), "--config", str(config), "--out", str(tmp_path / "new.jsonl")]) == 0
    assert "4 completions, 2 with another outcome, 0 unscored" in capsys.readouterr().out
    records = load_results(tmp_path / "new.jsonl").records
    assert [r.correct for r in records] == [True, False, True, False]
    assert [r.reference for r in records[::2]] == [task[0].answer, task[1].answer]


def test_configurations_without_tasks_are_refused(tmp_path):
    path = tmp_path / "config.yaml"
    for content in ("", "data: {}", "- 1", "data:\n  train: null"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"has no `data\.val`"):
            load_tasks(path)
    with pytest.raises(ValueError, match="no such file"):
        load_tasks(tmp_path / "absent.yaml")
    path.write_text("data:\n  val:\n    products:\n      class_path: NoSuchTask\n")
    with pytest.raises(ValueError, match=r"(?s)`data\.val` of .* cannot be read: .*NoSuchTask"):
        load_tasks(path)
    for content, message in (
        (b"data: [", "is not valid YAML"),
        (b"[" * 10_000, "is not valid YAML"),
        (b"\xff\xfe", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(Refusal, match=message):
            load_tasks(path)


def test_a_result_file_that_is_not_there_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match="There is no result file"):
        main([str(tmp_path / "absent.jsonl"), "--config", str(config)])
