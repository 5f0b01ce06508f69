"""Programs of unknown intent, run behind walls: see ``sandbox.py``."""
