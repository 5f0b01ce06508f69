"""A stand-in for the Hugging Face hub: the calls that making a repository and uploading a folder take."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class StandinHub(ThreadingHTTPServer):
    """Keeps what is committed: ``repositories`` by name with ``private``, ``files`` by path."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, bool] = {}
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}  # large files, by their digest
        self.asked: list[str] = []
        Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: StandinHub

    def do_HEAD(self):
        self._answer({})

    def do_GET(self):
        self._answer({"error": "no such file"}, 404)

    def do_PUT(self):
        self.server.stored[self.path.rpartition("/")[2]] = self._body()
        self._answer({})

    def do_POST(self):
        self.server.asked.append(self.path)
        body = self._body()
        if self.headers.get("authorization") != f"Bearer {self.server.token}":
            self._answer({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in self.path:
            modes = {True: "lfs", False: "regular"}
            files = [
                {"path": f["path"], "uploadMode": modes[f["path"].endswith(".safetensors")], "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            upload = {"upload": {"href": f"{self.server.url}/stored/"}}
            objects = [
                {**one, "actions": {"upload": {"href": upload["upload"]["href"] + one["oid"]}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._answer({})

    def _create(self, asked):
        name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
        if name in self.server.repositories:
            self._answer({"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}, 409)
            return
        self.server.repositories[name] = asked.get("private", asked.get("visibility") == "private")
        self._answer({"url": f"{self.server.url}/{name}"})

    def _commit(self, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.stored[value["oid"]]
        name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
        self._answer(
            {"success": True, "commitUrl": f"{self.server.url}/{name}/commit/{'0' * 40}", "commitOid": "0" * 40}
        )

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        pass
