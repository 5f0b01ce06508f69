"""From result files to tables, curves and a page to read completions in.

``summary`` turns the records of a run into numbers, ``tables`` prints them, ``plot`` draws pass@k curves, ``compare``
sets two runs side by side, ``page`` writes the HTML page and ``main`` is ``lit-passk report``. Nothing is imported
here: a plot callback should not pay for the page.
"""
