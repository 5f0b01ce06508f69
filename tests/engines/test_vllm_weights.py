"""Which tensors were read, and by what."""

import pytest
import torch
from torch import nn

from lit_passk.engines.vllm_models import is_quantized
from lit_passk.engines.vllm_weights import _Account, _Reads


def test_a_tensor_is_read_by_operations_and_not_by_views() -> None:
    reads = _Reads()
    a, b, c, d = (reads.follow(name, torch.ones(4, 2)) for name in "abcd")
    target = torch.zeros(2, 2)
    with reads:
        a.t().narrow(0, 0, 1).view(-1)
        target.copy_(b[1:3])  # a slice of another rank's
        (-c.exp()).to(torch.bfloat16)
        d.contiguous().shape  # noqa: B018
    assert reads.read == {"b", "c"}


def test_tensors_of_one_storage_are_told_apart_and_tied_ones_are_not() -> None:
    reads = _Reads()
    fused = torch.arange(6.0).reshape(3, 2)
    first, second = reads.follow("first", fused[0]), reads.follow("second", fused[1])
    embedding = torch.ones(3)
    reads.follow("embedding", embedding), reads.follow("head", embedding)
    with reads:
        assert (second + 1).tolist() == [3.0, 4.0]
        embedding + 1
    assert first.tolist() == [0.0, 1.0]
    assert reads.read == {"second", "embedding", "head"}


def test_an_address_that_is_used_again_belongs_to_the_new_tensor() -> None:
    reads = _Reads()
    buffer = torch.zeros(1024)
    address = reads.follow("old", buffer).data_ptr()
    del buffer
    kept = []
    for _ in range(1000):
        kept.append(torch.zeros(1024))
        if kept[-1].data_ptr() == address:
            break
    else:
        pytest.skip("the allocator did not use the address again")
    with reads:
        reads.follow("new", kept[-1]) + 1
    assert reads.read == {"new"}


def test_what_was_not_used_and_what_got_too_little_is_named() -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    model = nn.ParameterDict({name: nn.Parameter(torch.ones(2)) for name in ("embedding", "head", "other")})
    account = _Account(model, tied={"head": "embedding", "other": "nothing"}, look_closely=True)
    assert account.reads is not None
    names = ("embedding", "head", "other", "fused")
    sent = dict(account.sent((name, torch.ones(2)) for name in names))
    assert tuple(sent) == names
    with account.reads:
        sent["embedding"] + 1
    account.wanted = {f"layer.{i}": 4 for i in range(9)}
    account.numbers.update({"layer.0": 4, "layer.1": 3})
    with pytest.raises(RuntimeError, match=r"layer.1 \(3 of 4\), layer.2 \(0 of 4\).* and 2 more; .*other, fused\."):
        account.settle()
    account.numbers.update(dict.fromkeys(account.wanted, 4))
    account.reads.read.update({"other", "fused"})
    account.settle()


def test_a_tied_head_goes_only_where_there_is_a_place_for_it() -> None:
    model = nn.ModuleDict({"language_model": nn.ModuleDict({"lm_head": nn.Linear(2, 2, bias=False)})})
    tensors = {"embed.weight": torch.ones(2), "lm_head.weight": torch.ones(2), "score.weight": torch.ones(2)}
    account = _Account(
        model, tied=dict.fromkeys(["lm_head.weight", "score.weight"], "embed.weight"), look_closely=False
    )
    assert list(dict(account.sent(tensors.items()))) == ["embed.weight", "lm_head.weight"]


@pytest.mark.parametrize(
    ("quantization", "cache", "dtype", "expected"),
    [
        (None, "auto", "float32", False),
        (None, "auto", "bfloat16", False),
        (None, "bfloat16", "bfloat16", False),
        (None, "torch.float16", "bfloat16", False),
        (None, "float32", "bfloat16", False),
        (None, "bfloat16", "float32", True),
        (None, "torch.float16", "float32", True),
        (None, "fp8", "bfloat16", True),
        (None, "fp8_e5m2", "float32", True),
        (None, "nvfp4", "bfloat16", True),
        ("fp8", "auto", "float32", True),
        ("awq", "auto", "bfloat16", True),
        ("bitsandbytes", "auto", "bfloat16", True),
    ],
)
def test_fewer_bits_than_the_dtype_are_quantisation(
    quantization: str | None, cache: str, dtype: str, expected: bool
) -> None:
    assert is_quantized(quantization, cache, getattr(torch, dtype)) == expected
