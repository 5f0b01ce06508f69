"""An evaluation whose vLLM server dies in the middle goes on with the same command, and samples nothing twice."""

import pytest
from helpers.scripted_server import GENERATE, ScriptedServer
from transformers import AutoTokenizer

from lit_passk import cli
from lit_passk.engines import server_pool
from lit_passk.results import load_results

N = 3


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(server_pool, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(server_pool, "LONGEST_PAUSE", 0.02)


def validate(policy, address, folder):
    args = {
        "model.policy": policy,
        "model.ks": "[1,2]",
        "rollout.engine": "VLLMServerEngine",
        "rollout.engine.addresses": f"[{address}]",
        "rollout.engine.patience": "0.2",
        "rollout.engine.max_in_flight": "1",
        "rollout.val_sampling.n": str(N),
        "rollout.val_sampling.max_tokens": "6",
        "rollout.parity.every": "0",  # what it answers is made up
        "rollout.results": str(folder / "results.jsonl"),
        "data.val": '{"ups": {"class_path": "helpers.counting.MoreUps", "init_args": {"num_problems": 5}}}',
        "data.val_prompts_per_step": "2",
        "trainer.accelerator": "cpu",
        "trainer.logger": "false",
        "trainer.enable_progress_bar": "false",
        "trainer.default_root_dir": str(folder),
    }
    cli.main(["validate", *(part for name, value in args.items() for part in (f"--{name}", value))])


def sampled(server):
    """Prompts of its requests, those that it failed left out."""
    prompts = [tuple(body["token_ids"]) for path, body, _ in server.asked if path == GENERATE]
    return prompts[: len(prompts) - len(server.failed)]


class Dying(ScriptedServer):
    """Answers so many requests for completions, then none of any kind."""

    def __init__(self, *args, lives, **kwargs):
        super().__init__(*args, **kwargs)
        self.lives = lives
        self.failed = []

    def answer(self, path, body):
        self.lives -= path == GENERATE
        if self.lives < 0:
            self.failed += [path] if path == GENERATE else []
            raise ConnectionError("dead")
        return super().answer(path, body)


def test_it_goes_on(maze_policy, tmp_path, capsys):
    eos = AutoTokenizer.from_pretrained(maze_policy).eos_token_id
    serve = {"model": maze_policy, "eos": eos, "vocab_size": eos}
    with Dying(**serve, lives=100) as server:
        validate(maze_policy, server.address, tmp_path / "undisturbed")
        whole = sampled(server)
    with Dying(**serve, lives=3) as server:
        with pytest.raises(SystemExit) as end:
            validate(maze_policy, server.address, tmp_path)
        before = sampled(server)
    assert end.value.code == 2
    assert "No vLLM server worked for 0.2 s" in capsys.readouterr().err
    assert len(before) == 3
    assert len(load_results(tmp_path / "results.jsonl").records) == 3 * N, "whole groups, all that were answered"
    with Dying(**serve, lives=100) as server:
        validate(maze_policy, server.address, tmp_path)
        assert sorted(before + sampled(server)) == sorted(whole), "nothing twice"
    ours, theirs = (load_results(folder / "results.jsonl") for folder in (tmp_path, tmp_path / "undisturbed"))
    assert by_sample(ours) == by_sample(theirs)


def by_sample(results):
    return {(r.problem_id, r.sample): (r.completion, r.correct, r.error) for r in results.records}
