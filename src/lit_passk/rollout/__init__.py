"""Engines that sample, and what is done with their completions before training."""
