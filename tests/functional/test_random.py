"""Counter-based random numbers: splitmix64 recomputed with Python integers."""

import numpy as np
import pytest
import torch

from lit_passk.functional.random import derive_seed, uniform

MASK = 2**64 - 1


def splitmix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def reference(seed: int, counter: int) -> float:
    golden = 0x9E3779B97F4A7C15
    bits = splitmix((splitmix(seed * golden & MASK) + (counter + 1) * golden) & MASK)
    return ((bits >> 12) + 0.5) / 2**52


def test_equals_python_integers():
    seeds = [0, 1, 2, 12345, 2**61, 2**62 - 1]
    for counter in (0, 1, 7, 4096):
        drawn = uniform(torch.tensor(seeds), counter).tolist()
        assert drawn == [reference(s, counter) for s in seeds]
    several = uniform(torch.tensor(seeds)[:, None], torch.tensor([0, 1, 7, 4096]))
    assert several.tolist() == [[reference(s, counter) for counter in (0, 1, 7, 4096)] for s in seeds]


def test_uniform_and_uncorrelated():
    draws = torch.stack([uniform(torch.arange(2000) + 10**12, t) for t in range(50)])
    assert abs(float(draws.mean()) - 0.5) < 0.005
    assert abs(float(draws.var()) - 1 / 12) < 0.002
    assert float(draws.min()) > 0
    assert float(draws.max()) < 1
    assert float(torch.corrcoef(draws[:10]).triu(1).abs().max()) < 0.1
    assert float(torch.corrcoef(draws[:, :10].T).triu(1).abs().max()) < 0.65  # 50 draws each


def test_derive_seed():
    keys = [(0, "train", step, index) for step in range(50) for index in range(50)]
    seeds = {derive_seed(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= s < 2**62 for s in seeds)
    assert max(seeds) >= 2**61
    assert derive_seed(0, "train", 1, 2) != derive_seed(0, "val", 1, 2)


def test_a_seed_depends_on_the_value_of_its_key_alone():
    plain = derive_seed(3, "val", 7)
    assert derive_seed(np.int64(3), np.str_("val"), torch.tensor(7)) == plain
    assert derive_seed(np.uint8(3), "val", np.int32(7)) == plain
    assert derive_seed(True) == derive_seed(1)
    assert derive_seed("3") != derive_seed(3)
    with pytest.raises(TypeError):
        derive_seed(3.0)  # 0.1 + 0.2 would be a key of its own
