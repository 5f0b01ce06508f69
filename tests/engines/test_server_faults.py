"""Faults of vLLM servers, each put into a real server on this machine: what the user gets, and that nothing is lost."""

import logging
import math

import pytest
from helpers.scripted_server import (
    GENERATE,
    ScriptedServer,
    broken_off,
    changed,
    completion,
    drops,
    half,
    no_answer,
    status,
)
from helpers.tiny_policies import EOS, VOCAB_SIZE, tiny_policy

from lit_passk.engines import server_pool, vllm_server_engine
from lit_passk.engines.vllm_server_engine import VLLMServerEngine
from lit_passk.errors import CannotRun
from lit_passk.types import Sampling

PROMPTS = [[5, 6], [7], [8, 9, 10], [11]]
SEEDS = [10, 20, 30, 40]
SAMPLING = Sampling(n=3, max_tokens=8)
EXPECTED = [
    [completion(prompt, seed + i, 8, EOS, VOCAB_SIZE)[0] for i in range(3)]
    for prompt, seed in zip(PROMPTS, SEEDS, strict=True)
]


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(tied=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(server_pool, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(server_pool, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def servers():
    with ScriptedServer("policy", EOS, VOCAB_SIZE) as one, ScriptedServer("policy", EOS, VOCAB_SIZE) as two:
        yield one, two


@pytest.fixture
def start(policy):
    """Starts engines for servers; ``patience`` is short enough to see it end."""
    engines = []

    def start_one(*servers, policy=policy, **settings):
        engine = VLLMServerEngine([server.address for server in servers], **{"patience": 0.05, **settings})
        engines.append(engine)
        engine.start("/runs/policy", policy, [EOS])
        return engine

    yield start_one
    for engine in engines:
        engine.close()


def sample(engine):
    groups = dict(engine.generate(PROMPTS, SAMPLING, SEEDS))
    for sampled in (c for group in groups.values() for c in group):
        assert sampled.version == engine.version
        assert sampled.logprobs == [-1.0 - token / 100 for token in sampled.token_ids]
    return [[list(c.token_ids) for c in groups[p]] for p in range(len(PROMPTS))]


def set_to(**values):
    return changed(lambda choice: choice.update(values))


def logprob(value):
    return changed(lambda choice: choice["logprobs"]["content"][0].update(logprob=value))


def token(value):
    return changed(lambda choice: choice["token_ids"].__setitem__(0, value))


FAULTS = {
    "half the JSON": (half, "no JSON"),
    "a page": (lambda handler, answer: handler.send(200, b"<html>sign in</html>"), "no JSON"),
    "nesting without end": (lambda handler, answer: handler.send(200, b"[" * 100_000), "no JSON"),
    "another JSON": (lambda handler, answer: handler.send(200, {"choice": []}), "`choices`"),
    "no JSON object": (lambda handler, answer: handler.send(200, [1]), "something else than completions"),
    "nothing": (lambda handler, answer: handler.send(200, b""), "something else than completions"),
    "no choice": (changed(lambda choice: []), "0 completions of 3, numbered not at all"),
    "too few choices": (changed(lambda choice: [choice]), "1 completions of 3"),
    "one choice three times": (changed(lambda choice: [choice] * 3), "3 completions of 3, numbered 0, 0, 0"),
    "too many choices": (changed(lambda choice: [choice | {"index": i} for i in range(4)]), "4 completions of 3"),
    "no log-probabilities": (set_to(logprobs=None), "logprobs"),
    "no tokens": (set_to(token_ids=None), "token_ids"),
    "no token": (set_to(token_ids=[], logprobs={"content": []}), "a completion of 0 tokens"),
    "words for tokens": (token("the"), "Expected `int`, got `str`"),
    "half tokens": (token(1.5), "Expected `int`, got `float`"),
    "one log-probability less": (changed(lambda c: c["logprobs"]["content"].pop()), "log-probabilities"),
    "one log-probability is null": (logprob(None), "logprob"),
    "NaN": (logprob(math.nan), "a log-probability of nan"),
    "infinite": (logprob(-math.inf), "a log-probability of -inf"),
    "above 0": (logprob(0.5), "a log-probability of 0.5"),
    "a token past the vocabulary": (token(VOCAB_SIZE), f"token {VOCAB_SIZE}, which the policy's vocabulary"),
    "a negative token": (token(-1), "token -1"),
    "an end token in the middle": (
        set_to(token_ids=[EOS, 5], finish_reason="stop", logprobs={"content": [{"logprob": -1.0}] * 2}),
        "end tokens at [0]",
    ),
    "stopped without an end token": (
        set_to(token_ids=[5], finish_reason="stop", logprobs={"content": [{"logprob": -1.0}]}),
        "end tokens at []",
    ),
    "cut too early": (
        set_to(token_ids=[5], finish_reason="length", logprobs={"content": [{"logprob": -1.0}]}),
        "a completion of 1 tokens that ended with 'length' at max_tokens=8",
    ),
    "too long": (
        set_to(token_ids=[5] * 9, finish_reason="length", logprobs={"content": [{"logprob": -1.0}] * 9}),
        "a completion of 9 tokens",
    ),
    "aborted": (set_to(finish_reason="abort"), "ended with 'abort'"),
    "not ended": (set_to(finish_reason=None), "ended with None"),
    "other weights": (set_to(weight_versions=[{"version": "17"}]), "sampled with weights {'17', '0'}, not 0"),
    "weights that changed on the way": (
        set_to(weight_versions=[{"version": "0"}, {"version": "1"}]),
        "sampled with weights {'several', '0'}, not 0",
    ),
    "500": (status(500), "status 500"),
    "502": (status(502), "status 502"),
    "503": (status(503), "status 503"),
    "too many requests": (status(429), "status 429"),
    "too slow": (status(408), "status 408"),
    "broken off": (broken_off, "RemoteProtocolError"),
    "hung up on": (lambda handler, answer: handler.drop(), "RemoteProtocolError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_server_answers_the_request_of_one_that_fails(servers, start, fault, caplog):
    one, two = servers
    engine = start(one, two, patience=60.0)
    one.faults[GENERATE] = [FAULTS[fault][0]]
    assert sample(engine) == EXPECTED
    assert sample(engine) == EXPECTED
    said = (
        " ".join(caplog.messages).replace("{'0', '17'}", "{'17', '0'}").replace("{'0', 'several'}", "{'several', '0'}")
    )
    assert FAULTS[fault][1] in said
    assert one.address in said
    assert two.address not in said


@pytest.mark.parametrize("fault", ["half the JSON", "NaN", "a token past the vocabulary", "503", "hung up on"])
def test_where_no_other_server_is_left_the_error_says_what_was_wrong(servers, start, fault):
    one, _ = servers
    engine = start(one)
    one.faults[GENERATE], one.faulty_for_ever = [FAULTS[fault][0]], True
    with pytest.raises(CannotRun) as stopped:
        sample(engine)
    assert "No vLLM server worked for 0.05 s" in str(stopped.value)
    assert FAULTS[fault][1] in str(stopped.value)
    one.faults.clear()
    assert sample(engine) == EXPECTED, "the engine is as good as before"


@pytest.mark.parametrize("fault", [no_answer, drops])
def test_a_slow_answer_is_given_up_after_the_time_out(servers, start, fault, caplog):
    one, two = servers
    engine = start(one, two, patience=60.0, request_timeout=0.3)
    one.faults[GENERATE] = [fault]
    assert sample(engine) == EXPECTED
    assert "ReadTimeout" in caplog.text if fault is no_answer else "only a part of the answer" in caplog.text


def test_the_log_says_what_is_being_waited_for(servers, start, caplog, monkeypatch):
    monkeypatch.setattr(vllm_server_engine, "PROGRESS_SECONDS", 0.05)
    one, _ = servers
    engine = start(one, request_timeout=0.5, patience=60.0)
    one.faults[GENERATE] = [no_answer] * 4
    assert sample(engine) == EXPECTED
    assert f"Waiting for 4 of 4 prompts. {one.address}: 4 requests under way" in caplog.messages


@pytest.mark.parametrize("number", [400, 404, 422])
def test_what_every_server_would_refuse_is_not_tried_again(servers, start, number):
    one, two = servers
    engine = start(one, two)
    one.faults[GENERATE] = two.faults[GENERATE] = [status(number)] * 100
    with pytest.raises(CannotRun, match=f"/inference/v1/generate refused, status {number}: b'<html>not now"):
        sample(engine)
    assert len([path for server in servers for path, *_ in server.asked if path == GENERATE]) <= len(PROMPTS)


def test_a_redirect_is_not_followed(servers, start, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "sk-secret")
    one, elsewhere = servers
    engine = start(one)
    moved = f"{elsewhere.address}{GENERATE}"
    one.faults[GENERATE] = [lambda handler, answer: handler.send(307, answer, Location=moved)] * 100
    with pytest.raises(CannotRun, match=f"redirects to '{moved}'"):
        sample(engine)
    assert elsewhere.asked == []


def test_a_server_that_wants_a_key(servers, start, monkeypatch, caplog):
    one, _ = servers
    one.key = "sk-right"
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    with pytest.raises(CannotRun, match=r"status 401: .*\. Set the environment variable VLLM_API_KEY\.$"):
        start(one)
    monkeypatch.setenv("VLLM_API_KEY", "sk-wrong")
    with pytest.raises(CannotRun, match=r"does not take the key of the environment variable VLLM_API_KEY") as refused:
        start(one)
    assert "sk-wrong" not in str(refused.value) + caplog.text
    monkeypatch.setenv("VLLM_API_KEY", "sk-right")
    assert sample(start(one)) == EXPECTED


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda config: config["model_config"].pop("dtype"), "missing required field `dtype`"),
        (lambda config: config["model_config"].update(dtype="torch.int8"), "config.model_config.dtype"),
        (
            lambda config: config["model_config"].update(model=None),
            "`str`, got `null` - at `$.config.model_config.model`",
        ),
        (lambda config: config.update(scheduler_config=None), "`object`, got `null` - at `$.config.scheduler_config`"),
        (lambda config: config["model_config"].update(max_model_len="long"), "`int`, got `str`"),
        (lambda config: config["model_config"].update(max_model_len=0), "`int` >= 1"),
        (lambda config: config["model_config"].update(logprobs_mode="raw_logprobs"), "reports raw_logprobs"),
        (lambda config: config["scheduler_config"].update(enable_chunked_prefill=True), "in two steps"),
    ],
)
def test_a_server_of_another_kind_is_refused_with_the_command(servers, start, answer, words):
    one, _ = servers
    config = one.config()
    answer(config)
    one.config = lambda: config
    with pytest.raises(CannotRun) as refused:
        start(one)
    assert words in str(refused.value)
    assert "--no-enable-chunked-prefill" in str(refused.value) or "vllm serve" in str(refused.value)


@pytest.mark.parametrize("workers", [None, 0, "2"])
def test_a_server_that_counts_its_workers_otherwise_is_refused(servers, start, workers):
    one, _ = servers
    one.faults["/get_world_size"] = [lambda handler, answer: handler.send(200, {"world_size": workers})]
    with pytest.raises(CannotRun, match=r"describes itself otherwise .* `\$\.workers`"):
        start(one)


def test_something_that_is_no_vllm_server_is_refused_with_the_command(servers, start):
    one, _ = servers
    one.faults["/server_info?config_format=json"] = [status(404)]
    with pytest.raises(
        CannotRun, match=r"refused, status 404: .* Start the server as `VLLM_SERVER_DEV_MODE=1 vllm serve"
    ):
        start(one)


def test_a_server_that_is_not_ready_is_waited_for(servers, start):
    one, _ = servers
    one.faults["/server_info?config_format=json"] = [status(503)]
    assert sample(start(one, patience=60.0)) == EXPECTED


def test_an_evaluation_of_another_model_is_refused(servers, start):
    one, two = servers
    two.model = "/models/another"
    with pytest.raises(CannotRun, match=f"{two.address} serves '/models/another', but '/runs/policy' is to be sampled"):
        VLLMServerEngine([one.address, two.address]).start("/runs/policy", None, [EOS])


def test_a_training_on_servers_of_another_model_sends_its_weights_first(servers, start, caplog):
    caplog.set_level(logging.INFO)
    one, two = servers
    two.model = "/models/another"
    engine = start(one, two)
    assert engine.version == -1
    assert "serves '/models/another'" in caplog.text
    with pytest.raises(RuntimeError, match="load_weights"):
        sample(engine)
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=0)
    assert one.loaded == two.loaded != []
    assert sample(engine) == EXPECTED


def restarted(server, **changes):
    """Another process on the same port, which knows nothing of the weights that were sent."""
    port = server.server_port
    server.__exit__()
    new = ScriptedServer("policy", EOS, VOCAB_SIZE, port)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def test_a_server_restarted_between_steps_gets_the_weights_before_it_samples(start):
    server = ScriptedServer("policy", EOS, VOCAB_SIZE).__enter__()
    engine = start(server, patience=60.0)
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=3)
    assert sample(engine) == EXPECTED
    with restarted(server) as server:
        assert sample(engine) == EXPECTED
        assert server.version == "3"
        assert len(server.loaded) == 1
        paths = [path for path, *_ in server.asked]
        assert paths.index("/collective_rpc") < len(paths) - 1 - paths[::-1].index(GENERATE)


def test_a_server_restarted_with_another_model_is_not_used(start):
    server = ScriptedServer("policy", EOS, VOCAB_SIZE).__enter__()
    engine = start(server, patience=0.3)
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=3)
    with restarted(server, model="/models/another") as server:
        with pytest.raises(CannotRun, match="came back with '/models/another' in float32, not as 'policy'"):
            sample(engine)
        assert server.loaded == []


def test_weights_that_one_server_does_not_take_come_to_it_later(servers, start, caplog):
    one, two = servers
    engine = start(one, two, patience=60.0)
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=1)
    one.faults["/collective_rpc"] = [status(500)]
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=2)
    assert [one.version, two.version] == ["1", "2"]
    assert sample(engine) == EXPECTED
    for _ in range(20):
        if one.version == "2":
            break
        assert sample(engine) == EXPECTED
    assert one.version == "2"


def test_weights_that_no_server_takes_stop_the_run(servers, start):
    one, _ = servers
    engine = start(one)
    one.faults["/reset_prefix_cache"] = [lambda handler, answer: handler.send(200, {"success": False})]
    with pytest.raises(
        CannotRun, match=r"weights of version 1 did not reach the servers: .* could not drop its prefix"
    ):
        engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=1)
    assert engine.version == 0
