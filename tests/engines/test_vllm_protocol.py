"""What a server answers that is no answer; real servers are in test_vllm_server_engine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lit_passk.engines.server import Server, ServerError
from lit_passk.engines.vllm_protocol import sample
from lit_passk.types import Sampling

CHOICE = {
    "index": 0,
    "finish_reason": "stop",
    "weight_versions": [{"version": "0"}],
    "token_ids": [1],
    "logprobs": {"content": [{"logprob": -1.0}]},
}


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def ask(server, body, n):
    server.body = body
    return sample(Server(f"http://127.0.0.1:{server.server_port}"), [5], Sampling(), [0], n, seed=0, timeout=10.0)


def test_a_whole_answer_is_read(server):
    [(version, completion)] = ask(server, json.dumps({"choices": [CHOICE]}).encode(), n=1)
    assert (version, completion.token_ids, completion.logprobs) == ("0", [1], [-1.0])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Bad gateway</html>", "no JSON"),
        (b"{}", "choices"),
        (b'{"choices": null}', "choices"),
        (json.dumps({"choices": [{**CHOICE, "logprobs": None}]}).encode(), "answered"),
        (json.dumps({"choices": [CHOICE]}).encode(), "1 completions of 2"),
        (json.dumps({"choices": [{**CHOICE, "finish_reason": "abort"}]}).encode(), "abort"),
    ],
)
def test_nonsense_is_a_failure_of_that_server(server, body, message):
    with pytest.raises(ServerError, match=message):
        ask(server, body, n=2)
