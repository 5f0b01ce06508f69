"""Programs that are run against tests.

``task.py`` has the task, ``rows.py`` and ``layouts.py`` read the published benchmarks, ``text.py`` finds the program
of a completion (among its ``blocks.py`` and ``pieces.py``), ``imports.py`` has what APPS puts before it, ``judge.py``
judges it (``outputs.py`` what it prints), and ``sandbox/`` runs programs: ``sandbox.py`` and ``bubblewrap.py`` build
the walls, ``inside/`` is what runs within.
"""

from lit_passk.tasks.code.task import CodeTask

__all__ = ["CodeTask"]
