import json
import random
import warnings
from pathlib import Path

import pytest

from lit_passk.data import contamination
from lit_passk.data.contamination import (
    ContaminationWarning,
    Overlap,
    find_overlaps,
    prompts_of,
    warn_about_overlaps,
    warn_of_contamination,
)
from lit_passk.tasks.base import Task
from lit_passk.types import Problem

WORDS = [f"word{i}" for i in range(400)]
DATA = Path(__file__).parents[2] / "../shared/data/math"


def prompt(seed, length=30):
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def test_the_same_text_is_found_under_other_typography():
    train = [prompt(0), "Find  $x^2$, if\nX is 3. (Hint: it is odd!)"]
    (overlap,) = find_overlaps(train, [prompt(9), "find $x^2$ if x is 3 hint it is odd"])
    assert (overlap.val_index, overlap.train_index, overlap.identical, overlap.share) == (1, 1, True, 1.0)


def test_a_shared_passage_is_found_from_the_length_on():
    train = [prompt(seed) for seed in range(50)]
    passage = train[31].split()[5:18]
    assert len(passage) == 13
    val = [f"{prompt(100, 20)} {' '.join(passage)} {prompt(101, 20)}", f"{prompt(102, 20)} {' '.join(passage[:12])}."]
    (overlap,) = find_overlaps(train, val)
    assert overlap == Overlap(
        val_index=0, train_index=31, identical=False, share=1 / (53 - 12), example=" ".join(passage)
    )
    assert [overlap.val_index for overlap in find_overlaps(train, val, n=12)] == [0, 1]


def test_the_training_prompt_that_shares_most_is_named():
    val = prompt(1, 40).split()
    train = [" ".join(val[:15]), " ".join(val[5:25]), " ".join(val[20:33])]
    (overlap,) = find_overlaps(train, [" ".join(val)])
    assert (overlap.train_index, overlap.share) == (1, 8 / 28)


def test_instructions_that_all_prompts_share_are_no_contamination():
    instructions = prompt(7, 25)
    train = [f"{prompt(seed)} {instructions}" for seed in range(20)]
    val = [f"{prompt(1000 + seed)} {instructions}" for seed in range(3)]
    assert find_overlaps(train, val) == []
    many_val = [f"{prompt(1000 + seed)} {instructions}" for seed in range(20)]
    assert find_overlaps(train[:1], many_val) == []
    assert len(find_overlaps(train[:10], val)) == 3


def test_a_problem_repeated_in_training_is_no_boilerplate():
    (overlap,) = find_overlaps([prompt(3)] * 50, [prompt(3) + " really"])
    assert (overlap.train_index, overlap.identical) == (0, False)


def test_grids_are_told_apart():
    def maze(seed):
        draw = random.Random(seed)
        return "Find a way.\n" + "\n".join("".join(draw.choices(".*", k=9)) for _ in range(9))

    assert find_overlaps([maze(seed) for seed in range(200)], [maze(seed) for seed in range(200, 300)]) == []
    assert len(find_overlaps([maze(1)], [maze(1)])) == 1


def test_short_and_empty_prompts_are_compared_whole_only():
    assert find_overlaps(["", "two words", "   "], ["", "two", "two words more"]) == []
    assert find_overlaps(["two words"], ["Two words!"])[0].identical


def test_warning_lists_the_worst_first():
    overlaps = find_overlaps([prompt(seed) for seed in range(8)], [prompt(99), *(prompt(seed) for seed in range(8))])
    with pytest.warns(ContaminationWarning, match="8 of 9 prompts of gsm8k occur in the training set") as caught:
        warn_about_overlaps(overlaps, 9, name="gsm8k", shown=2)
    text = str(caught[0].message)
    assert "(8 whole, 0 in part)" in text
    assert "gsm8k [1] and training [0]: the same text" in text
    assert text.endswith("and 6 more")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_about_overlaps([], 9)


def test_refusals():
    with pytest.raises(ValueError, match="n >= 1"):
        find_overlaps([], [], n=0)
    with pytest.raises(ValueError, match="max_prompts=0"):
        find_overlaps([], [], max_prompts=0)


@pytest.mark.skipif(not DATA.exists(), reason="needs the shared data folder")
def test_gsm8k_has_a_few_near_copies_and_no_copy():
    def prompts(name):
        return [json.loads(line)["problem"] for line in (DATA / name).open()]

    train, val = prompts("gsm8k_train.jsonl"), prompts("gsm8k_test.jsonl")
    overlaps = find_overlaps(train, [*val, train[100]])
    assert [overlap.train_index for overlap in overlaps if overlap.identical] == [100]
    near = [overlap for overlap in overlaps if not overlap.identical]
    assert 1 <= len(near) <= 10
    for overlap in near:
        assert overlap.example.split()[0] in train[overlap.train_index].lower()


class Questions(Task):
    """Prompts with an instruction of their own."""

    def __init__(self, questions, instruction):
        self.prompts = [f"{question}\n{instruction}" for question in questions]

    def __len__(self):
        return len(self.prompts)

    def __getitem__(self, index):
        return Problem(id=str(index), prompt=self.prompts[index], answer="")

    def score(self, problem, completion):
        raise NotImplementedError


def test_instructions_of_two_tasks_do_not_hide_that_they_ask_the_same():
    train = Questions([f"What is {i} + {i}?" for i in range(40)], "Put the answer in a box.")
    val = Questions([f"What is {i} + {i}?" for i in range(38, 44)], "Answer with a letter.")
    with pytest.warns(ContaminationWarning, match="2 of 6 prompts of `data.val` 'sums' occur in .* \\(2 whole"):
        warn_of_contamination(train, {"sums": val})
    assert prompts_of(val)[0] == "What is 38 + 38?"
    assert prompts_of(Questions(["Same?"] * 3, "Yes or no.")) == ["Same?\nYes or no."] * 3  # nothing else would be left


def test_a_large_training_set_is_not_compared_at_every_start(monkeypatch, caplog):
    train, val = Questions(["What is it?", "And this?"], "Say."), Questions(["What is it?", "Or that?"], "Say.")
    monkeypatch.setattr(contamination, "MOST_CHARACTERS", 10)
    with warnings.catch_warnings(), caplog.at_level("INFO"):
        warnings.simplefilter("error")
        warn_of_contamination(train, {"val": val})
    assert "Training has 2 prompts, too many to be compared" in caplog.text
