"""What `scripts/make_strategy_pages.py` is made of."""
