"""What the reproduction scripts compute of their data, against numbers that were computed elsewhere."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("reproduction", "reproduce_mazes")]:
        del sys.modules[name]


@pytest.mark.parametrize(("share", "degrees", "quantile"), [(0.975, 4, 2.7764), (0.975, 9, 2.2622), (0.995, 1, 63.657)])
def test_quantiles_of_student_as_in_any_table(share, degrees, quantile):
    from reproduction.statistics import t_cdf, t_quantile

    assert t_quantile(share, degrees) == pytest.approx(quantile, rel=1e-4)
    assert t_cdf(quantile, degrees) == pytest.approx(share, abs=1e-5)


def test_over_seeds_and_holm():
    from reproduction.statistics import holm, over_seeds

    estimate = over_seeds([0.10, 0.12, 0.08, 0.14, 0.11])  # mean .11, error of the mean .01
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.11, 0.08224, 0.13776), abs=1e-5)
    assert estimate.p == pytest.approx(3.88e-4, rel=1e-2)
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_pass_at_k_where_pass_at_1_was_the_same():
    from reproduction.statistics import at_equal

    path = [(0.1, 0.5), (0.3, 0.7), (0.2, 0.6)]
    assert at_equal(path, 0.25) == pytest.approx(0.65)
    assert at_equal(path, 0.4) is None


def test_the_page_says_what_the_data_says(tmp_path, monkeypatch):
    """Arms with 2 and 3 of 4 correct on every maze, a little apart between seeds; others are not measured yet."""
    import reproduce_mazes
    from reproduction.jobs import Settings, key

    settings, data = Settings(tmp_path / "runs", tmp_path / "mazes.jsonl", 3), []
    for seed in (0, 1):
        for arm, correct in (("pass1", 32 + seed), ("passk", 48 + 2 * seed)):
            row = {
                "arm": arm,
                "seed": seed,
                "step": 3,
                "key": key(arm, settings),
                "samples": 64,
                "correct": [correct] * 5,
            }
            data.append(row | {"entropy": 0.5, "different": 4.0})
    settings.data.write_text("".join(json.dumps(row) + "\n" for row in data))
    reproduce_mazes.write(settings, tmp_path, range(2))
    page = (tmp_path / "mazes.md").read_text()
    assert f"| Pass@4 | {(0.75 + 50 / 64) / 2:.3f} |" in page
    assert "| Pass@4 | +0.258 [" in page  # 16/64 and 17/64
    assert "Not measured yet: MaxAtK(4)" in page
    assert (tmp_path / "explores.png").stat().st_size > 5000


@pytest.mark.seconds
def test_every_arm_is_a_configuration_that_parses():
    from reproduction.arms import ARMS, COLD_STARTS, EXPERIMENTS

    from lit_passk.commands.train import main

    assert {arm for experiment in EXPERIMENTS.values() for arm in experiment.arms} == set(ARMS)
    assert {arm.cold_start for arm in ARMS.values()} == set(COLD_STARTS)
    for name in ["k16_lr5e-05", *(name for name in ARMS if not name.startswith("k"))]:
        arm = ARMS[name]
        with pytest.raises(SystemExit) as end:
            main(["fit", "--config", str(ROOT / "configs/maze_cpu.yaml"), *arm.options, "--print_config"])
        assert end.value.code in (None, 0), arm.label
