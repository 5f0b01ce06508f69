"""A hub that does not answer costs one question, and the refusal says what to do without it."""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from lit_passk import hub
from lit_passk.cli import main
from lit_passk.data.module import load_tokenizer
from lit_passk.policy.source import refuse_quantized, resolve_policy
from lit_passk.tasks.files import load_records


@pytest.fixture
def online(monkeypatch, tmp_path):
    """As in a fresh process that may use the network, with an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that what `use_hub` sets is taken back afterwards
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "5")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    hub.silence.cache_clear()
    yield
    hub.silence.cache_clear()


@pytest.fixture
def closed(online, monkeypatch):
    """A hub at whose port nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it, and deaf
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        yield constants.ENDPOINT


@pytest.fixture
def answering(online, monkeypatch):
    """A hub that has nothing, and counts how often it is asked."""
    asked = []

    class Nothing(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield asked
        server.shutdown()


def test_a_hub_that_answers_is_asked_once_and_left_online(answering):
    for _ in range(3):
        resolve_policy("owner/name")
    assert answering == ["/"]
    assert not constants.HF_HUB_OFFLINE
    refusal = str(hub.not_given("owner/name", "model", OSError("\n  401: you may not\nmore")))
    assert "does not give it (OSError: 401: you may not)" in refusal
    assert "hf auth login" in refusal


def test_without_a_network_this_process_and_its_children_go_offline(closed, caplog):
    assert resolve_policy("owner/name") == "owner/name"
    assert constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    [record] = caplog.records
    assert f"{closed} does not answer" in record.getMessage()
    resolve_policy("owner/name")
    assert len(caplog.records) == 1


def test_a_hub_that_never_answers_is_not_waited_for(online, monkeypatch):
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.2")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # the system accepts the connection, and nobody reads what is asked
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        hub.use_hub()
    assert constants.HF_HUB_OFFLINE


def test_offline_by_the_users_word_nothing_is_asked(answering, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE forbids asking the hub"):
        load_tokenizer("owner/name")
    assert answering == []


@pytest.mark.parametrize("load", [load_tokenizer, lambda name: refuse_quantized(resolve_policy(name))])
def test_a_model_that_is_not_here_is_refused_with_the_ways_out(closed, load):
    with pytest.raises(ValueError, match="No model 'owner/name'") as refused:
        load("owner/name")
    for way_out in ("does not answer", "hf download owner/name --local-dir name", "HF_ENDPOINT"):
        assert way_out in str(refused.value)


def test_rows_that_are_not_here_are_refused_with_the_ways_out(closed, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="the datasets package is not installed")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(ValueError, match=r"No dataset 'owner/rows'.*hf download owner/rows --repo-type dataset"):
        load_records("owner/rows", split="train")
    assert datasets.config.HF_HUB_OFFLINE


def test_what_is_in_the_cache_loads_without_a_network(closed, maze_policy, monkeypatch):
    folder = f"{constants.HF_HUB_CACHE}/models--owner--maze"
    os.makedirs(f"{folder}/refs")
    os.makedirs(f"{folder}/snapshots")
    with open(f"{folder}/refs/main", "w") as main_ref:
        main_ref.write("0" * 40)
    os.symlink(maze_policy, f"{folder}/snapshots/{'0' * 40}")
    # transformers keeps a copy of the path of the cache
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", constants.HF_HUB_CACHE)
    assert len(load_tokenizer("owner/maze")) > 10


def test_plan_names_the_other_way_too(closed, capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--model.policy", "owner/name", "--data.prompts_per_step", "8"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lit-passk: error: No model 'owner/name'")
    assert "--architecture" in error
    fields = json.dumps({"model_type": "llama"})
    main(["plan", "--model.policy", "owner/name", "--architecture", fields, "--trainer.devices", "1"])
    assert "billion parameters" in capsys.readouterr().out
