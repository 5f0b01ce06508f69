"""What the reproduction scripts compute of their data, against numbers that were computed elsewhere."""

import json
import re
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from helpers import small_runs

from lit_passk.checkpointing.run_folder import last_checkpoint

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/reproduction.md", "docs/choosing_k.md"]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "reproduction"]:
        del sys.modules[name]


def settings_of(domain, folder=ROOT / "docs/reproduction"):
    from reproduction.jobs import Settings

    return Settings(domain, folder / "runs", folder / f"{domain.name}.jsonl", domain.steps)


def write_data(settings, rows):
    """Measurements by arm and seed, each given as the correct ones of 64 samples of every problem."""
    from reproduction.jobs import key

    with settings.data.open("w") as file:
        for (arm, seed), correct in rows.items():
            for part in settings.domain.parts(arm):
                said = {"arm": arm, "seed": seed, "step": settings.step(part), "key": key(arm, settings)}
                said |= {"samples": 64, "correct": correct, "entropy": 0.5 + 0.1 * seed, "different": 4.0}
                file.write(json.dumps(said) + "\n")


@pytest.mark.parametrize(("share", "degrees", "quantile"), [(0.975, 4, 2.7764), (0.975, 9, 2.2622), (0.995, 1, 63.657)])
def test_quantiles_of_student_as_in_any_table(share, degrees, quantile):
    from reproduction.statistics import t_quantile, t_two_sided

    assert t_quantile(share, degrees) == pytest.approx(quantile, rel=1e-4)
    assert t_two_sided(quantile, degrees) == pytest.approx(2 * (1 - share), abs=1e-5)


def test_over_seeds_alone_and_holm():
    from reproduction.statistics import estimate, holm

    values = torch.tensor([[0.10], [0.12], [0.08], [0.14], [0.11]], dtype=torch.float64)  # mean .11, its error .01
    found = estimate(values)
    assert (found.mean, found.low, found.high) == pytest.approx((0.11, 0.08224, 0.13776), abs=1e-5)
    assert found.p == pytest.approx(3.88e-4, rel=1e-2)
    assert estimate(values, null=0.11).p == pytest.approx(1)
    assert estimate(values[:1]).low != estimate(values[:1]).low  # one seed has no interval
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_seeds_and_problems_are_crossed():
    """Against the analysis of variance by sums over pairs of cells, in rationals."""
    from reproduction.statistics import estimate, t_quantile

    cells = [[3, 9, 1, 7], [5, 8, 2, 9], [1, 7, 1, 3]]
    S, P = 3, 4  # noqa: N806
    rows, columns = [Fraction(sum(row), P) for row in cells], [Fraction(sum(c), S) for c in zip(*cells, strict=True)]
    mean = Fraction(sum(map(sum, cells)), S * P)
    of_seeds = P * sum((a - b) ** 2 for a in rows for b in rows) / (2 * S * (S - 1))
    of_problems = S * sum((a - b) ** 2 for a in columns for b in columns) / (2 * P * (P - 1))
    rest = sum((cells[i][j] - rows[i] - columns[j] + mean) ** 2 for i in range(S) for j in range(P)) / (
        (S - 1) * (P - 1)
    )
    assert of_seeds > rest  # no component of the variance is taken as 0
    assert of_problems > rest
    total = of_seeds + of_problems - rest
    degrees = total**2 / (of_seeds**2 / (S - 1) + of_problems**2 / (P - 1) + rest**2 / ((S - 1) * (P - 1)))
    found = estimate(torch.tensor(cells, dtype=torch.float64))
    assert found.mean == pytest.approx(float(mean))
    half = t_quantile(0.975, float(degrees)) * float(total / (S * P)) ** 0.5
    assert (found.low, found.high) == pytest.approx((float(mean) - half, float(mean) + half))


def test_intervals_hold_the_truth_as_often_as_they_say():
    from reproduction.statistics import estimate

    generator, held, trials = torch.Generator().manual_seed(0), 0, 100

    def noise(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for _ in range(trials):
        found = estimate(0.3 + 0.05 * noise(5, 1) + 0.4 * noise(1, 60) + 0.3 * noise(5, 60))
        held += found.low <= 0.3 <= found.high
    assert 0.88 <= held / trials < 1  # .95, give or take three standard deviations; over seeds alone it is .7


def test_where_pass_at_1_was_the_same():
    from reproduction.statistics import place

    assert place([0.1, 0.3, 0.2], 0.25) == (0, pytest.approx(0.75))
    assert place([0.1, 0.3, 0.2], 0.4) is None


def test_at_equal_pass1_the_baseline_is_taken_between_its_measurements(tmp_path):
    """Pass@1 training goes from 8 to 32 of 64 correct, the other ends with 20: half the way."""
    from reproduction.jobs import key
    from reproduction.mazes import MAZES
    from reproduction.measurements import Measurements

    settings = settings_of(MAZES, tmp_path)
    rows = [("pass1", part, [correct] * 3) for part, correct in zip((1, 2, 3, 4), (8, 32, 40, 44), strict=True)]
    rows += [("passk", 4, [20, 20, 20])]
    with settings.data.open("w") as file:
        for arm, part, correct in rows:
            said = {"arm": arm, "seed": 0, "step": settings.step(part), "key": key(arm, settings), "samples": 64}
            file.write(json.dumps(said | {"correct": correct, "entropy": 0.5, "different": 4.0}) + "\n")
    found = Measurements(settings).at_equal_pass1("passk", "pass1", "pass@2")

    def pass_at_2(correct):
        return 1 - (64 - correct) * (63 - correct) / (64 * 63)

    assert found.tolist() == [pytest.approx([pass_at_2(20) - (pass_at_2(8) + pass_at_2(32)) / 2] * 3)]


def test_the_page_says_what_the_data_says(tmp_path):
    """Arms with 2 and 3 of 4 correct on every maze, a little apart between seeds; others are not measured yet."""
    from reproduction.commands import write
    from reproduction.mazes import MAZES

    settings = settings_of(MAZES, tmp_path)
    rows = {("pass1", seed): [32 + seed + i for i in range(5)] for seed in (0, 1, 2)}
    rows |= {("passk", seed): [48 + 2 * seed + i for i in range(5)] for seed in (0, 1)}
    write_data(settings, rows)
    write(settings, tmp_path)
    page = (tmp_path / "mazes.md").read_text()
    assert f"| Pass@4 | 2 | {(50 + 52) / 128:.3f} |" in page
    assert f"| Pass@4 | 2 | +{(16 + 17) / 128:.3f} [" in page
    assert "Not measured yet: MaxAtK(4)" in page
    assert "| ... and pays less than .03 of pass@1 | pass@1 > -0.03 | +0.258 [+0.1" in page
    assert (tmp_path / "mazes_explores.png").stat().st_size > 5000
    assert (tmp_path / "mazes_explores_paths.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("passk", "verdict"),
    [(48, "holds"), (16, "does not hold"), (33, "not decided"), (None, "not measured yet"), (-48, "too few seeds")],
)
def test_what_becomes_of_a_claim(tmp_path, passk, verdict):
    from reproduction.domain import Claim, Experiment
    from reproduction.mazes import MAZES
    from reproduction.measurements import Measurements
    from reproduction.page import claims

    settings = settings_of(MAZES, tmp_path)
    noise = [0, 3, -3, 2, -2, 0]
    rows = {("pass1", seed): [32 + n for n in noise] for seed in range(4)}
    if passk is not None:
        seeds = range(4 if passk > 0 else 2)
        rows |= {("passk", seed): [abs(passk) - noise[(i + seed) % 6] for i in range(6)] for seed in seeds}
    write_data(settings, rows)
    claim = Claim("It is more", "passk", "pass1", "pass@1")
    said = claims(Experiment("", "", "pass1", ("pass1", "passk"), (claim,)), Measurements(settings))
    assert verdict in said.splitlines()[-1]


def test_pages_quote_the_data(tmp_path):
    from reproduction.mazes import MAZES
    from reproduction.measurements import Measurements
    from reproduction.quotes import fill

    settings = settings_of(MAZES, tmp_path)
    rows = {("pass1", seed): [32] * 4 for seed in range(5)} | {("passk", seed): [48] * 4 for seed in (0, 1)}
    write_data(settings, rows | {("pkpo", seed): [40] * 4 for seed in range(5)})
    data = {"mazes": Measurements(settings)}
    page = "".join(f"{arm} <!-- mazes: {arm} - pass1: pass@1 -->old<!-- / -->. " for arm in ("passk", "pkpo", "max_rl"))
    filled = fill(page, data)
    assert re.sub("<!--.*?-->", "", filled) == (
        "passk +0.250 [+0.250, +0.250] (2 seeds). pkpo +0.125 [+0.125, +0.125]. max_rl not measured yet. "
    )
    assert fill(filled, data) == filled
    said = "two seeds: <!-- mazes: passk - pass1: pass@1, 2 seeds -->+0.250 [+0.250, +0.250]<!-- / -->"
    assert fill(said, data) == said
    table = fill("<!-- mazes: means pass1 max_rl: pass@1, pass@8 --><!-- / -->", data).splitlines()
    assert table[4:6] == [
        "| Pass@1 (GRPO) | 5 | 0.500 | 0.998 |",
        "| MaxRL | 0 | not measured yet | not measured yet |",
    ]
    for wrong in ("nowhere: passk - pass1: pass@1", "mazes: passk - pass2: pass@1", "mazes: passk", "mazes: claims x"):
        with pytest.raises(ValueError, match=r"nowhere|pass2|none of the forms|no experiment 'x'"):
            fill(f"<!-- {wrong} --><!-- / -->", data)


def figures(text):
    """A text without its figures, and the figures: their last digit may differ between machines."""
    return re.sub(r"[-+]?\d*\.\d+", "#", text), [float(x) for x in re.findall(r"[-+]?\d*\.\d+", text)]


def assert_same(text, other):
    words, numbers = figures(text)
    other_words, other_numbers = figures(other)
    assert words == other_words
    assert numbers == pytest.approx(other_numbers, abs=0.0011, rel=0.06)


def test_the_committed_pages_say_what_the_committed_data_says(tmp_path):
    from reproduction.commands import text_of
    from reproduction.domains import DOMAINS
    from reproduction.measurements import Measurements
    from reproduction.quotes import fill

    data = {name: Measurements(settings_of(domain)) for name, domain in DOMAINS.items()}
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert_same(text, fill(text, data))
    index = (ROOT / "docs/reproduction.md").read_text()
    for name, domain in DOMAINS.items():
        assert_same((ROOT / f"docs/reproduction/{name}.md").read_text(), text_of(data[name]))
        missing = [one for one in domain.experiments if f"<!-- {name}: claims {one} -->" not in index]
        assert not missing


def test_no_row_of_the_data_is_of_other_settings():
    """Else the page would leave measurements out without a word: measure them again, or take them out of the file."""
    from reproduction.domains import DOMAINS
    from reproduction.jobs import key, read

    for domain in DOMAINS.values():
        settings = settings_of(domain)
        old = {row["arm"] for row in read(settings.data) if row["key"] != key(row["arm"], settings)}
        assert not old, (domain.name, old)


def test_seeds_come_one_after_the_other_and_an_arm_has_as_many_as_its_largest_experiment():
    from reproduction.commands import trainings
    from reproduction.mazes import MAZES

    found = trainings(MAZES, ["adaptive", "explores"], first_seed=7, seeds=None)
    assert found[:2] == [("passk", 7), ("exceeding", 7)]
    assert [seed for arm, seed in found if arm == "passk"] == list(range(7, 17))
    assert [seed for arm, seed in found if arm == "adaptive"] == list(range(7, 12))
    assert trainings(MAZES, ["larger"], 0, seeds=1) == [("wide_pass1", 0), ("wide_passk", 0)]


def test_a_command_ends_with_the_time_there_is(tmp_path):
    from reproduction.jobs import OutOfTime, call

    with pytest.raises(OutOfTime):
        call([sys.executable, "-c", "import time; time.sleep(300)"], tmp_path / "log", time.monotonic() + 0.2)
    with pytest.raises(OutOfTime):
        call(["nothing-is-started"], tmp_path / "log", time.monotonic() - 1)
    with pytest.raises(SystemExit, match="status 3"):
        call([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log", time.monotonic() + 60)


def test_a_budget_of_tokens_ends_a_training_and_goes_on_counting(maze_policy, tmp_path):
    from reproduction.pieces import TokenBudget

    def train(folder, steps, resume=False):
        trainer, module, data = small_runs.build(maze_policy, folder, TokenBudget(tokens=100), steps=steps)
        trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(folder) if resume else None)
        return module.rl_step, json.loads((folder / "budget.json").read_text())

    steps, whole = train(tmp_path / "whole", 9)
    assert (steps, whole["steps"], whole["with_advantage"]) == (3, 3, 1.0)
    assert 100 <= whole["tokens"] <= 144
    _, part = train(tmp_path / "parts", 1)
    assert (part["steps"], part["tokens"] <= 48) == (1, True)
    assert train(tmp_path / "parts", 9, resume=True) == (steps, whole)


def test_no_digits_with_a_target_are_in_two_splits():
    from reproduction.short_countdown import ShortCountdown

    tasks = [ShortCountdown(150, split) for split in ("train", "val", "test")]
    seen = []
    for task in tasks:
        answers = [json.loads(task[i].answer) for i in range(len(task))]
        seen.append({(*sorted(answer["nums"]), answer["target"]) for answer in answers})
        assert all(task.score(task[i], task.demonstration(i)).correct for i in range(len(task)))
        assert all(10 <= answer["target"] <= 99 and len(answer["nums"]) == 4 for answer in answers)
    assert len(set.union(*seen)) == sum(map(len, seen))


@pytest.mark.seconds
def test_every_arm_is_a_configuration_that_parses(tmp_path, monkeypatch):
    from reproduction.domains import DOMAINS
    from reproduction.jobs import CLI, cold_start_command, fit, measure

    from lit_passk.cli import main

    monkeypatch.chdir(ROOT)
    for domain in DOMAINS.values():
        used = {arm for experiment in domain.experiments.values() for arm in experiment.arms}
        assert used == set(domain.arms)
        assert {arm.cold_start for arm in domain.arms.values()} == set(domain.cold_starts)
        for experiment in domain.experiments.values():
            assert {claim.arm for claim in experiment.claims} <= set(domain.arms)
            assert {claim.baseline for claim in experiment.claims} <= set(domain.arms)
    mazes, countdown = settings_of(DOMAINS["mazes"], tmp_path), settings_of(DOMAINS["countdown"], tmp_path)
    arms = ["k16_lr5e-05", *(arm for arm in mazes.domain.arms if not arm.startswith("k") and "start" not in arm)]
    commands = [fit(mazes, arm, 0, tmp_path) for arm in arms] + [fit(countdown, "passk", 0, tmp_path)]
    commands += [measure(one, "passk", 0, tmp_path, 0, tmp_path / "x.jsonl") for one in (mazes, countdown)]
    commands += [cold_start_command(one, "passk", 0, tmp_path / "policy") for one in (mazes, countdown)]
    for command in commands:
        with pytest.raises(SystemExit) as end:
            main([*command[len(CLI) :], "--print_config"])
        assert end.value.code in (None, 0), command
