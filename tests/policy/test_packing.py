import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.policy.packing import TokenCosts, _Step, pack


@st.composite
def steps(draw):
    """Prompts, completions, their groups and which of them to keep; every token of the step is a different number."""
    prompt_lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    groups = [draw(st.lists(st.integers(1, 15), min_size=0, max_size=6)) for _ in prompt_lengths]
    lengths = [length for group in groups for length in group]
    numbers = torch.arange(1, 1 + sum(prompt_lengths) + sum(lengths))
    parts = numbers.split([*prompt_lengths, *lengths])
    owner = torch.tensor([p for p, members in enumerate(groups) for _ in members], dtype=torch.int64)
    keep = torch.tensor([draw(st.booleans()) for _ in lengths], dtype=torch.bool)
    return list(parts[: len(groups)]), list(parts[len(groups) :]), owner, keep


@st.composite
def masked_steps(draw):
    """A step, and which tokens of its completions are trained: all (None), or any of them, or none."""
    step = draw(steps())
    masks = [torch.tensor(draw(st.lists(st.booleans(), min_size=len(c), max_size=len(c)))) for c in step[1]]
    return step, draw(st.sampled_from([masks, masks, None]))


def is_trained(step, masks):
    """Which tokens are, with the completions that are not kept counted in: N lists."""
    keep = step[3].tolist()
    return [
        [kept] * len(c) if masks is None else [kept and on for on in masks[i].tolist()]
        for i, (c, kept) in enumerate(zip(step[1], keep, strict=True))
    ]


def histories(batch):
    """What each trained token is predicted from, read off the layout by the rule of visibility alone."""
    prompt_rows = sum(batch.prompt_lengths)
    prompt = [p for p, length in enumerate(batch.prompt_lengths) for _ in range(length)]
    prompt += [p for p, length in zip(batch.prompt_of, batch.fed_lengths, strict=True) for _ in range(length)]
    branch = [-1] * prompt_rows + [b for b, length in enumerate(batch.fed_lengths) for _ in range(length)]
    position, ids = batch.position_ids.tolist(), batch.input_ids.tolist()
    assert len(ids) == len(prompt) == len(position)
    for i in batch.predictor_index.tolist():
        seen = [
            (position[j], ids[j])
            for j in range(len(ids))
            if prompt[j] == prompt[i] and branch[j] in (-1, branch[i]) and position[j] <= position[i]
        ]
        seen.sort()
        assert [place for place, _ in seen] == list(range(len(seen)))
        yield [token for _, token in seen]


def shares(prompts, completions, group, keep, token_budget, world_size, **kwargs):
    """The micro-batches of every rank: a list a rank."""
    return [
        pack(prompts, completions, group, keep, token_budget, world_size=world_size, rank=rank, **kwargs)
        for rank in range(world_size)
    ]


@settings(deadline=None, max_examples=100)
@given(masked_steps(), st.integers(1, 60), st.integers(1, 3), st.integers(1, 3))
def test_every_trained_token_is_predicted_once_from_what_precedes_it(case, token_budget, num_batches, world_size):
    step, masks = case
    prompts, completions, owner, _ = step
    more = {"num_batches": num_batches, "costs": TokenCosts(0.01, 0.3), "trained": masks}
    by_rank = shares(*step, token_budget, world_size, **more)
    assert len({len(batches) for batches in by_rank}) == 1
    batches = [batch for batches in by_rank for batch in batches]
    assert len(batches) >= num_batches
    found = []
    for batch in batches:
        index = batch.completion_index.tolist()
        assert index == sorted(index)
        assert list(batch.completions) == sorted(set(index))
        assert [x.tolist() for x in batch.split(batch.labels)] == [
            [token for i, token in zip(index, batch.labels.tolist(), strict=True) if i == one]
            for one in batch.completions
        ]
        assert torch.equal(batch.gather(completions), batch.labels)
        found += list(zip(index, batch.labels.tolist(), histories(batch), strict=True))
    expected = [
        (i, int(completions[i][place]), [*prompts[owner[i]].tolist(), *completions[i][:place].tolist()])
        for i, mask in enumerate(is_trained(step, masks))
        for place, on in enumerate(mask)
        if on
    ]
    assert sorted(found) == sorted(expected)


@settings(deadline=None, max_examples=30)
@given(masked_steps())
def test_what_no_trained_token_depends_on_is_not_fed(case):
    step, masks = case
    (batch,) = pack(*step, 10**6, trained=masks)
    expected = set()
    for i, mask in enumerate(is_trained(step, masks)):
        if any(mask):
            last = max(place for place, on in enumerate(mask) if on)
            expected |= {*step[0][step[2][i]].tolist(), *step[1][i][:last].tolist()}
    assert set(batch.input_ids.tolist()) - {0} == expected  # 0 is the dummy of an empty micro-batch


@settings(deadline=None, max_examples=30)
@given(steps(), st.integers(1, 60))
def test_budget_holds_and_nothing_is_stored_twice(step, token_budget):
    prompts, completions, group, keep = step
    batches = pack(prompts, completions, group, keep, token_budget)
    for batch in batches:
        ids = batch.input_ids.tolist()
        if batch.completions:
            assert len(set(ids)) == len(ids)  # ids are unique in the step: no padding, no second copy of a prompt
            assert batch.fed_lengths == tuple(len(completions[i]) - 1 for i in batch.completions)
        assert len(ids) <= token_budget or len(batch.completions) <= 1
    kept = [i for i in range(len(completions)) if keep[i]]
    total = sum(len(completions[i]) - 1 for i in kept) + sum(len(prompts[p]) for p in {int(group[i]) for i in kept})
    if total <= token_budget:
        assert len(batches) == 1
    for more in range(1, 4):
        wanted = len(batches) + more
        assert len(pack(prompts, completions, group, keep, token_budget, num_batches=wanted)) == wanted


@settings(deadline=None, max_examples=50)
@given(masked_steps(), st.integers(1, 60))
def test_padded_rows_hold_the_same_sequences(case, token_budget):
    step, masks = case
    prompts, completions, owner, _ = step
    mask_of = is_trained(step, masks)
    for batch in pack(*step, token_budget, trained=masks):
        rows, mask, predictor_index = batch.padded()
        found = iter(zip(batch.labels.tolist(), predictor_index.tolist(), strict=True))
        for row, i in enumerate(batch.completions):
            places = [place for place, on in enumerate(mask_of[i]) if on]
            before = len(prompts[owner[i]])
            length = before + places[-1]
            assert mask[row].tolist() == [True] * length + [False] * (rows.shape[1] - length)
            assert rows[row][mask[row]].tolist() == torch.cat([prompts[owner[i]], completions[i]])[:length].tolist()
            for place in places:
                assert next(found) == (int(completions[i][place]), row * rows.shape[1] + before + place - 1)
        assert next(found, None) is None


def make_step(lengths, prompt_length=10):
    """Groups of completions of the given lengths."""
    prompts = [torch.ones(prompt_length, dtype=torch.int64)] * len(lengths)
    completions = [torch.ones(n, dtype=torch.int64) for group in lengths for n in group]
    return prompts, completions, torch.repeat_interleave(torch.tensor([len(group) for group in lengths]))


def test_micro_batches_cost_alike():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 200, (40, 8), generator=generator).tolist()
    batches = pack(*make_step(lengths), None, token_budget=4000)
    sizes = [len(batch.input_ids) for batch in batches]
    assert max(sizes) < 1.1 * min(sizes)
    assert sizes == sorted(sizes, reverse=True)


def test_attention_weighs_in_the_cost():
    # One long completion attends to as many pairs as several short ones with more tokens.
    step = make_step([[401], [101] * 2, [101] * 2, [101] * 2])
    by_tokens = pack(*step, None, token_budget=10_000, num_batches=2)
    by_pairs = pack(*step, None, token_budget=10_000, num_batches=2, costs=TokenCosts(pair=1.0))
    assert [len(b.completions) for b in by_tokens] == [3, 4] or [len(b.completions) for b in by_tokens] == [4, 3]
    assert sorted(len(b.completions) for b in by_pairs) == [1, 6]


@pytest.mark.parametrize("costs", [TokenCosts(), TokenCosts(pair=0.01), TokenCosts(pair=0.25, head=3.0)])
def test_the_cost_is_that_of_what_every_token_attends_to(costs):
    prompts, completions, owner = make_step([[5, 40], [17]])
    trained = [torch.arange(len(ids)) % 2 == 0 for ids in completions]
    step = _Step(prompts, completions, owner.tolist(), trained, costs)
    fed, before = [length - 1 for length in step.lengths], step.prompt_lengths
    for content, rows in (([(0, [0, 1])], (0, 1)), ([(1, [2])], (2,)), ([(0, [1]), (1, [2])], (1, 2))):
        tokens = sum(before[p] for p, _ in content) + sum(fed[i] for i in rows)
        pairs = sum(j + 0.5 for p, _ in content for j in range(before[p]))
        pairs += sum(before[owner[i]] + j + 0.5 for i in rows for j in range(fed[i]))
        trained_tokens = sum(int(trained[i].sum()) for i in rows)
        expected = tokens + costs.pair * pairs + costs.head * trained_tokens
        assert step.cost(content) == pytest.approx(expected, rel=1e-9)


def test_the_head_weighs_in_the_cost():
    # One group's tokens are mostly its prompt, which has no logits.
    prompts = [torch.ones(n, dtype=torch.int64) for n in (161, 1, 1, 1)]
    completions = [torch.ones(n, dtype=torch.int64) for n in (40, 100, 46, 46)]
    step = prompts, completions, torch.arange(4), None, 10_000
    by_tokens = pack(*step, num_batches=2)
    by_logits = pack(*step, num_batches=2, costs=TokenCosts(head=100.0))
    assert sorted(b.completions for b in by_tokens) == [(0,), (1, 2, 3)]
    assert sorted(b.completions for b in by_logits) == [(0, 2, 3), (1,)]


@pytest.mark.parametrize("num_groups", [40, 9, 3])
def test_ranks_get_alike_in_cost(num_groups):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 200, (num_groups, 16), generator=generator).tolist()
    by_rank = shares(*make_step(lengths), None, token_budget=3000, world_size=4)
    assert len({len(batches) for batches in by_rank}) == 1
    for together in zip(*by_rank, strict=True):
        sizes = [len(batch.input_ids) for batch in together]
        assert max(sizes) < 1.1 * sum(sizes) / len(sizes)
        assert num_groups < 40 or max(sizes) < 1.1 * min(sizes)
    fed = sum(len(batch.input_ids) for batches in by_rank for batch in batches)
    once = sum(len(batch.input_ids) for batch in pack(*make_step(lengths), None, token_budget=3000))
    assert fed < 1.05 * once, "few prompts are computed twice for it"


def test_a_long_prompt_is_not_computed_once_a_rank():
    by_rank = shares(*make_step([[5] * 8], prompt_length=100), None, token_budget=3000, world_size=8)
    assert [len(batch.completions) for (batch,) in by_rank] == [8, *[0] * 7]


def test_large_group_is_cut_into_equal_parts():
    batches = pack(*make_step([[31] * 9]), None, token_budget=150)
    assert [len(b.completions) for b in batches] == [3, 3, 3]
    assert all(b.prompt_lengths == (10,) for b in batches)


def test_long_completion_gets_a_micro_batch_of_its_own():
    batches = pack(*make_step([[500, 5, 5]]), None, token_budget=100)
    assert [b.completions for b in batches] == [(0,), (1, 2)]
    apart = pack(*make_step([[500], [5], [5]]), None, token_budget=100)  # those after it need no more than one
    assert [b.completions for b in apart] == [(0,), (1, 2)]


def test_ranks_that_agree_on_a_number_all_have_it():
    step = make_step([[31] * 4] * 6)
    fewest = len(pack(*step, None, token_budget=300))
    for wanted in range(fewest, 10):
        assert len(pack(*step, None, token_budget=300, num_batches=wanted)) == wanted


def test_empty_batch_is_one_token_that_predicts_nothing():
    (batch,) = pack(*make_step([[3, 3]]), torch.zeros(2, dtype=torch.bool), token_budget=100)
    assert (len(batch.input_ids), len(batch.predictor_index), batch.completions) == (1, 0, ())
    assert batch.split(torch.zeros(0)) == ()
    assert batch.gather([torch.ones(3), torch.ones(3)]).shape == (0,)
    assert [x.shape for x in batch.padded()] == [(1, 1), (1, 1), (0,)]


def test_gather_follows_the_trained_tokens_and_split_cuts_them():
    step = make_step([[2, 3], [1]])
    keep = torch.tensor([False, True, True])
    data = [torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0]), torch.tensor([5.0])]
    (batch,) = pack(*step, keep, token_budget=100)
    assert batch.gather(data).tolist() == [2.0, 3.0, 4.0, 5.0]
    trained = [torch.tensor([True, True]), torch.tensor([True, False, True]), torch.tensor([True])]
    (batch,) = pack(*step, keep, token_budget=100, trained=trained)
    assert batch.gather(data).tolist() == [2.0, 4.0, 5.0]
    assert [x.tolist() for x in batch.split(batch.gather(data))] == [[2.0, 4.0], [5.0]]


def test_the_head_costs_by_trained_tokens():
    # Two long completions of which one token is trained, against one that is trained whole.
    step = make_step([[100], [100], [100]])
    last = torch.arange(100) == 99
    trained = [torch.ones(100, dtype=torch.bool), last, last]
    batches = pack(*step, None, 10_000, num_batches=2, costs=TokenCosts(head=100.0), trained=trained)
    assert sorted(batch.completions for batch in batches) == [(0,), (1, 2)]


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        ([torch.ones(3, dtype=torch.bool)], "one `trained` for each of 2 completions, got 1"),
        ([torch.ones(3, dtype=torch.bool), torch.ones(1, dtype=torch.bool)], r"shape \(2,\) as `trained\[1\]`.*\(1,\)"),
        ([torch.ones(3), torch.ones(2, dtype=torch.bool)], r"bool.*`trained\[0\]`.*torch.float32"),
    ],
)
def test_refuses_masks_that_do_not_fit(trained, message):
    with pytest.raises(ValueError, match=message):
        pack(*make_step([[3, 2]]), None, 100, trained=trained)


@pytest.mark.parametrize(
    ("group", "token_budget", "message"), [([0, 1, 0], 10, "ascending"), ([0, 0, 1], 0, "token_budget >= 1, but got 0")]
)
def test_refuses_what_it_cannot_pack(group, token_budget, message):
    ones = torch.ones(3, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        pack([ones, ones], [ones, ones, ones], torch.tensor(group), None, token_budget)


@pytest.mark.parametrize("empty", ["prompt", "completion"])
def test_refuses_empty_sequences(empty):
    prompt, completion = (torch.ones(0 if name == empty else 2, dtype=torch.int64) for name in ("prompt", "completion"))
    with pytest.raises(ValueError, match="a token in every prompt and completion"):
        pack([prompt], [completion], torch.tensor([0]), None, 10)


@settings(deadline=None, max_examples=30)
@given(steps(), st.integers(1, 60), st.integers(1, 5), st.integers(1, 3))
def test_padded_rows_keep_to_the_budget_where_prompts_are_not_shared(step, token_budget, num_batches, world_size):
    by_rank = shares(*step, token_budget, world_size, num_batches=num_batches, share_prompts=False)
    assert len({len(batches) for batches in by_rank}) == 1
    batches = [batch for batches in by_rank for batch in batches]
    assert len(batches) >= num_batches
    assert sorted(i for batch in batches for i in batch.completions) == step[3].nonzero()[:, 0].tolist()
    for batch in batches:
        assert batch.padded()[0].numel() <= token_budget or len(batch.completions) == 1


@settings(deadline=None, max_examples=30)
@given(steps(), st.integers(1, 60), st.integers(0, 20))
def test_a_wanted_number_of_padded_micro_batches_is_had_exactly(step, token_budget, more):
    fewest = len(pack(*step, token_budget, share_prompts=False))
    wanted = fewest + more
    assert len(pack(*step, token_budget, num_batches=wanted, share_prompts=False)) == wanted


def test_padded_rows_fill_the_budget():
    """Rows of 10 + 30 tokens: three of them are 120."""
    batches = pack(*make_step([[31] * 5, [31] * 4]), None, token_budget=120, share_prompts=False)
    assert [len(batch.completions) for batch in batches] == [3, 3, 3]


def test_rows_of_like_length_are_padded_together():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randn((32, 16), generator=generator).mul(0.8).add(5.5).exp().clamp(1, 2048).int().tolist()
    batches = pack(*make_step(lengths, prompt_length=100), None, token_budget=4096, share_prompts=False)
    cells = sum(batch.padded()[0].numel() for batch in batches)
    real = sum(100 + n - 1 for group in lengths for n in group)
    assert cells < 1.1 * real
    assert len(batches) <= 1.2 * real / 4096
