"""What a page of the report holds, read from its file and in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=10000", "--dump-dom"),
]


def unpack(text: str, name: str) -> Any:
    packed = re.search(f'<script type="text/plain" id="{name}">([^<]*)</script>', text)[1]
    return json.loads(zlib.decompress(base64.b64decode(packed), wbits=-15))


def dump_dom(page: Path, state: str, folder: Path) -> str:
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", f"file://{page}#{state}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
