"""The site builds without a warning, needs nothing from the network, and everything public is described in it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers.pages import CHROMIUM, dump_dom

ROOT = Path(__file__).parents[2]
WANTED = ("mkdocs", "material", "mkdocstrings", "griffe")
MISSING = [name for name in WANTED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.seconds,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; pip install -e '.[docs]'"),
]
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""What a browser fetches by itself, and where its address is."""


class Page(HTMLParser):
    """Addresses and anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in LOADED and attrs.get(LOADED[tag]) and attrs.get("rel") != "canonical":
            self.loaded.append(attrs[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; the working tree is left as it is."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_link_and_picture_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / unquote(target)).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            known = not anchor or file not in pages or unquote(anchor) in pages[file].anchors
            if not file.exists() or not known:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(site, pages):
    assert [link for page in pages.values() for link in page.loaded if re.match(r"(https?:)?//", link)] == []
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)]*", path.read_text()) == [], path.name


def test_every_public_name_is_described(pages, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from site_pages import hooks

    described = {anchor for page in pages.values() for anchor in page.anchors}
    wanted = {path for page in hooks.API for path in hooks.paths_of(page)}
    assert len(wanted) > 120
    assert wanted - described == set()
    # Every package that says what is public has its page.
    packages = [path.parent for path in (ROOT / "src/lit_passk").glob("*/__init__.py")]
    listed = {path.name for path in packages if "__all__ = [" in (path / "__init__.py").read_text()}
    assert listed <= {name for _, modules in hooks.API.values() for name in modules}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome to open a page in")
def test_formulas_are_drawn_in_a_browser(site, tmp_path):
    page = next(path for path in site.rglob("*.html") if 'class="arithmatex"' in path.read_text())
    text = dump_dom(page, "", tmp_path)
    assert len(re.findall('class="katex"', text)) == len(re.findall('class="arithmatex"', text)) > 0
    assert "katex-error" not in text
