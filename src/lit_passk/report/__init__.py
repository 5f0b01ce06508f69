"""From result files to tables, curves and a page to read completions in.

``runs`` finds what a report is about; ``summary`` turns the records of a run into numbers, ``suites`` takes means over
benchmarks, ``compare`` sets runs beside a baseline, ``steps`` reads a training; ``tables``, ``step_tables`` and
``paper_table`` print, ``plot`` draws curves, ``page`` writes the HTML page. Nothing is imported here: a plot callback
should not pay for the page.
"""
