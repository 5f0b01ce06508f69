"""How many completions per second are scored, in worker processes as in training.

    python scripts/bench_scoring.py math DATA.jsonl                       # right and wrong answers in turn
    python scripts/bench_scoring.py math DATA.jsonl --completions 10000 --hanging 0.01
    python scripts/bench_scoring.py equations                             # of college courses, changed
    python scripts/bench_scoring.py code DATA.jsonl RECORDED.jsonl        # rows with `id`, `completions`, `correct`
    python scripts/bench_scoring.py programs DATA.jsonl                   # processor time of reference solutions

Prints completions per second and their processor time, how many were correct, how many have no score and why, and the
longest time in which no score came.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import as_completed
from pathlib import Path

from tqdm import tqdm

from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.base import Task
from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.math import MathTask
from lit_passk.types import Problem

HANGING = "so it is \\boxed{(x+1)^{3000}+10^{10^{10}}!}"
"""An answer whose arithmetic does not end."""

Work = list[tuple[Problem, str]]


def math_work(args: argparse.Namespace) -> tuple[Task, Work]:
    """Each problem's own answer, in other words, and its neighbour's in turn; every so many one that hangs."""
    task = MathTask(args.data)
    every = round(1 / args.hanging) if args.hanging else 0
    work = []
    for number in range(args.completions or len(task)):
        problem, other = (task[(number + ahead) % len(task)] for ahead in (0, number % 2))
        hangs = every and number % every == every - 1
        # The sum with 0 has to be understood: equal strings would be scored without any mathematics.
        work.append((problem, HANGING if hangs else f"Adding up, the answer is \\boxed{{{other.answer} + 0}}."))
    return task, work


EQUATIONS = [  # a solution or curve, the same one written otherwise, another one; A and B are numbers
    (r"y = c_{1} e^{-At} + c_{2} e^{Bt} - 3\sin{2t}", r"y + 3\sin 2t = c_2 e^{Bt} + \frac{c_1}{e^{At}}",
     r"y = c_{1} e^{-At} + c_{2} e^{Bt} - 3\cos{2t}"),
    (r"\frac{x^{2}}{A}+\frac{y^{2}}{B}=1", r"B x^{2} + A y^{2} = A \cdot B", r"A x^{2} + B y^{2} = A \cdot B"),
    (r"y(t) = \frac{A}{B}\left(1-e^{-Bt}\right)", r"B\, y(t) + A e^{-Bt} = A",
     r"y(t) = \frac{A}{B}\left(1+e^{-Bt}\right)"),
    (r"Ax - By + 2z = 7", r"z = \frac{7 - Ax + By}{2}", r"z = \frac{7 + Ax + By}{2}"),
    (r"\ln|y| = A x^{3} + \arctan x + C", r"C = \ln|y| - Ax^3 - \arctan x", r"\ln|y| = A x^{3} + \arctan 2x + C"),
    (r"s^{2} Y + A s Y + B Y = \frac{1}{s-1}", r"Y = \frac{1}{(s-1)(s^2+As+B)}", r"Y = \frac{1}{(s-1)(s^2+Bs+A)}"),
]  # fmt: skip


def equation_work(args: argparse.Namespace) -> tuple[Task, Work]:
    """Equations with two numbers, every other time answered by another one."""
    rows, answers = [], []
    for number in range(args.completions or 1000):
        numbers = {"A": str(2 + number % 7), "B": str(11 + number // 7)}
        right, same, other = (
            re.sub("[AB]", lambda letter: numbers[letter[0]], text)  # noqa: B023
            for text in EQUATIONS[number % len(EQUATIONS)]
        )
        rows.append({"problem": "?", "answer": right})
        answers.append(f"\\boxed{{{same if number // len(EQUATIONS) % 2 else other}}}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "equations.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = MathTask(str(path))
    return task, list(zip(task.problems, answers, strict=True))


def code_work(args: argparse.Namespace) -> tuple[Task, Work]:
    """Recorded completions."""
    task = CodeTask(args.data)
    problems = {problem.id: problem for problem in (task[i] for i in range(len(task)))}
    rows = [json.loads(line) for line in Path(args.recorded).read_text().splitlines()]
    work = [(problems[row["id"]], completion) for row in rows for completion in row["completions"]]
    return task, work[: args.completions]


def programs(path: str) -> None:
    """Score each problem's own solution in this process, and print the processor time that its sandbox took."""
    task = CodeTask(path)
    seconds, passed = [], 0
    for index in tqdm([index for index, solution in enumerate(task.solutions) if solution], unit="programs"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        passed += task.score(task[index], task.demonstration(index)).correct
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(
        f"{len(seconds)} programs, {passed} correct: median {statistics.median(seconds):.3f} s of processor time with "
        f"all tests, mean {statistics.mean(seconds):.3f} s, {sum(s > 0.5 for s in seconds)} above 0.5 s"
    )


def main() -> None:
    """Score everything, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["math", "equations", "code", "programs"])
    parser.add_argument("data", nargs="?", help="JSON Lines file of problems")
    parser.add_argument("recorded", nargs="?", help="JSON Lines file of completions, for `code`")
    parser.add_argument("--completions", type=int, help="how many; default: all there are")
    parser.add_argument("--hanging", type=float, default=0.0, help="share of completions that hang, for `math`")
    parser.add_argument("--num-workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds a completion may take")
    args = parser.parse_args()
    if args.what == "programs":
        programs(args.data)
        return
    works = {"math": math_work, "equations": equation_work, "code": code_work}
    task, work = works[args.what](args)
    with Scorer({"task": task}, num_workers=args.num_workers, timeout=args.timeout) as scorer:
        scorer.submit("task", *work[0]).result()  # workers have started, libraries are loaded
        begin = last = time.perf_counter()
        futures = [scorer.submit("task", problem, text) for problem, text in work]
        longest = 0.0
        for _ in tqdm(as_completed(futures), total=len(futures), unit="completions"):
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        seconds = time.perf_counter() - begin
        scores = [future.result() for future in futures]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)  # the workers have ended
    cpu = spent.ru_utime + spent.ru_stime
    errors = Counter(score.error.split(":")[0] for score in scores if score.error)
    print(
        f"{len(scores)} completions in {seconds:.1f} s: {len(scores) / seconds:.0f} a second with {args.num_workers} "
        f"workers ({1000 * cpu / len(scores):.2f} ms of processor time each, starting included); "
        f"{sum(score.correct for score in scores)} correct, without a score: {dict(errors) or 'none'}; "
        f"longest wait for a score {longest:.1f} s"
    )


if __name__ == "__main__":
    main()
