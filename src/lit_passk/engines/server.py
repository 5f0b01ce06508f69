"""HTTP to one server: JSON over pooled connections, TLS, base paths, an API key; the routes are in vllm_protocol.py."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from lit_passk.errors import CannotRun, Refusal

API_KEY = "VLLM_API_KEY"
"""Environment variable of the key, here as at the server."""
LARGEST_ANSWER = 1 << 30
"""Bytes; a group of 64 completions of 32,768 tokens takes about 500 MiB."""
_IDLE_SECONDS = 2.0
"""Idle connections are not used again after this: a server closes them after 5 s, perhaps as a request is sent."""


class ServerError(Exception):
    """The server did not answer, broke off, or failed; another one may do."""


class RequestRefused(CannotRun):
    """The server understood and said no; every other one would, too."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


_NOT_NOW = (408, 425, 429)
"""Statuses below 500 that say "later": too slow, too early, too many requests."""


class Server:
    """One address; safe to use from many threads, a connection each.

    The key in the environment variable ``VLLM_API_KEY``, if there is one, goes into the header of every request, and
    nowhere else. Redirects are not followed, cookies not kept, and proxies of the environment not used: requests go to
    this address.

    Args:
        address: ``http://host:port`` or ``https://host``, with a base path if the server has one. Certificates are
            checked against the system's, or those that ``SSL_CERT_FILE`` names.
    """

    def __init__(self, address: str) -> None:
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            raise Refusal(
                "A vLLM server's address looks like http://localhost:8000 or https://host/path, but got "
                f"{str(url.copy_with(userinfo=b''))!r}."
            )
        if url.userinfo:
            raise Refusal(
                f"The address of the vLLM server at {url.host} holds credentials, which would be saved with the "
                f"configuration. Put an API key into the environment variable {API_KEY} instead."
            )
        self.address = address.rstrip("/")
        self._sockets: set[socket.socket] = set()
        self._hang_ups = 0

    def call(self, method: str, path: str, timeout: float, payload: Any = None) -> Any:
        """Send JSON, return the JSON answered.

        Raises:
            ServerError: Connection lost, not all of the answer within ``timeout`` seconds or ``LARGEST_ANSWER`` bytes,
                no JSON, a status of 500 and above, one that says "later", or a redirect to what is no address.
            RequestRefused: Any other status of 300 to 499.
        """
        hang_ups, deadline = self._hang_ups, time.monotonic() + timeout

        def trace(event: str, info: dict[str, Any]) -> None:
            if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
                connection = info["return_value"].get_extra_info("socket")
                self._remember(connection)
                if hang_ups != self._hang_ups:  # while it connected
                    _shut_down(connection)

        content = bytearray()
        try:
            with self._client.stream(
                method, path, json=payload, timeout=timeout, extensions={"trace": trace}
            ) as response:
                for part in response.iter_bytes():
                    content += part
                    if len(content) > LARGEST_ANSWER:  # unpacked: a few KiB on the wire may become all of memory
                        raise ServerError(f"{self.address}{path}: an answer of more than {LARGEST_ANSWER >> 20} MiB")
                    if time.monotonic() > deadline:  # httpx's own time-out begins anew with every part
                        raise ServerError(f"{self.address}{path}: only a part of the answer within {timeout:.0f} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # it reads where a redirect leads, though it stays here
            raise ServerError(f"{self.address}{path}: {type(error).__name__} {str(error)[:500]}") from error
        status, start = response.status_code, bytes(content[:500])
        if status >= 500 or status in _NOT_NOW:
            raise ServerError(f"{self.address}{path}: status {status}, {start!r}")
        if response.is_redirect:
            elsewhere = response.headers.get("location", "")[:300]
            raise RequestRefused(
                f"{self.address}{path} redirects to {elsewhere!r}. Give the address that the server has there.", status
            )
        if status >= 300:
            raise RequestRefused(
                f"{self.address}{path} refused, status {status}: {start!r}" + _key_advice(status), status
            )
        try:
            return json.loads(content) if content else None
        except (ValueError, RecursionError) as error:  # a proxy's page, half an answer, nesting without end
            raise ServerError(f"{self.address}{path}: no JSON, {start!r}") from error

    def hang_up(self) -> None:
        """Break off all calls under way; the server then aborts what it computes for them."""
        self._hang_ups += 1
        for connection in list(self._sockets):
            _shut_down(connection)

    @cached_property
    def _client(self) -> httpx.Client:
        key = os.environ.get(API_KEY, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise Refusal(f"The environment variable {API_KEY} holds characters that an HTTP header cannot carry.")
        return httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            verify=ssl.create_default_context(),
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none kept: one may not fit into a request
            limits=httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_SECONDS),
        )

    def _remember(self, connection: socket.socket) -> None:
        for known in list(self._sockets):
            if known.fileno() == -1:  # closed, or wrapped in the TLS socket that comes now
                self._sockets.discard(known)
        self._sockets.add(connection)


def _key_advice(status: int) -> str:
    if status not in (401, 403):
        return ""
    if os.environ.get(API_KEY):
        return f". It does not take the key of the environment variable {API_KEY}."
    return f". Set the environment variable {API_KEY}."


def _shut_down(connection: socket.socket) -> None:
    """End a connection under the thread that reads from it, which closing would leave waiting."""
    with contextlib.suppress(OSError):  # closed already
        # Not the method of SSLSocket, which would also take the TLS state away from that thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
