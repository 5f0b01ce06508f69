"""Checkpoints that are whole or do not exist: ``files.py`` writes and finds them, ``strategy.py`` shards them."""
