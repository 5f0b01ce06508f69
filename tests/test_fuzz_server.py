"""What a server may send: answers, what it says of itself, any bytes. Believed where it fits, or an error about it."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import math
import socket
import threading
import zlib

import pytest
from helpers.fuzz import damaged, edited, examples
from helpers.scripted_server import ScriptedServer
from helpers.tiny_policies import EOS, VOCAB_SIZE
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.engines.server import Server, ServerError
from lit_passk.engines.vllm_answers import read_group
from lit_passk.engines.vllm_protocol import sample
from lit_passk.engines.vllm_served import describe
from lit_passk.errors import CannotRun
from lit_passk.types import Sampling

SERVER = ScriptedServer.__new__(ScriptedServer)  # its answers, without listening
SERVER.model, SERVER.version = "policy", "default"
SERVER.eos, SERVER.vocab_size = EOS, VOCAB_SIZE
FIELDS = {"n": 3, "seed": 7, "max_tokens": 6}
ANSWER = SERVER.answer("/inference/v1/generate", {"token_ids": [5, 6], "sampling_params": FIELDS})
SAID_AT_MOST = 3_000
"""Characters of an error about a server, whatever it sends."""


def check_error(error):
    assert len(str(error)) < SAID_AT_MOST


def check_group(sampled):
    assert len(sampled) == 3
    for version, completion in sampled:
        assert isinstance(version, str)
        assert 0 < len(completion.token_ids) == len(completion.logprobs) <= 6
        assert all(type(token) is int and 0 <= token < VOCAB_SIZE for token in completion.token_ids)
        assert all(math.isfinite(value) and value <= 1e-3 for value in completion.logprobs)
        assert (completion.token_ids[-1] == EOS) == (completion.finish_reason == "stop")


@examples(120)
@given(edited(ANSWER, most=3))
def test_an_answer_is_believed_only_where_it_fits(answer):
    try:
        sampled = read_group(answer, 3, 6, [EOS], VOCAB_SIZE)
    except ValueError as error:
        check_error(error)
        return
    check_group(sampled)


class Answers(Server):
    """A server whose answers are known; what an HTTP connection carries is a text."""

    def __init__(self, answers):
        super().__init__("http://localhost:1")
        self.answers = answers

    def call(self, method, path, timeout, payload=None):
        return json.loads(json.dumps(self.answers[path]))


ABOUT = {
    path: SERVER.answer(path, None) for path in ("/server_info?config_format=json", "/weight_info", "/get_world_size")
}


@examples(120)
@given(
    edited(ABOUT["/server_info?config_format=json"], most=3), edited(ABOUT["/weight_info"]), edited({"world_size": 1})
)
def test_what_a_server_says_of_itself_is_taken_or_refused(config, version, workers):
    answers = dict(zip(ABOUT, (config, version, workers), strict=True))
    for wrong in (answers, {**answers, "/get_world_size": ABOUT["/get_world_size"]}):
        try:
            served = describe(Answers(wrong), 1.0)
        except (CannotRun, ServerError) as error:
            check_error(error)
            continue
        assert served.is_like(served)
        assert served.is_named("policy") in (True, False)
        assert all(type(count) is int and count > 0 for count in (served.max_model_len, served.num_workers))
        assert all(isinstance(text, str) for text in (served.model, served.version, served.dtype, *served.names))
        assert all(text is None or isinstance(text, str) for text in (served.weight_transfer, served.quantization))


def test_a_server_that_is_served_as_no_text():
    config = copy.deepcopy(ABOUT["/server_info?config_format=json"])
    config["vllm_config"]["model_config"]["served_model_name"] = [None, 5, "policy"]
    served = describe(Answers({**ABOUT, "/server_info?config_format=json": config}), 1.0)
    assert served.is_named("runs/policy")
    assert not served.is_named("runs/other")


def test_half_a_surrogate_pair_in_a_name_is_no_answer():
    """JSON may hold one; the library that compares names of fields raises another error for it."""
    config = copy.deepcopy(ABOUT["/server_info?config_format=json"])
    config["vllm_config"]["model_config"]["\ud800"] = 1
    with pytest.raises(CannotRun, match=r"localhost:1 describes itself otherwise .*surrogates not allowed"):
        describe(Answers({**ABOUT, "/server_info?config_format=json": config}), 1.0)
    with pytest.raises(ValueError, match=r"^something else than completions \(.*surrogates not allowed"):
        read_group({**ANSWER, "\ud800": 1}, 3, 6, [EOS], VOCAB_SIZE)


class Replies:
    """Listens on this machine; every request gets ``reply``, byte for byte, and its connection ends."""

    def __init__(self):
        self.reply = b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            connection, _ = self.listening.accept()
            with connection, contextlib.suppress(OSError):  # the client may hang up
                request = connection.makefile("rb")
                if not (first := request.readline()):
                    return
                length = 0
                while (line := request.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                request.read(length)
                connection.sendall(self.reply if first.startswith(b"POST") else b"")
                connection.shutdown(socket.SHUT_WR)
                request.read()  # until the client hangs up, too: closing before would drop what it has not yet read

    def close(self):
        socket.create_connection(self.listening.getsockname()).close()  # says nothing
        self.thread.join()
        self.listening.close()


@pytest.fixture(scope="module")
def replies():
    server = Replies()
    yield server
    server.close()


STATUSES = (
    *("200 OK", "200 OK", "200 OK", "200", "200 \xff", "201 Created", "204 No Content", "206 Partial Content"),
    *(
        "100 Continue",
        "101 Switching Protocols",
        "301 Moved",
        "302 Found",
        "307 Moved",
        "308 Moved",
        "304 Not Modified",
    ),
    *(
        "401 No",
        "404 Not Found",
        "408 Slow",
        "429 Many",
        "500 Error",
        "503 Busy",
        "999 x",
        "099 x",
        "2000 x",
        "-1",
        "x",
    ),
)
LOCATIONS = (
    *("/elsewhere", "http://[", "http://[::1", "//", "http://a:b/", "javascript:x", "", "\xff\xfe", "http:///x"),
    *(
        "http://user:word@host/",
        "http://host:99999/",
        "http://xn--\xfc.",
        "?",
        "#",
        "\t",
        "http://a" * 500,
        "http://%00/",
    ),
)
HEADERS = (
    *(("Content-Length", value) for value in ("0", "5", "99999", "-1", "x", "9" * 5000, "1, 1", "")),
    *(("Transfer-Encoding", value) for value in ("chunked", "gzip", "identity", "chunked, chunked", "x")),
    *(("Content-Encoding", value) for value in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x", "\xff")),
    *(("Content-Type", value) for value in ("text/html; charset=utf-16", "application/json; charset=\xff", "x;;;=")),
    *(("Set-Cookie", value) for value in ("a=b", "a=b; domain=\xff", "a=b; expires=never; max-age=x", "=", ";;", "\0")),
    *(("Connection", value) for value in ("close", "keep-alive", "upgrade")),
    *(("", ""), ("a b", "c"), ("\xff", "\xff"), ("x" * 200_000, "y"), ("Upgrade", "h2c"), ("Trailer", "a")),
)  # fmt: skip


@st.composite
def http_replies(draw):
    """A reply whose status, headers and body need not fit together, damaged or not."""
    body = json.dumps(draw(st.just(ANSWER) | edited(ANSWER))).encode()
    pack = draw(st.sampled_from((None, None, "gzip", "deflate", "utf-16", "half", "any")))
    if pack in ("gzip", "deflate"):
        body = gzip.compress(body) if pack == "gzip" else zlib.compress(body)
    elif pack == "utf-16":
        body = body.decode().encode("utf-16")
    elif pack is not None:
        body = body[: len(body) // 2] if pack == "half" else draw(st.binary(max_size=40))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    headers += [("Location", draw(st.sampled_from(LOCATIONS)))] * draw(st.integers(0, 1))
    if pack in ("gzip", "deflate"):
        headers.append(("Content-Encoding", pack))
    framing = draw(st.sampled_from(("length", "length", "chunked", "none")))
    if framing == "length":
        headers.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
        size = draw(st.sampled_from((f"{len(body):x}", f"{len(body) - 1:x}", "fffffffffffffffff", "-1", "", "5;x=y")))
        body = size.encode() + b"\r\n" + body + b"\r\n0\r\n\r\n"
    status = f"HTTP/{draw(st.sampled_from(('1.1', '1.1', '1.1', '1.0', '2', '9.9')))} {draw(st.sampled_from(STATUSES))}"
    lines = [status, *(f"{name}: {value}" for name, value in headers), "", ""]
    reply = "\r\n".join(lines).encode("latin-1") + body
    early = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.sampled_from((0, 0, 0, 1, 3)))
    return early + (draw(damaged(reply)) if draw(st.booleans()) else reply)


def test_a_reply_without_faults_is_read(replies):
    body = json.dumps(ANSWER).encode()
    replies.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    check_group(sample(Server(replies.address), [5, 6], Sampling(max_tokens=6), [EOS], 3, 7, 30.0, VOCAB_SIZE))


@pytest.fixture(scope="module")
def client(replies):
    return Server(replies.address)


@pytest.mark.parametrize("location", ["javascript:x", "mailto:a@b", "data:,x", "http:x", "a:b:c"])
def test_a_redirect_to_no_address_is_an_error_of_the_server(replies, client, location):
    replies.reply = f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(ServerError, match=r"/inference/v1/generate: InvalidURL "):
        sample(client, [5, 6], Sampling(max_tokens=6), [EOS], 3, 7, 30.0, VOCAB_SIZE)


def test_cookies_are_not_sent_back(replies, client):
    """One that is no ASCII cannot be: every request after it failed with a trace."""
    body = json.dumps(ANSWER).encode()
    replies.reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=\x9f\r\nSet-Cookie: b=c\r\n"
    replies.reply += b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(2):
        check_group(sample(client, [5, 6], Sampling(max_tokens=6), [EOS], 3, 7, 30.0, VOCAB_SIZE))
    assert not list(client._client.cookies.jar)


@examples(60)
@given(reply=http_replies())
def test_replies_of_any_bytes(replies, client, reply):
    replies.reply = reply
    try:
        sampled = sample(client, [5, 6], Sampling(max_tokens=6), [EOS], 3, 7, 30.0, VOCAB_SIZE)
    except (ServerError, CannotRun) as error:
        check_error(error)
        return
    check_group(sampled)
