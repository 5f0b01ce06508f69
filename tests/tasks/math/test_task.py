r"""Math scoring: the reference answers of real data sets, math-verify's own cases, and completions of every kind."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from pathlib import Path

import pytest
import yaml
from math_verify import parse, verify

from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.math import grading
from lit_passk.tasks.math.answers import Joined, Relation, Sequence, Words
from lit_passk.tasks.math.grading import equal, grade
from lit_passk.tasks.math.reading import readings
from lit_passk.tasks.math.task import INSTRUCTION, MathTask
from lit_passk.tasks.math.text import plain

DATA = Path(__file__).parents[3] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data, the test data, is not there")

ROWS = {
    "aime24": 30,
    "amc23": 40,
    "gsm8k_test": 1319,
    "gsm8k_train": 7473,
    "math500": 500,
    "math_train_2000": 2000,
    "minerva": 272,
    "olympiadbench": 675,
}

# Reference answers that are no mathematics but words; they are compared by spelling.
NO_MATHEMATICS = {
    "minerva-5": "np.arcsin(10/13) is Python",
    "olympiadbench-1965": "a sentence about f(x)=a x+b",
}

# Cases of math-verify's own test suite whose expected outcome is wrong.
WRONG_CASES = {
    "mv-test_all-test_latex_notation-6": "what \\( and \\) enclose is 9, and 9 is right: the case pins down that "
    "one configuration of the parser does not read over a line break",
}


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, *rows: dict) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


# --- the data -------------------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("name", ROWS)
def test_every_reference_answer_scores_1(name):
    task = MathTask(str(DATA / "math" / f"{name}.jsonl"), id_column="id", expected_rows=ROWS[name])
    wrong = [
        problem.id
        for problem in task
        if not task.score(
            problem, f"First $x=2$, as in \\boxed{{17}}. So in the end\n\\boxed{{{problem.answer}}}."
        ).correct
    ]
    assert len(task) == ROWS[name]
    assert wrong == []


@needs_data
@pytest.mark.parametrize("name", ["math500", "math_train_2000", "minerva", "olympiadbench"])
def test_every_reference_answer_is_understood(name):
    """Not by its spelling, which the test above is content with; whole numbers need no test."""
    rows = [row for row in read(DATA / "math" / f"{name}.jsonl") if not row["answer"].lstrip("-").isdigit()]
    rows = [row for row in rows if not row["answer"].startswith("\\text{")]
    not_understood = {row["id"] for row in rows if not understood(readings(row["answer"])[0])}
    assert not_understood == {id for id in NO_MATHEMATICS if id in {row["id"] for row in rows}}


def understood(answer) -> bool:
    parts = {Sequence: "items", Relation: "sides", Joined: "parts"}
    if isinstance(answer, Joined) and answer.how == "all":
        return True
    return not isinstance(answer, Words) and all(map(understood, getattr(answer, parts.get(type(answer), ""), ())))


@needs_data
@pytest.mark.parametrize("name", ["aime24", "amc23", "math500", "minerva", "olympiadbench"])
def test_reference_answers_score_1_without_a_box(name):
    rows = [row for row in read(DATA / "math" / f"{name}.jsonl") if "$" not in row["answer"]][:200]
    text = "First $x=2$ and then 12 more. The answer is $%s$."
    assert [row["id"] for row in rows if not grade(row["answer"], text % row["answer"])[0]] == []


@needs_data
def test_an_answer_does_not_score_for_another_problem():
    answers = sorted({row["answer"] for row in read(DATA / "math" / "math500.jsonl")})
    for reference, given in zip(answers, answers[7:], strict=False):
        if grade(reference, f"\\boxed{{{given}}}")[0]:
            assert math_verify_says_equal(reference, given), (reference, given)


def math_verify_says_equal(reference: str, given: str) -> bool:
    return verify(
        *(parse(f"\\boxed{{{answer}}}", parsing_timeout=None) for answer in (reference, given)), timeout_seconds=None
    )


@needs_data
def test_math_verifys_own_cases():
    cases = read(DATA / "verify" / "math_verify_cases_134.jsonl")
    differ = {case["id"] for case in cases if grade(case["gold"], case["prediction"])[0] != case["expected"]}
    assert len(cases) == 134
    assert differ == set(WRONG_CASES)


@needs_data
@pytest.mark.parametrize("config", ["aime24", "amc23", "gsm8k", "math500", "math_suite"])
def test_benchmarks_load_from_local_files(config):
    """By a path override alone, with the row counts that the configurations expect."""
    path = Path(__file__).parents[3] / "configs" / "benchmarks" / f"{config}.yaml"
    tasks = yaml.safe_load(path.read_text())["data"]["val"]
    files = {name: name for name in ROWS} | {"gsm8k": "gsm8k_test"}
    for name, task in tasks.items():
        assert task["class_path"] == "MathTask"
        if name in files:  # AIME 2025 is not among the test data
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                loaded = MathTask(**task["init_args"] | {"path": str(DATA / "math" / f"{files[name]}.jsonl")})
            assert len(loaded) == ROWS[files[name]]


# --- kinds of answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "given"),
    [
        ("72", "72.0"),
        ("72", "+72"),
        ("025", "25"),
        ("1000", r"1{,}000"),
        ("58,500", "58500"),
        (r"\frac{3}{2}", r"1\frac{1}{2}"),
        (r"\frac{1}{3}", "0.333333"),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"),
        ("4", r"\sqrt{16}"),
        (r"2\sqrt{2}\pi", "2√2π"),
        (r"x^2+2x+1", r"(x+1)^2"),
        ("a + b + c", "c+b+a"),
        (r"1 - \frac{1}{\mathrm{e}}", r"\frac{e-1}{e}"),
        ("5", "x = 5"),
        ("5", "5."),
        (r"y = 2x + 3", r"2x - y = -3"),
        # units
        (r"15\text{ cm}^2", "15"),
        ("15", r"15\ \mathrm{cm}"),
        (r"90^\circ", "90"),
        (r"90^\circ", "90°"),
        ("32", r"\$32"),
        (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}"),
        # percent
        (r"28\%", "28"),
        (r"28\%", "0.28"),
        ("0.28", r"28\%"),
        # scientific notation
        ("4.5e33", r"4.5 \times 10^{33}"),
        ("1.6e-19", r"1.6 \cdot 10^{-19}"),
        (r"6.02 \times 10^{23}", "6.02e23"),
        ("1e-5", "0.00001"),
        # intervals, sets, tuples, lists
        (r"(-\infty, 3) \cup (3, \infty)", r"(-\infty,3)\cup(3,\infty)"),
        ("[1,2]", r"1 \le x \le 2"),
        (r"x \in [1,2]", "[1,2]"),
        ("3, 5, 7", "7, 5, 3"),
        (r"\{1,2\}", "2, 1"),
        (r"3\pm\sqrt{2}", r"3+\sqrt{2}, 3-\sqrt{2}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \pi/2)"),
        ("$69$,$84$", r"84 \text{ and } 69"),
        (r"\emptyset", r"\{\}"),
        # matrices
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
        (r"\begin{pmatrix} 1/2 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 0.5 \\ 2 \end{pmatrix}"),
        # words and letters
        (r"\text{Evelyn}", "Evelyn"),
        (r"\text{June 20}", "June 20"),
        (r"\text{A, B}", "B, A"),
        (r"\text{(C)}", "C"),
        ("C", r"\text{(C) } 12"),
        ("np.arcsin(10/13)", "np.arcsin(10/13)"),
        # mixed numbers, complex numbers, bases, currencies
        ("1 3/4", r"\frac{7}{4}"),
        ("-2.5", r"-2\ 1/2"),
        ("1.75", r"1 3/4 \text{ cups}"),
        (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
        (r"-1+i\sqrt{3}", r"2e^{2\pi i/3}"),
        ("1+i", "z = 1+i"),
        (r"1 \le i \le 3", r"i \in [1,3]"),
        ("3", "i = 3"),
        ("4210_5", "4210_{5}"),
        ("4210_5", "4210"),
        ("5", "\N{EURO SIGN}5"),
        ("11", r"\approx 11"),
        # how data sets write answers
        ("She has 48 + 24 = 72 clips.\n#### 1,072", "1072"),
        (r"The sum is $\boxed{7}$, as $3+4=7$.", "7"),
    ],
)
def test_equal_answers(reference, given):
    correct, answer = grade(reference, f"So we get $\\boxed{{{given}}}$.")
    assert correct
    assert answer == ("C" if reference == "C" else given)  # of a choice, the letter alone


@pytest.mark.parametrize(
    ("reference", "given"),
    [
        ("72", "73"),
        ("72", "-72"),
        ("5", "50"),
        ("12345678901234567890", "12345678901234567891"),
        ("5", "5" * 10_000),
        ("5", "5." + "5" * 10_000),
        (r"\frac{1}{3}", "0.33"),
        (r"\pi", "3.14"),
        ("p - q", "q - p"),
        ("2", "2, 3"),
        ("2, 3", "2"),
        ("2", r"2 \text{ or } 3"),
        ("(1,2)", "(2,1)"),
        ("[1,2)", "(1,2)"),
        (r"\infty", r"-\infty"),
        (r"x \ge 5", r"x \le 5"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
        (r"1 - \frac{1}{\mathrm{e}}", r"1 + \frac{1}{\mathrm{e}}"),
        ("1 3/4", "1"),
        (r"\frac{3}{2}", "2 1/2"),
        ("4210_5", "4210_6"),
        ("1+i", "1-i"),
        ("1.6e-19", "5e-19"),
        (r"1.6 \times 10^{-19}", r"5 \times 10^{-19}"),
        ("0", "0.001"),
        ("B", "E"),
        ("C", "12"),
        (r"\text{Yes}", "No"),
        (r"\text{east}", "west"),
        ("5", r"\frac{1}{0}"),
        ("5", r"\infty"),
        ("5", "x"),
        ("5", "?"),
    ],
)
def test_different_answers(reference, given):
    assert grade(reference, f"So we get $\\boxed{{{given}}}$.") == (False, given)


@pytest.mark.parametrize(
    ("completion", "correct", "answer"),
    [
        ("Natalia sold 48+24 = \\boxed{72} clips.", True, "72"),
        ("Natalia sold \\boxed{71} clips.", False, "71"),
        ("\\boxed{71}? No, I forgot one: \\boxed{72}", True, "72"),
        ("\\boxed{72}? No, I forgot one: \\boxed{73}", False, "73"),
        ("$\\boxed{71}$ and $\\boxed{72}$", False, "71,72"),  # naming several is no answer
        ("The answer is 72.", True, "72"),
        ("The answer is $72.", True, "72"),
        ("The answer is \\$72.00", True, "72.00"),
        ("**Answer:** 72 clips", True, "72"),
        ("The answer is **72**.", True, "72"),
        ("She sold 48 and then 24, which makes 72", True, "72"),
        ("#### 72", True, "72"),
        ("The answer is 24 + 48.", True, "24 + 48"),
        ("In all 72. The answer is 70.", False, "70"),
        ("<think>\\boxed{72}</think>The answer is 70.", False, "70"),
        ("<think>\\boxed{70}, hm</think>The answer is \\boxed{72}.", True, "72"),
        ("\\boxed{70} is what she sold in May. The final answer is $72$. I hope it is correct.", True, "72"),
        ("\\boxed{", False, None),
        ("I do not know.", False, None),
        ("", False, None),
    ],
)
def test_gsm8k_completions(completion, correct, answer):
    assert grade("72", completion) == (correct, answer)


def test_comparing_is_not_symmetric():
    """An assignment may be answered by its value, a value by an assignment, but not an equation by its right side."""
    assert equal("k = 1", "1")
    assert equal("1", "k = 1")
    assert not equal("2x + z = 1", "1")


# --- the task -------------------------------------------------------------------------------------------------------


@needs_data
def test_gsm8k_in_worker_processes():
    task = MathTask(str(DATA / "math" / "gsm8k_test.jsonl"), id_column="id")
    solved = ["So \\boxed{%s}.", "The answer is %s.", "Is it \\boxed{1}? No: \\boxed{%s}", "it must be $%s$"]
    unsolved = ["So \\boxed{%s1}.", "The answer is -1%s.", "\\boxed{%s}? No: \\boxed{-1}", "no idea"]
    work = [(problem, form, form in solved) for problem in task.problems[:40] for form in solved + unsolved]
    with Scorer({"gsm8k": task}, num_workers=2, timeout=60) as scorer:
        texts = [form.replace("%s", problem.answer) for problem, form, _ in work]
        futures = [scorer.submit("gsm8k", problem, text) for (problem, _, _), text in zip(work, texts, strict=True)]
        scores = [future.result() for future in futures]
    assert [score.correct for score in scores] == [right for _, _, right in work]
    assert {score.error for score in scores} == {None}
    assert scores == [task.score(problem, text) for (problem, _, _), text in zip(work, texts, strict=True)]


def test_prompts_ids_and_columns(tmp_path):
    path = write(tmp_path / "a.jsonl", {"uid": "p", "question": "1+1?", "final_answer": ["2"]}, {
        "uid": "q", "question": "2+2?", "final_answer": ["4"]
    })  # fmt: skip
    task = MathTask(path, id_column="uid")
    assert [problem.id for problem in task] == ["p", "q"]
    assert task[1].prompt == f"2+2?\n{INSTRUCTION}"
    assert task[1].answer == "4"
    assert MathTask(path, instruction="")[0].prompt == "1+1?"
    assert [problem.id for problem in MathTask(path)] == ["0", "1"]
    with pytest.raises(IndexError):
        task[2]


@pytest.mark.parametrize(
    ("row", "arguments", "message"),
    [
        ({}, {}, r"line 2 has no column 'reward_model.ground_truth' or .* others that docs.*\. Its columns are none"),
        (
            {"answer": "1"},
            {},
            r"line 2 has no column 'prompt' or 'problem' or .* for the question. Its columns are 'answer'",
        ),
        ({"problem": "?"}, {}, r"line 2 has no column .* or .* for the reference answer"),
        ({"problem": "", "answer": "1"}, {}, "line 2 needs the question in column 'problem', but got ''"),
        ({"problem": "?", "answer": {}}, {}, "line 2 needs the reference answer in column 'answer', but got {}"),
        (
            {"problem": "\ud83d?", "answer": "1"},
            {},
            r"line 2 holds half of a surrogate pair \(.ud83d.* column 'problem'",
        ),
        ({"problem": "?", "answer": "1"}, {"id_column": "uid"}, r"line 2 has no column 'uid' for the id"),
        ({"problem": "?", "answer": "1", "uid": 1}, {"id_column": "uid"}, "line 2 and .*line 1 have the same id '1'"),
    ],
)
def test_a_bad_row_is_refused(tmp_path, row, arguments, message):
    path = write(tmp_path / "a.jsonl", {"problem": "?", "answer": "1", "uid": 1}, row)
    with pytest.raises(ValueError, match=message):
        MathTask(path, **arguments)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", []])
def test_a_row_without_an_answer_is_left_out_and_counted(tmp_path, missing):
    rows = [{"problem": f"{n}?", "answer": missing if n in (1, 3) else n} for n in range(5)]
    path = write(tmp_path / "a.jsonl", *rows)
    with pytest.warns(
        UserWarning, match=r"2 of 5 rows .* have no reference answer and are left out, the first at .*line 2"
    ):
        task = MathTask(path)
    assert [(problem.id, problem.answer) for problem in task] == [("0", "0"), ("2", "2"), ("4", "4")]
    with pytest.raises(ValueError, match=r"No row of .* has a reference answer"):
        MathTask(write(tmp_path / "b.jsonl", rows[1], rows[3]))


def test_a_copy_is_whole(tmp_path):
    task = MathTask(write(tmp_path / "a.jsonl", {"problem": "1+1?", "answer": "2"}))
    for copied in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert [problem.answer for problem in copied] == ["2"]


def test_spelling_alone_needs_no_reading(monkeypatch):
    """Most answers of a training run are whole numbers: they are settled at once."""

    def breaks(text):
        raise AssertionError(f"{text} was read")

    monkeypatch.setattr(grading, "readings", breaks)
    assert equal("72", "72")
    assert not equal("72", "1,072")
    assert equal(plain(r"\text{Evelyn}"), "evelyn")


def test_math_verify_alone_judges_where_it_is_chosen(tmp_path):
    path = write(tmp_path / "a.jsonl", {"problem": "?", "answer": r"\frac{R}{r}"}, {"problem": "?", "answer": "$5$"})
    own, alone = MathTask(path), MathTask(path, verifier="math_verify")
    for problem, completion in [(own[0], r"\boxed{1}"), (own[1], r"\boxed{2(3)}"), (own[1], r"It is $2+3$")]:
        delimited = problem.answer if "$" in problem.answer else f"\\boxed{{{problem.answer}}}"
        said = verify(parse(delimited), parse(completion))
        assert alone.score(problem, completion).correct == said
    assert (own.score(own[0], r"\boxed{1}").correct, alone.score(own[0], r"\boxed{1}").correct) == (False, True)
    with pytest.raises(ValueError, match="needs a verifier among lit_passk, math_verify, but got 'sympy'"):
        MathTask(path, verifier="sympy")


@needs_data
def test_math_verify_alone_is_math_verify():
    cases = read(DATA / "verify" / "math_verify_cases_134.jsonl")[:40]
    for case in cases:
        gold, completion = case["gold"], case["prediction"]
        if "$" in gold or "\\boxed" in gold:
            said = verify(parse(gold), parse(completion))
            assert grading.math_verify_grade(gold, completion)[0] == said, case["id"]


@needs_data
def test_the_answers_found():
    cases = read(DATA / "verify" / "answers_found_2026_11.jsonl")
    wrong = [case for case in cases if grade(case["reference"], case["completion"])[0] != case["correct"]]
    assert len(cases) == 78
    assert wrong == []
