"""Real processes for tests: each rank runs the command line, forked from a process that has imported everything."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from helpers.ports import free_port

ROOT = Path(__file__).parents[2]
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [f"{ROOT}/src", f"{ROOT}/tests", os.environ.get("PYTHONPATH")])  # an empty one would be the folder
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["lit_passk.cli", "lit_passk.policy.sharding", "peft", "torch.distributed.checkpoint"])


class Ranks:
    """The processes of one run of ``target`` (by default the command line), and what they printed."""

    def __init__(
        self,
        args: Sequence[str],
        num_processes: int,
        folder: Path,
        target: Callable[[Sequence[str]], None] | None = None,
        env: Callable[[int], dict[str, str]] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.logs = [folder / f"rank{rank}.log" for rank in range(num_processes)]
        port = free_port()
        self.processes: list[BaseProcess] = []
        for rank in range(num_processes):
            variables = {
                "LOCAL_RANK": str(rank),
                "NODE_RANK": "0",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "VLLM_PORT": str(free_port()),
                "OMP_NUM_THREADS": "1",
                **(env(rank) if env else {}),
            }
            if num_processes == 1:
                del variables["LOCAL_RANK"]
            process = _context.Process(
                target=_run, args=(list(args), target, variables, str(folder), str(self.logs[rank]))
            )
            process.start()
            self.processes.append(process)

    def wait(self, timeout: float = 120) -> list[int | None]:
        """Exit codes; processes that outlive the time are killed and the test fails."""
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        if None in codes:
            self.kill()
            raise AssertionError(f"ranks hung: {codes}\n{self.output()}")
        return codes

    def succeed(self, timeout: float = 120) -> Ranks:
        """Wait, and fail the test unless every rank ended well."""
        codes = self.wait(timeout)
        assert codes == [0] * len(codes), f"exit codes {codes}\n{self.output()}"
        return self

    def kill(self) -> None:
        """SIGKILL to every rank."""
        for process in self.processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.join()

    def output(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in self.logs if log.exists())


def _run(args: list[str], target: Callable | None, variables: dict[str, str], folder: str, log: str) -> None:
    os.environ.update(variables)
    os.chdir(folder)
    with open(log, "w", buffering=1) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    faulthandler.enable(2)  # says where a rank crashed
    try:
        if target is None:
            from lit_passk.cli import main as target
        target(args)
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        code = error.code if isinstance(error, SystemExit) else 1
        raise SystemExit(code if isinstance(code, int) and code > 128 else 1) from None  # 128 and a signal's number
