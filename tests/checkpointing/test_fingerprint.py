import shutil

import torch
from safetensors.torch import save_file

from lit_passk.checkpointing.fingerprint import fingerprint


def test_of_a_checkpoint(tmp_path):
    one = {"state_dict": {"w": torch.zeros(300_000)}, "rl_step": 5}
    torch.save(one, tmp_path / "last.ckpt")
    before = fingerprint("org/model", tmp_path / "last.ckpt")
    shutil.copy(tmp_path / "last.ckpt", tmp_path / "copy.ckpt")
    assert fingerprint("org/model", tmp_path / "copy.ckpt") == before, "wherever it lies, whenever it was copied"
    one["state_dict"]["w"] += 1e-3
    torch.save(one, tmp_path / "last.ckpt")
    assert fingerprint("org/model", tmp_path / "last.ckpt") != before


def test_of_a_policy_and_of_shards(tmp_path):
    policy = tmp_path / "policy"
    policy.mkdir()
    save_file({"w": torch.zeros(8)}, policy / "model.safetensors")
    before = fingerprint(str(policy), None)
    (policy / "README.md").write_text("a card that somebody edits")
    assert fingerprint(str(policy), None) == before
    save_file({"w": torch.ones(8)}, policy / "model.safetensors")
    assert fingerprint(str(policy), None) != before
    shards = tmp_path / "step=3.ckpt"
    shards.mkdir()
    (shards / "__0_0.distcp").write_bytes(b"0" * 10)
    first = fingerprint(str(policy), shards)
    (shards / "__0_0.distcp").write_bytes(b"0" * 9 + b"1")
    assert len({first, fingerprint(str(policy), shards), fingerprint(str(policy), None)}) == 3


def test_of_what_is_not_here():
    assert fingerprint("org/model", None) == "org/model"
