"""A rank in a terminal; here because other processes import it."""

from __future__ import annotations

import os
import pty
import sys

from lit_passk import cli


def in_terminal(args):
    """Run the command line in a terminal that is closed as soon as the run has done something."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            cli.main(args)
        except SystemExit as error:
            os._exit(error.code)
        os._exit(0)
    said = b""
    while b"rl_step: 1" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
