"""The paper's first and fifth finding on Countdown: four digits, a target, and a small policy that adds and multiplies.

    python scripts/reproduce_countdown.py --minutes 30    # goes on where it stopped
    python scripts/reproduce_countdown.py --report        # pages and pictures from the data

A training takes about a minute of one core. What was measured is in docs/reproduction/countdown.jsonl; the page is
docs/reproduction/countdown.md.
"""

from reproduction.commands import main
from reproduction.countdown import COUNTDOWN

if __name__ == "__main__":
    main(COUNTDOWN, __doc__)
