"""One real vLLM engine a module, because starting it takes longer than its tests.

Closed before the next module: while it lives, the process has a process group of size 1.
"""

from __future__ import annotations

import pytest
from helpers.tiny_policies import EOS, tiny_policy, write_policy


@pytest.fixture(scope="session")
def tied_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_policy(tiny_policy(tied=True), tmp_path_factory.mktemp("tied"))


@pytest.fixture(scope="module")
def vllm_engine(tied_folder: str):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from lit_passk.engines.vllm_engine import VLLMEngine

    engine = VLLMEngine(kv_cache_gib=2**-8)  # 256 blocks of 32 tokens
    engine.start(tied_folder, None, [EOS])
    yield engine
    engine.close()
