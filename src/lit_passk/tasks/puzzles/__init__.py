"""Puzzles whose answers are checked exactly, and KOR-Bench, which compares most of its answers as texts.

- ``CountdownTask`` (``countdown.py``): numbers to reach a target, checked with fractions (``arithmetic.py``)
- ``ARCAGITask`` (``arc_agi.py``): grids, all cells of which must be right
- ``EnigmataTask`` (``enigmata.py``): its own verifiers, run in the sandbox of the code tasks
- ``KORBenchTask`` (``kor_bench.py``): the rules of its own evaluation (``kor_rules.py``)
"""

from lit_passk.tasks.puzzles.arc_agi import ARCAGITask
from lit_passk.tasks.puzzles.countdown import CountdownTask
from lit_passk.tasks.puzzles.enigmata import EnigmataTask
from lit_passk.tasks.puzzles.kor_bench import KORBenchTask

__all__ = ["ARCAGITask", "CountdownTask", "EnigmataTask", "KORBenchTask"]
