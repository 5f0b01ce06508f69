"""What a checkpoint's entries may hold, before anything computes with them."""

import math
from pathlib import Path

import pytest
import torch

from lit_passk.checkpointing.entries import check_entries
from lit_passk.errors import Refusal

OPTIMIZER = {
    "state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.zeros(3, 2)}},
    "param_groups": [{"lr": 0.1, "betas": (0.9, 0.95), "adjust_lr_fn": "original", "fused": None, "params": [0]}],
}
WHOLE = {
    **dict.fromkeys(("rl_step", "epoch", "global_step"), 4),
    "state_dict": {"a": torch.zeros(3, 2), "tied": torch.zeros(6).view(3, 2), "ids": torch.arange(3)},
    "loops": {"fit_loop": {}, "validate_loop": {"state_dict": {}}},
    "callbacks": {"ResumeCheckpoint": {"saved": []}, "Mine": None},
    "metrics": {"val/pass@1": 0.5, "lost": math.nan},
    "optimizer_states": [OPTIMIZER],
    "lr_schedulers": [{"last_epoch": 4}],
    "optimizers": ["AdamW"],
    "random_states": [{"torch": torch.zeros(8, dtype=torch.uint8)}],
    "advantage": [{"class": "GRPO", "state": {}}],
    "policy": "org/model",
    "dtype": "bfloat16",
    "config": "",
    "lora": {"rank": 4, "alpha": 8, "target_modules": ["q_proj"]},
    "pytorch-lightning_version": "2.6.6",
    "of another version": object(),
}


def optimizer(**changes):
    return {"optimizer_states": [OPTIMIZER | changes]}


WEIGHTS = {
    "stretched over more than the file holds": torch.zeros(1).expand(10**7, 10**6),
    "sparse": torch.zeros(3, 2).to_sparse(),
    "complex": torch.zeros(3, dtype=torch.complex64),
    "without values": torch.zeros(3, device="meta"),
    "quantised by torch": torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
}
FOREIGN = {
    "rl_step": [True, -1, 10**30],
    "epoch": [-1],
    "global_step": [False],
    "loops": [{3: {}}, {"fit_loop": 3}, {"fit_loop": None}, {"fit_loop": []}],
    "callbacks": [{3: {}}],
    "metrics": [{"val/pass@1": "high"}, {3: 0.5}],
    "lr_schedulers": [[3]],
    "random_states": [[3], ["x"]],
    "optimizers": [[3]],
    "advantage": [[3], [{}], [{"class": "GRPO"}]],
    "dtype": ["load", "nonesuch", "nn.Module"],
    "lora": [{"rank": "x", "alpha": 8, "target_modules": []}, {"rank": 4}, {"nonesuch": 3}],
    "pytorch-lightning_version": [3, None],
}
OPTIMIZERS = [
    {"optimizer_states": [3]},
    {"optimizer_states": [{}]},
    optimizer(state=3),
    optimizer(state=[1, 2]),
    optimizer(state={0: "x"}),
    optimizer(state={0: {"exp_avg": "x"}}),
    optimizer(param_groups=[]),
    optimizer(param_groups=3),
    optimizer(param_groups=[3]),
    optimizer(param_groups=[{"lr": 0.1}]),
    optimizer(param_groups=[{"lr": "x", "params": [0]}]),
]


def test_what_a_run_writes_is_taken():
    check_entries(WHOLE, Path("a.ckpt"))
    check_entries(WHOLE | {"lora": None, "optimizer_states": []}, Path("a.ckpt"))
    check_entries({}, Path("a.ckpt"))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FOREIGN.items() for value in values])
def test_other_contents_are_refused_by_name(name, value):
    with pytest.raises(Refusal, match=f"'a.ckpt' is no checkpoint that a run wrote: its {name} is (not|of type) "):
        check_entries(WHOLE | {name: value}, Path("a.ckpt"))


@pytest.mark.parametrize("changes", OPTIMIZERS, ids=str)
def test_states_of_optimizers_have_the_form_that_torch_gives_them(changes):
    with pytest.raises(Refusal, match="its optimizer_states is not a list of states of optimizers"):
        check_entries(WHOLE | changes, Path("a.ckpt"))


@pytest.mark.parametrize("what", WEIGHTS)
def test_a_weight_is_real_numbers_that_are_all_there(what):
    with pytest.raises(Refusal, match="its weight 'b' is no tensor of real numbers that are all in the file"):
        check_entries(WHOLE | {"state_dict": {"b": WEIGHTS[what]}}, Path("a.ckpt"))
