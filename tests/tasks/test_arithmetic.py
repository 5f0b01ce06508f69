import pytest

from lit_passk.tasks.arithmetic import ArithmeticTask, last_number


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_task_scores_its_own_answer(split: str) -> None:
    task = ArithmeticTask(split=split)
    for index in range(len(task)):
        problem = task[index]
        assert task.score(problem, task.demonstration(index)).reward == 1.0
        assert not task.score(problem, "").correct
        assert not task.score(problem, str(int(problem.answer) + 1)).correct


def test_splits_share_no_unordered_pair_and_miss_none() -> None:
    pairs = {split: {tuple(sorted(pair)) for pair in ArithmeticTask(split=split).pairs} for split in ("train", "val")}
    assert not pairs["train"] & pairs["val"]
    assert len(pairs["train"] | pairs["val"]) == 17 * 18 // 2  # 3 to 19, unordered
    assert sum(len(ArithmeticTask(split=split)) for split in ("train", "val")) == 17**2
    assert 0.2 < len(pairs["val"]) / 153 < 0.4


def test_problems_are_the_same_every_time_and_a_prefix_of_all() -> None:
    some, every = ArithmeticTask(split="val", num_problems=30), ArithmeticTask(split="val")
    assert [some[i] for i in range(30)] == [every[i] for i in range(30)]
    with pytest.raises(IndexError):
        some[30]
    assert len({every[i].id for i in range(len(every))}) == len(every)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7 * 8 = 56", "56"),
        ("56.", "56"),
        ("it is 1,080, I think", "1080"),
        ("56.0", "56"),
        ("56.50", "56.5"),
        ("\\boxed{56}", "56"),
        ("-56", "-56"),
        ("60-4", "4"),
        ("56 or 57", "57"),
        ("fifty-six", None),
        ("", None),
    ],
)
def test_last_number(text: str, number: str | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize("bad", [{"split": "test"}, {"num_problems": 0}, {"num_problems": 999}, {"template": "{a}?"}])
def test_mistakes_are_named(bad: dict) -> None:
    with pytest.raises(ValueError, match="ArithmeticTask"):
        ArithmeticTask(**bad)
