"""What ``reproduce_mazes.py`` is made of: the arms, their jobs, the statistics over seeds, the page."""
