"""Settings that are no numbers are refused where they enter: every comparison with NaN is false."""

import math

import pytest

from lit_passk import PassKRLModule
from lit_passk.data.pass_rates import PassRates
from lit_passk.errors import Refusal
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler
from lit_passk.types import Sampling

TAKERS = {
    "temperature": lambda value: Sampling(temperature=value),
    "top_p": lambda value: Sampling(top_p=value),
    "kl_coef": lambda value: PassKRLModule("policy", kl_coef=value),
    "entropy_coef": lambda value: PassKRLModule("policy", entropy_coef=value),
    "max_grad_norm": lambda value: PassKRLModule("policy", max_grad_norm=value),
    "tolerance": lambda value: ParityCheck(tolerance=value),
    "score_timeout": lambda value: Sampler(None, 1, value),
    "max_mib": lambda value: SaveRollouts(max_mib=value),
    "half_life": lambda value: PassRates(1, half_life=value),
}


@pytest.mark.parametrize("name", TAKERS)
def test_nan_is_refused(name):
    with pytest.raises(Refusal, match=r"but got.*nan"):
        TAKERS[name](math.nan)


@pytest.mark.parametrize("name", ["temperature", "top_p", "kl_coef", "entropy_coef", "score_timeout"])
def test_infinity_is_refused_where_it_means_nothing(name):
    with pytest.raises(Refusal, match=r"but got.*inf"):
        TAKERS[name](math.inf)


@pytest.mark.parametrize("name", ["max_grad_norm", "tolerance", "max_mib", "half_life"])
def test_infinity_is_taken_where_it_is_no_bound(name):
    TAKERS[name](math.inf)
