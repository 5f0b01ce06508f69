"""The command line on the stand-in for CUDA: ``-m helpers.standin_run FOLDER ARGUMENTS``; notes who waited for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from helpers.standin import stand_in, waits

from lit_passk.cli import main

if __name__ == "__main__":
    with stand_in():
        main(sys.argv[2:])
        Path(sys.argv[1]).write_text(json.dumps(waits))
