"""The connection to one server, against small servers on this machine; vLLM's are in test_vllm_server_engine."""

import gzip
import json
import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lit_passk.engines import server as server_module
from lit_passk.engines.server import RequestRefused, Server, ServerError
from lit_passk.engines.vllm_server_engine import VLLMServerEngine

SECRET = "sk-very-secret"


class Stub(ThreadingHTTPServer):
    """Answers with what it was asked, except on some paths."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.location, self.asked, self.waiting = "", [], threading.Event()
        self.broken_off = threading.Event()

    def handle_error(self, request, client_address):
        pass  # clients that hang up


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {"path": self.path, "body": body.decode(), "key": self.headers.get("Authorization")}
        server.asked.append({**seen, "client": self.client_address})
        if self.path.endswith("/wait"):
            server.waiting.set()
            self.rfile.read(1)  # returns when the client hangs up
            server.broken_off.set()
            return
        status = {"/moved": 307, "/forbidden": 401, "/failed": 503}.get(self.path, 200)
        answer = json.dumps(seen).encode()
        self.send_response(status)
        if self.path == "/bomb":
            answer = gzip.compress(b'"' + b"x" * (3 << 20) + b'"')
            self.send_header("Content-Encoding", "gzip")
        if status == 307:
            self.send_header("Location", server.location)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def start():
    """Starts stub servers; ``start(wrap)`` passes the listening socket through ``wrap``."""
    running = []

    def start_one(wrap=None):
        server = Stub()
        if wrap is not None:
            server.socket = wrap(server.socket)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return server

    yield start_one
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def address(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_port}"


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    files = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(files[0]), "-out", str(files[1])]
    subprocess.run(command, check=True, capture_output=True)
    return files


@pytest.fixture
def tls(start, certificate):
    """A server behind TLS, whose certificate no authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return start(lambda listening: context.wrap_socket(listening, server_side=True))


@pytest.mark.parametrize("base", ["", "/", "/models/one", "/models/one/"])
def test_base_paths_and_queries(start, base):
    server = start()
    answer = Server(address(server) + base).call("POST", "/a/b?c=d", 10, {"é": 1})
    assert answer["path"] == base.rstrip("/") + "/a/b?c=d"
    assert json.loads(answer["body"]) == {"é": 1}
    assert answer["key"] is None


def test_the_key_of_the_environment_goes_into_the_header_and_nowhere_else(start, monkeypatch, caplog):
    monkeypatch.setenv("VLLM_API_KEY", f" {SECRET}\n")
    caplog.set_level(0)
    stub = start()
    engine = VLLMServerEngine([address(stub)])
    assert engine.servers[0].call("GET", "/", 10)["key"] == f"Bearer {SECRET}"
    with pytest.raises(RequestRefused, match="401") as refused:
        engine.servers[0].call("GET", "/forbidden", 10)
    assert "VLLM_API_KEY" in str(refused.value)
    assert SECRET not in caplog.text + repr(vars(engine)) + repr(vars(engine.servers[0]))


@pytest.mark.parametrize("key", ["caf\u00e9", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(start, monkeypatch, key):
    monkeypatch.setenv("VLLM_API_KEY", key)
    with pytest.raises(ValueError, match="VLLM_API_KEY holds characters") as refused:
        Server(address(start())).call("GET", "/", 10)
    assert key not in str(refused.value)


def test_connections_are_used_again_and_each_call_has_its_own(start):
    stub = start()
    server = Server(address(stub))
    for _ in range(3):
        server.call("GET", "/", 10)
    assert len({asked["client"] for asked in stub.asked}) == 1
    with ThreadPoolExecutor(8) as threads:
        paths = [f"/{number}" for number in range(40)]
        answers = list(threads.map(lambda path: server.call("GET", path, 10), paths))
    assert [answer["path"] for answer in answers] == paths


def test_redirects_are_not_followed(start, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", SECRET)
    here, there = start(), start()
    here.location = f"{address(there)}/stolen"
    with pytest.raises(RequestRefused, match=r"redirects to .*/stolen"):
        Server(address(here)).call("POST", "/moved", 10, {})
    assert there.asked == []


def test_proxies_of_the_environment_are_not_used(start, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    assert Server(address(start())).call("GET", "/", 10)["path"] == "/"


def test_a_server_that_fails_or_is_not_there(start):
    server = Server(address(start()))
    with pytest.raises(ServerError, match="status 503"):
        server.call("GET", "/failed", 10)
    with pytest.raises(ServerError, match="Timeout"):
        server.call("GET", "/wait", 0.1)
    with pytest.raises(ServerError, match="ConnectError"):
        Server("http://127.0.0.1:9").call("GET", "/", 10)


def test_an_answer_that_unpacks_to_more_than_memory_should_hold(start, monkeypatch):
    one = Server(address(start()))
    assert len(one.call("GET", "/bomb", 10)) == 3 << 20
    monkeypatch.setattr(server_module, "LARGEST_ANSWER", 1 << 20)
    with pytest.raises(ServerError, match="/bomb: an answer of more than 1 MiB"):
        one.call("GET", "/bomb", 10)
    assert one.call("GET", "/", 10)["path"] == "/"


def test_tls_needs_a_certificate_that_is_trusted(tls, certificate, monkeypatch):
    with pytest.raises(ServerError, match="CERTIFICATE_VERIFY_FAILED"):
        Server(address(tls, "https")).call("GET", "/", 10)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    assert Server(address(tls, "https") + "/base").call("GET", "/x", 10)["path"] == "/base/x"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_hanging_up_breaks_off_calls_under_way_and_no_later_ones(request, start, scheme, monkeypatch):
    stub = start() if scheme == "http" else request.getfixturevalue("tls")
    if scheme == "https":
        monkeypatch.setenv("SSL_CERT_FILE", str(request.getfixturevalue("certificate")[1]))
    server = Server(address(stub, scheme))
    server.call("GET", "/", 10)  # so that a connection is used again
    with ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            stub.waiting.clear()
            stub.broken_off.clear()
            call = threads.submit(server.call, "GET", "/wait", 60)
            assert stub.waiting.wait(30)
            server.hang_up()
            assert isinstance(call.exception(30), ServerError)
            assert stub.broken_off.wait(30)
    assert server.call("GET", "/after", 10)["path"] == "/after"


@pytest.mark.parametrize(
    "wrong", ["localhost:8000", "ftp://somewhere", "http://", "", "http://host:port", "http://host/?a=b", "//host"]
)
def test_addresses_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="http://localhost:8000"):
        VLLMServerEngine([wrong])


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_credentials_in_an_address_are_refused_and_not_shown(scheme):
    with pytest.raises(ValueError, match="address") as refused:
        Server(f"{scheme}://user:{SECRET}@host:8000")
    assert SECRET not in str(refused.value)
