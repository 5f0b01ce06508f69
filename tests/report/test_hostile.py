"""Completions, names and settings that attack who looks at a report: in a browser, Markdown, LaTeX, on a terminal."""

from __future__ import annotations

import re
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from helpers.pages import CHROMIUM, dump_dom, unpack

from lit_passk.callbacks.loggers import markdown_table
from lit_passk.commands.report import main
from lit_passk.report.page import write_page
from lit_passk.report.paper_table import latex_text
from lit_passk.results import CompletionRecord, ResultWriter, load_results, run_settings
from lit_passk.types import Sampling

OWN = "document.documentElement.dataset.owned=1"
ATTACKS = {  # {host} is a server that counts its visitors
    "script": f"<script>{OWN}</script>",
    "end of a script": f"</script><script>{OWN}</script>",
    "end of a comment": f"--><!--><script>{OWN}</script>]]>",
    "handler": f"<img src=x onerror={OWN}><svg onload={OWN}><body onload={OWN}>",
    "attribute": f"\" onmouseover='{OWN}' autofocus onfocus={OWN} x=\"",
    "image": '<img src="{host}/image">![x]({host}/markdown)',
    "style": "<style>*{{background:url({host}/style)}}</style></style>",
    "link": '<link rel=stylesheet href="{host}/link"><link rel=prefetch href="{host}/prefetch">',
    "frames": '<iframe src="{host}/frame"></iframe><object data="{host}/object"></object><embed src="{host}/embed">',
    "refresh": '<meta http-equiv=refresh content="0;url={host}/refresh"><base href="{host}/">',
    "form": '<form action="{host}/form"><button>x</button></form>',
    "address": f"[x](javascript:{OWN}) <a href='javascript:{OWN}'>x</a> javascript:{OWN}",
    "formula with a link": r"$\href{{javascript:"
    + OWN
    + r"}}{{x}}$ $\url{{{host}/url}}$ \(\includegraphics{{{host}/tex}}\)",
    "formula with markup": r"$\htmlStyle{{position:fixed}}{{x}}$ $\htmlClass{{tag}}{{x}}$ $\htmlData{{owned=1}}{{x}}$",
    "formula that is code": r"$\text{{<img src=x onerror=" + OWN + r">}}$ $\unicode{{<script>}}$",
    "formula with styles": r"$\color{{red;background:url({host}/color)}}x$ $\rule{{9999em}}{{9999em}}\kern-999em x$",
    "formula without an end": r"$\def\a{{\a\a}}\a$ $" + r"\sqrt{{" * 3000 + "$ " + r"\begin{{align}}" * 200,
    "writing to the left": "\u202egnorw\u202c \u2067\u2066 \u200f",
    "control characters": "\x00\x1b[2J\x07\u2028",
    "half a character": "\ud800",
    "template": "${{" + OWN + "}} @@SCRIPT@@ @@BLOBS@@ {{{{7*7}}}}",
}


@pytest.fixture
def visits():
    """Address of a server, and what was asked of it."""
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def write_results(path, attacks):
    """Every text that a stranger's result file holds is an attack."""
    all_of_them = " ".join(attacks)
    settings = run_settings(all_of_them, Sampling(), seed=0, note="`" + all_of_them[:500])
    with ResultWriter(path, settings) as writer:
        writer.write(
            CompletionRecord(
                benchmark=f"times {attacks[0]} \x1b]0;x\x07",
                problem_id=f"p {attack}",
                sample=sample,
                prompt=f"What? {attack}",
                reference=attack,
                completion=f"{attack}\n\n" + ("x" * 100_000 if sample else attack),
                answer=attack,
                reward=0.5,
                correct=sample == 0,
                truncated=False,
                error=None if sample < 2 else attack,
                num_tokens=1,
                mean_logprob=None,
                seed=sample,
                parts={attack: 0.5},
            )
            for attack in attacks
            for sample in range(3)
        )
    return path


@pytest.fixture
def attacks(visits):
    return [attack.format(host=visits[0]) for attack in ATTACKS.values()]


@pytest.fixture
def out(attacks, tmp_path, capsys):
    assert main([str(write_results(tmp_path / "r.jsonl", attacks)), "--out", str(tmp_path / "out")]) == 0
    (tmp_path / "out" / "printed").write_text(capsys.readouterr().out)
    return tmp_path / "out"


def test_nothing_of_a_stranger_is_markup_or_reaches_the_terminal(out):
    printed = (out / "printed").read_text()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed)
    assert "\\x1b]0;x\\x07" in printed
    page = (out / "report.html").read_text()
    assert page.count("<script") == 2 + 1 + len(unpack(page, "index")["problems"]), (
        "its own two, the index and the blobs"
    )
    markdown = (out / "report.md").read_text()
    outside_of_code = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown, flags=re.S)
    assert "<" not in outside_of_code
    assert not re.findall(r"\]\((?!report\.png)", outside_of_code)


def test_texts_in_other_tables(attacks):
    table = markdown_table(["completion"], [[attack] for attack in attacks])
    body = table.partition("\n")[2]
    assert not re.search(r"[\x00-\x09\x0b-\x1f`*!\[\]\\]|<(?!br>)", body.partition("\n")[2])
    assert (
        latex_text("\\input{x}\n$a$%\x1b") == r"\textbackslash{}input\{x\}\textbackslash{}n\$a\$\%\textbackslash{}x1b"
    )


@pytest.mark.seconds
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (`apt-get install chromium`)")
def test_hostile_completions_in_a_real_browser(visits, attacks, tmp_path):
    attacks = [attack for attack in attacks if not re.search("[\ud800-\udfff]", attack)]  # Chromium cannot dump them
    attacks.append("\n\n".join(attacks))
    page = tmp_path / "report.html"
    write_page(page, [("r", load_results(write_results(tmp_path / "r.jsonl", attacks)))], [], {})
    for number in (0, len(attacks) - 1):  # the list shows all of them, each opened problem its own
        dom = dump_dom(page, f"tab=problems&problem={number}", tmp_path / "profile")
        found = Elements()
        found.feed(dom[dom.index("<body") :])
        assert found.attributes["body"] == {("data-ready", "true")}
        assert "data-owned" not in dom[: dom.index("<head")]
        assert set(found.attributes).isdisjoint(
            {"link", "iframe", "object", "embed", "base", "meta", "a", "img", "style", "title", "textarea"}
        )
        attributes = {name for pairs in found.attributes.values() for name, _ in pairs}
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "action", "srcset")}
        assert all(
            "url(" not in value for pairs in found.attributes.values() for name, value in pairs if name == "style"
        )
    assert visits[1] == []


class Elements(HTMLParser):
    """The elements of a page by name, with the attributes that any of them has."""

    def __init__(self):
        super().__init__()
        self.attributes = {}

    def handle_starttag(self, tag, attrs):
        self.attributes.setdefault(tag, set()).update(attrs)
