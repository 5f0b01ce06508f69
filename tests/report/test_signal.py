"""The measure of a set of problems, its picture, and the suggestion."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from mpmath import betainc

from lit_passk.commands.signal import main
from lit_passk.functional.passk_advantage import analytic_advantage
from lit_passk.report.signal import measure, rates_table, suggest
from lit_passk.report.signal_plot import plot_signals

CORRECT = torch.tensor([0, 0, 1, 1, 2, 3, 5, 6])
SAMPLES = torch.full((8,), 6)


def by_enumeration(size, k):
    """Unsolved, too easy and weight, over every group of ``size`` of each problem's six completions."""
    groups = [g for c in CORRECT.tolist() for g in combinations([1] * c + [0] * (6 - c), size)]
    advantages = analytic_advantage(torch.tensor(groups), k)
    right = torch.tensor([sum(group) for group in groups])
    dead = advantages.eq(0).all(dim=1)
    return [float(x.double().mean()) for x in (right == 0, dead & (right > 0), advantages.abs().sum(dim=1))]


def test_candidates_are_those_of_enumeration():
    signal = measure("letters", CORRECT, SAMPLES, ks=[1, 2, 4], group_sizes=[3, 5])
    assert [(c.group_size, c.k) for c in signal.candidates] == [(3, 1), (3, 2), (5, 1), (5, 2), (5, 4)]
    for c in signal.candidates:
        assert [c.unsolved, c.too_easy, c.weight] == pytest.approx(by_enumeration(c.group_size, c.k))
        assert c.dead == pytest.approx(c.unsolved + c.too_easy)
        assert c.weight_per_completion == pytest.approx(c.weight / c.group_size)


def test_rates_by_hand():
    signal = measure("letters", CORRECT, SAMPLES, ks=[1], group_sizes=[3])
    measured = [share for _, _, share, _ in signal.rates()]
    assert measured == pytest.approx([2 / 8, 2 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8])  # 0, 1/6, 2/6, 3/6, 5/6, 6/6
    assert sum(mass for *_, mass in signal.rates()) == pytest.approx(1.0)
    a, b = signal.prior
    below = sum(betainc(c + a, 6 - c + b, 0, 0.05, regularized=True) for c in CORRECT.tolist()) / 8
    assert signal.rates()[0][3] == pytest.approx(float(below))
    assert rates_table(signal)[1][:2] == ["0 to 0.05", "25.0"]


def test_the_suggestion_follows_its_rule():
    ks, sizes = [1, 2, 4], [5, 8, 16]
    for correct in (CORRECT, torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]), torch.tensor([3, 4, 5, 6, 6, 6, 6, 6])):
        signal = measure("letters", correct, SAMPLES, ks, sizes)
        found = suggest(signal, num_groups=100)
        table = {(c.k, c.group_size): c for c in signal.candidates}
        most = max(table[1, size].weight_per_completion for size in sizes)
        size = min(s for s in sizes if table[1, s].weight_per_completion >= 0.9 * most)
        alive = {k: 1 - table[k, size].dead for k in ks if (k, size) in table}
        k = max(k for k in alive if 4 * k <= size and alive[k] >= 0.75 * alive[1])
        assert (found.candidate.k, found.candidate.group_size) == (k, size)
        alive = 1 - found.candidate.dead
        assert found.num_prompts * alive >= 100 > (found.num_prompts - 1) * alive
        assert len(found.reasons) == 3


def test_hard_problems_ask_for_a_larger_k_than_easy_ones():
    hard, easy = torch.tensor([0, 1, 1, 2] * 10), torch.tensor([14, 15, 13, 16] * 10)
    ks, sizes = [1, 2, 4, 8], [8, 16]
    found = [suggest(measure("x", c, torch.full_like(c, 16), ks, sizes), 10).candidate.k for c in (hard, easy)]
    assert found[0] > found[1]


def test_candidates_that_all_break_the_rule_give_the_smallest():
    found = suggest(measure("x", CORRECT, SAMPLES, [3, 4], [6]), 10)
    assert found.candidate.k == 3
    assert "had there been one" in found.reasons[1]


def test_nothing_solved_is_no_suggestion():
    assert suggest(measure("x", torch.zeros(5, dtype=torch.int64), torch.full((5,), 8), [1, 2], [4, 8]), 10) is None
    for correct in (
        torch.zeros(5, dtype=torch.int64),
        torch.full((5,), 8),
    ):  # the fit would make up how often others differ
        assert suggest(measure("x", correct, torch.full((5,), 8), [1, 2], [16, 64]), 10) is None


def test_what_cannot_be_measured_is_refused():
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="no problem has a completion"):
        measure("x", none, none, [1], [4])
    with pytest.raises(ValueError, match=r"No k of \[8\] is below a group size of \[4, 8\]"):
        measure("x", CORRECT, SAMPLES, [8], [4, 8])
    with pytest.raises(ValueError, match="at least 1"):
        measure("x", CORRECT, SAMPLES, [0, 1], [4])


def test_the_folder_one_is_in_is_no_result_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"'\.' is a folder"):
        main(["."])


def test_the_picture_has_a_row_of_three_panels_for_each(tmp_path):
    signals = [measure(name, CORRECT, SAMPLES, [1, 2], [4, 8]) for name in ("$x^2_", "letters")]
    figure = plot_signals([(signals[0], suggest(signals[0], 10)), (signals[1], None)])
    assert len(figure.axes) == 6
    dead, weight = figure.axes[1:3]
    assert [line.get_label() for line in dead.get_lines()][:2] == ["G = 4", "G = 8"]
    assert list(dead.get_lines()[1].get_ydata()) == pytest.approx([c.dead for c in signals[0].candidates[2:]])
    assert [line.get_label() for line in weight.get_lines()][:2] == ["k = 1", "k = 2"]
    assert (len(dead.get_lines()), len(figure.axes[4].get_lines())) == (3, 2)  # the mark of the suggestion
    figure.savefig(tmp_path / "signal.svg")
    assert "<svg" in (tmp_path / "signal.svg").read_text()
