"""The paper's findings on 5x5 mazes with several seeds: which of them hold where anyone can check.

    python scripts/reproduce_mazes.py --list
    python scripts/reproduce_mazes.py explores switching --minutes 30    # goes on where it stopped
    python scripts/reproduce_mazes.py explores --first-seed 100 --out runs/others    # do they survive other seeds?
    python scripts/reproduce_mazes.py --report                           # pages and pictures from the data

A training takes about a minute and a half of one core. What was measured is in docs/reproduction/mazes.jsonl, one line
a measurement, and is not measured again; the page is docs/reproduction/mazes.md.
"""

from reproduction.commands import main
from reproduction.mazes import MAZES

if __name__ == "__main__":
    main(MAZES, __doc__)
