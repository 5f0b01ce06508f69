"""A server with vLLM's routes that computes nothing, and answers wrongly when told to."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GENERATE = "/inference/v1/generate"


def completion(prompt: list[int], seed: int, max_tokens: int, eos: int, vocab_size: int) -> tuple[list[int], str]:
    """Tokens and how they ended, a function of prompt and seed alone, as with vLLM."""
    draw = random.Random(f"{prompt} {seed}")
    letters = [token for token in range(vocab_size) if token != eos]
    length = draw.randint(1, 2 * max_tokens)
    if length > max_tokens:
        return draw.choices(letters, k=max_tokens), "length"
    return [*draw.choices(letters, k=length - 1), eos], "stop"


class ScriptedServer(ThreadingHTTPServer):
    """Listens on this machine while used as a context.

    Args:
        model: What it says that it serves.
        eos: The end token.
        vocab_size: Tokens lie below it.
        port: To listen on; 0 is a free one.

    Attributes:
        faults: By path, what replaces the next answers there, one after another: a function of the handler and the
            right answer that sends something itself. The last one stays if ``faulty_for_ever``.
        asked: Path, body and headers of every request.
    """

    daemon_threads = True

    def __init__(self, model: str, eos: int, vocab_size: int, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model, self.eos, self.vocab_size = model, eos, vocab_size
        self.version = "default"
        self.loaded: list[str] = []
        """Folders of weights that it was told to read."""
        self.faults: dict[str, list[Fault]] = {}
        self.faulty_for_ever = False
        self.key: str | None = None
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.released = threading.Event()  # whoever waits in a fault goes on
        self.lock = threading.Lock()
        self.connections: list[socket.socket] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> ScriptedServer:
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()
        self.thread.join()
        for connection in self.connections:  # as when a process ends
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up."""

    def answer(self, path: str, body: Any) -> Any:
        """What a sound server says."""
        if path == "/server_info?config_format=json":
            return {"vllm_config": self.config()}
        if path == "/weight_info":
            return {"weight_version": self.version}
        if path == "/get_world_size":
            return {"world_size": 1}
        if path == "/update_weight_version":
            self.version = body["new_version"]
            return {}
        if path == "/reset_prefix_cache":
            return {"success": True}
        if path == "/collective_rpc":
            if body["method"] == "reload_weights":
                self.loaded.append(body["kwargs"]["weights_path"])
            return {"results": [{}]}
        assert path == GENERATE, path
        fields = body["sampling_params"]
        choices = []
        for index in range(fields["n"]):
            tokens, reason = completion(
                body["token_ids"], fields["seed"] + index, fields["max_tokens"], self.eos, self.vocab_size
            )
            logprobs = {"content": [{"logprob": -1.0 - token / 100} for token in tokens]}
            choices.append({"index": index, "finish_reason": reason, "token_ids": tokens, "logprobs": logprobs})
            choices[-1]["weight_versions"] = [{"version": self.version}]
        return {"choices": choices}

    def config(self) -> dict[str, Any]:
        """The part of vLLM's configuration that is read."""
        return {
            "model_config": {
                "model": self.model,
                "served_model_name": self.model,
                "logprobs_mode": "processed_logprobs",
                "max_model_len": 64,
                "dtype": "torch.float32",
                "quantization": None,
            },
            "scheduler_config": {"enable_chunked_prefill": False, "max_num_batched_tokens": 4096},
            "device_config": {"device": "cpu"},
            "cache_config": {"cache_dtype": "auto"},
            "weight_transfer_config": None,
        }


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_POST(self) -> None:
        server = self.server
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(text) if text else None
        with server.lock:
            server.asked.append((self.path, body, dict(self.headers)))
            waiting = server.faults.get(self.path, [])
            fault = waiting[0] if waiting else None
            if waiting and not (server.faulty_for_ever and len(waiting) == 1):
                waiting.pop(0)
        if server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
            self.send(401, {"error": "Unauthorized"})
        elif fault is not None:
            fault(self, server.answer(self.path, body))
        else:
            self.send(200, server.answer(self.path, body))

    do_GET = do_POST  # noqa: N815

    def send(self, status: int, answer: Any, **headers: str) -> None:
        """JSON, or bytes as they are."""
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def drop(self) -> None:
        """End the connection here."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: object) -> None:
        pass


Fault = Callable[[Handler, Any], None]


def status(number: int) -> Fault:
    return lambda handler, answer: handler.send(number, b"<html>not now</html>")


def changed(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The first choice of an answer, changed in place, or the list of all if ``change`` returns one."""

    def send(handler: Handler, answer: Any) -> None:
        new = change(answer["choices"][0])
        handler.send(200, {"choices": new} if isinstance(new, list) else answer)

    return send


def half(handler: Handler, answer: Any) -> None:
    """Half of the JSON as if it were all."""
    content = json.dumps(answer).encode()
    handler.send(200, content[: len(content) // 2])


def broken_off(handler: Handler, answer: Any) -> None:
    """The connection ends in the middle of the answer."""
    content = json.dumps(answer).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    handler.drop()


def no_answer(handler: Handler, answer: Any) -> None:
    """Silence until the test ends."""
    handler.server.released.wait(30)
    handler.drop()


def drops(handler: Handler, answer: Any) -> None:
    """One byte now and then, so that something always arrives."""
    content = json.dumps(answer).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for byte in content:
        if handler.server.released.wait(0.02):
            break
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
    handler.drop()
