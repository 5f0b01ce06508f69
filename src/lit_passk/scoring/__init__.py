"""Completions into scores, in worker processes: a task that hangs or crashes costs one score, not the run.

``scorer.py`` is what the run calls, ``client.py`` asks a worker, ``pool.py`` keeps the worker processes, ``server.py``
forks them, ``worker.py`` is what runs in them.
"""
