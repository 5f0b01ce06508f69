"""Steps from several tasks: shares, epochs, ranks and resuming; and what the tasks' own settings render."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from itertools import accumulate

import pytest
from helpers.letters import CHAT_TEMPLATE, Letters

from lit_passk.data.breakdown import MOST_SOURCES, breakdown_of
from lit_passk.data.loader import PromptLoader
from lit_passk.data.module import PromptDataModule, load_tokenizer
from lit_passk.data.parts import Part, allot
from lit_passk.errors import Refusal
from lit_passk.tasks.mixture import Mixture, MixtureTask
from lit_passk.types import Problem

WEIGHTS = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}
SIZES = {"a": 7, "b": 23, "c": 40, "d": 3}


def mixture(sizes=SIZES, weights=WEIGHTS) -> Mixture:
    return Mixture({name: MixtureTask(Letters(size), weights[name]) for name, size in sizes.items()})


def loader(rank: int = 0, world_size: int = 1, seed: int = 0, per_step: int = 8, task: Mixture | None = None):
    task = task or mixture()
    prompts = [(i, [i + 1]) for i in range(len(task))]
    return PromptLoader(task, "train", prompts, per_step, rank, world_size, seed)


def steps(source: PromptLoader, count: int) -> list[list[int]]:
    found = []
    while len(found) < count:
        for batch in source:
            found.append(list(batch.indices))
            if len(found) == count:
                break
    return found


def names_of(indices: list[int]) -> list[str]:
    return [mixture().locate(i)[0] for i in indices]


def test_shares_hold_at_every_moment():
    """At any prompt of any step every task has had its share, to less than one prompt."""
    order = [name for step in steps(loader(), 60) for name in names_of(step)]
    total = sum(map(Fraction, WEIGHTS.values()))
    for name, weight in WEIGHTS.items():
        had = list(accumulate(int(n == name) for n in order))
        worst = max(abs(h - (i + 1) * Fraction(weight) / total) for i, h in enumerate(had))
        assert worst <= Fraction(5, 6)  # 1 - 1 / (2 * 4 - 2)


def test_a_step_is_whole_and_has_no_prompt_twice():
    for step in steps(loader(), 100):
        assert len(set(step)) == len(step) == 8


def test_each_task_goes_through_its_own_epochs():
    order = [i for step in steps(loader(), 100) for i in step]
    for name, span in mixture().spans.items():
        own = [i for i in order if i in span]
        epochs = [own[at : at + len(span)] for at in range(0, len(own) - len(span) + 1, len(span))]
        assert len(epochs) >= 3 or name in "cd"
        assert all(sorted(epoch) == list(span) for epoch in epochs)
        if len(epochs) > 2 and len(span) > 5:
            assert epochs[0] != epochs[1] != epochs[2]
    assert order != [i for step in steps(loader(seed=1), 100) for i in step]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_out_the_same_steps(world_size):
    whole = steps(loader(), 30)
    shares = [steps(loader(rank, world_size), 30) for rank in range(world_size)]
    for number, step in enumerate(whole):
        dealt = [None] * len(step)
        for rank in range(world_size):
            dealt[rank::world_size] = shares[rank][number]
        assert dealt == step


@pytest.mark.parametrize("stop", [1, 5, 10, 17, 31])
def test_resumes_where_it_stopped(stop):
    expected = steps(loader(), 40)
    first, second = loader(), loader()
    done = steps(first, stop)
    first.peek()  # as a source that samples ahead does
    second.load_state_dict(first.state_dict())
    assert done + steps(second, 40 - stop) == expected


def test_peek_is_the_next_step():
    source = loader()
    for _ in range(3):
        for batch in source:
            assert source.peek().indices == source.peek().indices
            ahead = source.peek().indices
            if batch is None:
                break
        assert list(ahead) == list(next(iter(source)).indices)


def test_a_task_of_weight_0_is_never_drawn():
    task = mixture(weights={**WEIGHTS, "b": 0.0})
    assert not [i for step in steps(loader(task=task), 60) for i in step if i in task.spans["b"]]


def test_further_prompts_follow_the_weights():
    source = loader()
    counts = Counter()
    for step in range(200):
        used = steps(loader(), 1)[0]
        rows = list(source.draw_extra(step, used))
        assert sorted(rows + used) == list(range(len(source.prompts)))
        counts.update(names_of([source.prompts[rows[0]][0]]))
    assert rows == list(loader(rank=1, world_size=2).draw_extra(199, used))
    assert counts["a"] == pytest.approx(100, abs=25)  # 3.5 standard deviations
    assert counts["d"] == pytest.approx(10, abs=10)


def test_a_task_too_small_for_its_share_is_refused():
    task = mixture({"a": 3, "b": 20}, {"a": 1.0, "b": 1.0})
    with pytest.raises(Refusal, match=r"'a' of the Mixture has 3 prompts.*gives it 4 of the 8"):
        loader(task=task)
    assert len(steps(loader(task=task, per_step=6), 20)) == 20  # exactly enough


def test_another_mixture_cannot_go_on():
    with pytest.raises(Refusal, match=r"trained on a Mixture of a, b, c, d, but `data.train` is a Mixture of a, b:"):
        loader(task=mixture({"a": 9, "b": 9})).load_state_dict(loader().state_dict())
    plain = PromptLoader(Letters(9), "train", [(i, [1]) for i in range(9)], 4, seed=0)
    with pytest.raises(Refusal, match="one task alone"):
        loader().load_state_dict(plain.state_dict())


@pytest.mark.parametrize("weights", [[1], [1, 1], [1, 2, 3], [5, 1, 1, 1, 1, 1], [97, 2, 1]])
def test_slots_of_odd_weights(weights):
    parts = [Part(str(i), range(1000), Fraction(w, sum(weights))) for i, w in enumerate(weights)]
    slots = allot(parts, 700)
    bound = 1 - Fraction(1, max(2, 2 * len(weights) - 2))
    for i, part in enumerate(parts):
        had = accumulate(int(slot == i) for slot in slots)
        assert all(abs(h - (n + 1) * part.weight) <= bound for n, h in enumerate(had))


@pytest.mark.parametrize(("num", "per_step"), [(11, 4), (3, 5), (8, 4)])
def test_a_task_alone_has_the_order_that_its_seed_always_gave(num, per_step):
    """Epochs one after another, each in the order of its own shuffle; checkpoints without parts go on, too."""
    source = PromptLoader(Letters(num), "train", [(i, [1]) for i in range(num)], per_step, seed=7)
    expected = []
    for epoch in range(4):
        order = list(range(num))
        random.Random(f"order-7-{epoch}").shuffle(order)
        expected += [order[at : at + per_step] for at in range(0, num, per_step)]
    assert steps(source, len(expected)) == expected
    source.load_state_dict({"epoch": 1, "position": 0})
    assert steps(source, 1) == [expected[len(source)]]
    draw = random.Random("others-7-5")
    rows = [draw.randrange(num) for _ in range(1000)]
    assert list(source.draw_extra(5, [0])) == [row for row in dict.fromkeys(rows) if row != 0]
    assert source.state_dict().keys() == {"epoch", "position", "per_step", "size", "prompts"}


@pytest.mark.parametrize("per_step", [3, 8])
def test_other_numbers_of_prompts_a_step_do_not_turn_the_count_of_steps_back(per_step):
    """By which old completions count less in a sampler's pass rates."""
    source, other = loader(per_step=6), loader(per_step=per_step)
    steps(source, 17)
    other.load_state_dict(source.state_dict())
    assert other.epoch * len(other) + other.position == 17


def test_validation_keeps_the_order_of_a_mixture():
    task = mixture()
    source = PromptLoader(task, "val", [(i, [1]) for i in range(len(task))], 8)
    assert [i for batch in source for i in batch.indices] == list(range(len(task)))


def test_each_task_is_rendered_with_its_own_settings(maze_policy, tmp_path):
    tokenizer = load_tokenizer(maze_policy)
    tokenizer.chat_template = "{% if loud %}D{% endif %}" + CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    parts = {
        "own": MixtureTask(Letters(1), system_prompt="LL", chat_template_kwargs={"loud": True}),
        "plain": MixtureTask(Letters(1)),
    }
    data = PromptDataModule(str(tmp_path), train=Mixture(parts), system_prompt="RR", prompts_per_step=2)
    data.setup("fit")
    texts = {
        data.tokenizer.decode(b.prompt_ids[0]) for b in [data.train_dataloader().peek().select([n]) for n in (0, 1)]
    }
    assert texts == {"DSLL\nUU\nR", "SRR\nUU\nR"}


def test_a_task_that_lost_its_prompts_is_named(maze_policy):
    class Long(Letters):
        def __getitem__(self, index):
            return Problem(id=str(index), prompt="U" * 50, answer="")

    task = Mixture({"short": MixtureTask(Letters(4)), "long": MixtureTask(Long(4))})
    data = PromptDataModule(maze_policy, train=task, max_prompt_tokens=10, prompts_per_step=2)
    with pytest.raises(Refusal, match="'long' of the Mixture has 0 prompts"), pytest.warns(UserWarning, match="4 of 8"):
        data.setup("fit")


def test_tasks_and_sources_are_told_apart():
    def problem(source: str | None) -> Problem:
        return Problem(id="x", prompt="?", answer="", source=source)

    task = Mixture({"a": MixtureTask(Letters(2)), "b": MixtureTask(Letters(1))})
    found = breakdown_of(task, [problem("x/y"), problem(None), problem("x")])
    assert found.names == ["a", "b", "source/x", "source/x/y"]
    assert found.of_problem == [[0, 3], [0], [1, 2]]
    assert breakdown_of(Letters(1), [problem(None)]) is None
    with pytest.warns(UserWarning, match=f"{MOST_SOURCES + 1} sources"):
        assert breakdown_of(Letters(1), [problem(str(i)) for i in range(MOST_SOURCES + 1)]) is None
