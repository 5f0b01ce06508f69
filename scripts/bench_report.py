"""CPU time and memory of `lit-passk report` on a large evaluation: `python scripts/bench_report.py --problems 1000`."""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from lit_passk.results import CompletionRecord, ResultWriter, run_settings
from lit_passk.types import Sampling


def write_results(path: Path, problems: int, samples: int, characters: int) -> None:
    """Random words with a formula here and there; a fifth of the wrong answers are common ones."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(3000)]
    words += [f"$\\frac{{{i}}}{{2}}$" for i in range(200)]
    with ResultWriter(path, run_settings("org/model", Sampling(), seed=0)) as writer:
        for problem in range(problems):
            rate = draw.random()
            records = []
            for sample in range(samples):
                correct = draw.random() < rate
                answer = str(problem if correct else -draw.randint(1, 20 if draw.random() < 0.2 else 1000))
                text = " ".join(draw.choices(words, k=characters // 7))
                records.append(
                    CompletionRecord(
                        benchmark="bench",
                        problem_id=f"p{problem}",
                        sample=sample,
                        prompt=f"Problem {problem}: " + " ".join(words[problem % 2000 : problem % 2000 + 40]),
                        reference=str(problem),
                        completion=f"{text} \\boxed{{{answer}}}",
                        answer=answer,
                        reward=float(correct),
                        correct=correct,
                        truncated=False,
                        error=None,
                        num_tokens=characters // 4,
                        mean_logprob=-0.4,
                        seed=sample,
                    )
                )
            writer.write(records)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--characters", type=int, default=2000, help="of a completion")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        write_results(path, options.problems, options.samples, options.characters)
        command = [sys.executable, "-m", "lit_passk.cli", "report", str(path), "--out", str(Path(folder) / "out")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = (Path(folder) / "out" / "report.html").stat().st_size
        print(
            f"{options.problems} x {options.samples} completions of {options.characters} characters "
            f"({path.stat().st_size / 1e6:.0f} MB): {used.ru_utime + used.ru_stime:.1f} CPU seconds, "
            f"{used.ru_maxrss / 2**20:.2f} GiB, page of {page / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
