"""A real training whose engine keeps its keys and values in fp8."""

import pytest
from helpers.runs import KL, STEPS

from lit_passk.rollout.parity import QUANTIZED_TOLERANCE

pytest.importorskip("vllm", reason="vLLM is not installed")
pytestmark = pytest.mark.vllm

FP8_CACHE = (
    *KL,
    *("--rollout.engine", "VLLMEngine", "--rollout.engine.kv_cache_gib", "0.00390625"),
    *("--rollout.engine.engine_args", '{"kv_cache_dtype": "fp8"}', "--rollout.parity.every", "1"),
)


def test_it_is_corrected_and_judged_by_the_tolerance_of_quantised_engines(train):
    run = train("auto", 1, (*FP8_CACHE, "--model.correction", "TIS"))
    assert 0 < run.metrics["parity/worst"] < QUANTIZED_TOLERANCE
    assert run.metrics["train/rollout_correction/ess"] < 1, "completions do not count as exactly on-policy"
    assert sorted(run.steps()) == list(range(STEPS)), "new weights came every step"
