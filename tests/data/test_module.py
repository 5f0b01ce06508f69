"""The data module: order, sharding, rendering, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.letters import CHAT_TEMPLATE, Letters
from transformers import LlamaConfig

from lit_passk.data.contamination import ContaminationWarning
from lit_passk.data.loader import PromptLoader
from lit_passk.data.module import PromptDataModule, load_tokenizer
from lit_passk.modules.sft import build_tokenizer
from lit_passk.tasks.maze import MazeTask


def loader(world_size: int = 1, rank: int = 0, seed: int | None = 0, num: int = 11, per_step: int = 4) -> PromptLoader:
    prompts = [(i, [5] * (i + 1)) for i in range(num)]
    return PromptLoader(Letters(num), "train", prompts, per_step, rank, world_size, seed)


def test_every_problem_once_an_epoch_in_another_order_each():
    one = loader()
    assert len(one) == 3
    epochs = [[i for batch in one for i in batch.indices] for _ in range(3)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs == [[i for batch in again for i in batch.indices] for again in [loader()] for _ in range(3)]
    assert [i for batch in loader(seed=1) for i in batch.indices] != epochs[0]


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_ranks_share_out_the_same_batches(world_size):
    whole = [batch.indices for batch in loader()]
    shares = [[batch.indices for batch in loader(world_size, rank)] for rank in range(world_size)]
    for number, batch in enumerate(whole):
        assert sorted(i for share in shares for i in share[number]) == sorted(batch)
    if world_size == 5:  # the last batch holds 3 prompts: two ranks have none, but still a batch
        assert [len(share[-1]) for share in shares] == [1, 1, 1, 0, 0]


def test_a_batch_lines_up():
    for batch in loader():
        assert [p.id for p in batch.problems] == [str(i) for i in batch.indices]
        assert [len(ids) for ids in batch.prompt_ids] == [i + 1 for i in batch.indices]
        assert batch.name == "train"


@pytest.mark.parametrize("stop", [0, 1, 2, 3, 4, 6])
def test_resumes_with_the_batch_after_the_one_that_was_trained(stop):
    def batches(source, count):
        found = []
        while len(found) < count:
            for batch in source:
                found.append(batch.indices)
                if len(found) == count:
                    break
        return found

    expected = batches(loader(), 8)
    first = loader()
    done = batches(first, stop) if stop else []
    second = loader()
    second.load_state_dict(first.state_dict())
    assert done + batches(second, 8 - stop) == expected


def test_an_epoch_that_is_cut_short_is_followed_by_a_whole_one():
    """``limit_train_batches: 2`` of 3: epochs of two steps, not of two and one."""
    whole = [batch.indices for one in [loader()] * 3 for batch in one]
    assert [batch.indices for one in [loader()] * 4 for _, batch in zip(range(2), one, strict=False)] == whole[:8]
    one = loader(seed=None)
    next(iter(one))
    one.load_state_dict(one.state_dict())
    assert [batch.indices for batch in one] == [batch.indices for batch in loader(seed=None)][1:]


def test_validations_of_some_batches_see_the_same_problems():
    """``limit_val_batches`` breaks off; training goes on from there instead."""
    assert [next(iter(one)).indices for one in [loader(seed=None)] * 3] == [[0, 1, 2, 3]] * 3
    trained = [i for one in [loader()] * 2 for i in next(iter(one)).indices]
    assert len(set(trained)) == 8


def test_other_prompts_than_the_checkpoint_s_are_said(recwarn):
    def loader(prompts, seed=7):
        return PromptLoader(Letters(), "train", prompts, 2, seed=seed)

    prompts = [(index, [5] * (index + 1)) for index in range(4)]
    state = loader(prompts).state_dict()
    loader(prompts).load_state_dict(state)
    loader(prompts[:3], seed=None).load_state_dict(state)  # a validation begins anew
    loader(prompts[:3]).load_state_dict({"epoch": 0, "position": 0})
    assert not recwarn.list
    for other in (prompts[:3], [*prompts[:3], (3, [5])]):
        with pytest.warns(UserWarning, match=rf"'train' have changed: 4 of 10 .* {len(other)} of \d tokens now"):
            loader(other).load_state_dict(state)
    for other in ([*prompts[:3], (3, [5, 5, 5, 6])], [*prompts[:3], (4, [5] * 4)]):  # as many, and as long
        with pytest.warns(UserWarning, match="'train' have changed: 4 of 10"):
            loader(other).load_state_dict(state)


@pytest.mark.parametrize(("before", "after"), [(4, 3), (3, 4), (4, 20), (1, 4), (4, 1), (20, 4)])
def test_other_numbers_of_prompts_a_step_leave_none_out(before, after):
    for stop in range(1, -(-12 // before) + 1):
        one, other = loader(num=12, per_step=before), loader(num=12, per_step=after)
        seen = {i for _, batch in zip(range(stop), one, strict=False) for i in batch.indices}
        other.load_state_dict(one.state_dict())
        if len(seen) < 12:  # the rest of the epoch is the rest of its prompts
            seen |= {
                i for _, batch in zip(range(len(other) - other.position), other, strict=False) for i in batch.indices
            }
            assert seen == set(range(12))
        else:
            assert {i for batch in other for i in batch.indices} == set(range(12))


def test_plain_prompts_and_the_length_limit(maze_policy):
    data = PromptDataModule(maze_policy, train=Letters(), max_prompt_tokens=4)
    with pytest.warns(UserWarning, match="7 of 11 prompts of 'train'"):
        batches = list(data.train_dataloader())
    assert sorted(i for b in batches for i in b.indices) == [0, 1, 2, 3]
    assert data.decode(batches[0].prompt_ids[0]) == batches[0].problems[0].prompt


@pytest.mark.parametrize("text", ["x , y", "x . y", "x != y ? x : y !", "do n't", "x 's", "f( ) ,\n y"])
def test_text_is_what_was_sampled(tmp_path, text):
    tokenizer = build_tokenizer(sorted(set(text)))
    tokenizer.clean_up_tokenization_spaces = True  # as in many folders of older models
    LlamaConfig(vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    data = PromptDataModule(str(tmp_path), train=Letters())
    assert data.decode(tokenizer(text)["input_ids"]) == text
    assert data.tokenizer.decode(tokenizer(text)["input_ids"]) != text  # so the case can fail


def test_chat_template(maze_policy, tmp_path):
    tokenizer = load_tokenizer(maze_policy)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    data = PromptDataModule(str(tmp_path), train=Letters(1), system_prompt="LL")
    assert data.renderer.render("U") == "SLL\nUU\nR"
    assert PromptDataModule(str(tmp_path), train=Letters(1), chat_template=False).renderer.render("U") == "U"
    with pytest.raises(ValueError, match="need a chat template"):
        PromptDataModule(maze_policy, system_prompt="x")
    with pytest.raises(ValueError, match="has no chat template"):
        PromptDataModule(maze_policy, chat_template=True)


def test_warns_of_validation_problems_in_the_training_set(maze_policy):
    data = PromptDataModule(maze_policy, train=Letters(5), val={"same": Letters(2)})
    with pytest.warns(ContaminationWarning, match="2 of 2 prompts of `data.val` 'same'"):
        data.setup("fit")


def test_mazes_of_different_splits_do_not_warn(maze_policy, recwarn):
    train = MazeTask(sizes=[5], num_problems=500, template="{maze}\n")
    val = MazeTask(sizes=[5], num_problems=100, split="val", template="{maze}\n")
    PromptDataModule(maze_policy, train=train, val={"maze": val}).setup("fit")
    assert not [w for w in recwarn if issubclass(w.category, ContaminationWarning)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompts_per_step": 0}, "prompts_per_step"),
        ({"val_prompts_per_step": 0}, "val_prompts_per_step"),
        ({"val": {"train": Letters()}}, "may not"),
        ({"val": {"a.b": Letters()}}, "may not"),
    ],
)
def test_bad_settings(maze_policy, settings, message):
    with pytest.raises(ValueError, match=message):
        PromptDataModule(maze_policy, **settings)


def test_nothing_to_train_on(maze_policy):
    with pytest.raises(ValueError, match=r"data\.train"):
        PromptDataModule(maze_policy).setup("fit")  # before a policy is loaded
    with pytest.raises(ValueError, match="no problems"):
        PromptDataModule(maze_policy, train=Letters(0)).train_dataloader()


def test_validation_problems_of_one_id_are_refused(maze_policy):
    class Twice(Letters):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), id=str(index % 3))

    data = PromptDataModule(maze_policy, train=Twice(5), val={"m": Twice(5)})
    assert len(data.train_dataloader()) == 1  # a training knows them by their position
    with pytest.raises(ValueError, match=r"Twice 'm' needs different ids, but problems 0 and 3 both have '0'"):
        data.val_dataloader()


def test_missing_policy_folder_is_named_with_the_command(tmp_path):
    with pytest.raises(ValueError, match=r"no such folder.*lit-passk sft"):
        load_tokenizer(str(tmp_path / "nowhere"))
