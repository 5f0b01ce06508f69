import shutil

import torch
from safetensors.torch import save_file

from lit_passk.checkpointing.files import list_files
from lit_passk.checkpointing.fingerprint import fingerprint
from lit_passk.checkpointing.reading import is_whole


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
    (policy / "training_args.bin").write_bytes(b"of the run before")
    (policy / "consolidated.safetensors").write_bytes(b"the same weights, for another library")
    assert fingerprint(str(policy), None) == before
    save_file({"w": torch.ones(8)}, policy / "model.safetensors")
    assert fingerprint(str(policy), None) != before
    shards = tmp_path / "step=3.ckpt"
    shards.mkdir()
    (shards / "__0_0.distcp").write_bytes(b"0" * 10)
    first = fingerprint(str(policy), shards)
    (shards / "__0_0.distcp").write_bytes(b"0" * 9 + b"1")
    assert len({first, fingerprint(str(policy), shards), fingerprint(str(policy), None)}) == 3


def test_of_weights_as_pytorch_wrote_them(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"0")
    before = fingerprint(str(tmp_path), None)
    (tmp_path / "pytorch_model.bin").write_bytes(b"1")
    assert fingerprint(str(tmp_path), None) != before


def test_of_what_is_not_here():
    assert fingerprint("org/model", None) == "org/model"


def shards(folder, step):
    folder.mkdir()
    for rank in range(2):
        (folder / f"__{rank}_0.distcp").write_bytes(bytes([step, rank]) * 500_000)
    list_files(folder)
    return folder


def test_a_folder_of_shards_with_a_part_of_another_is_not_whole(tmp_path):
    first, second = shards(tmp_path / "step=1.ckpt", 1), shards(tmp_path / "step=2.ckpt", 2)
    assert is_whole(first)
    assert is_whole(second)
    one, other = first / "__0_0.distcp", first / "__1_0.distcp"
    one.write_bytes((second / "__0_0.distcp").read_bytes())  # as long
    assert not is_whole(first), "a shard of another step"
    one.write_bytes(other.read_bytes())
    other.write_bytes(bytes([1, 0]) * 500_000)
    assert not is_whole(first), "shards under each other's names"


def test_a_list_of_sizes_alone_is_believed(tmp_path):
    (tmp_path / "__0_0.distcp").write_bytes(b"12")
    for size, whole in ((2, True), (3, False)):
        (tmp_path / "files.json").write_text(f'{{"__0_0.distcp": {size}}}')
        assert is_whole(tmp_path) == whole
