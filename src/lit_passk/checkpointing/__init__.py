"""Checkpoints that are whole or do not exist: ``files.py`` writes them, ``strategy.py`` shards them.

``run_folder.py`` says whose a folder is and which checkpoint is the last, ``fingerprint.py`` tells weights apart.
"""
