import re

import pytest
from helpers.pages import CHROMIUM, dump_dom, unpack

from lit_passk.commands.report import main
from lit_passk.report.page import _clip, write_page
from lit_passk.results import load_results


@pytest.fixture
def page(two_runs, tmp_path):
    assert main([*map(str, two_runs), "--out", str(tmp_path / "out"), "--compare"]) == 0
    return tmp_path / "out" / "report.html"


def test_everything_of_the_files_is_in_the_page(page, two_runs):
    text = page.read_text()
    index = unpack(text, "index")
    assert [run["label"] for run in index["runs"]] == ["base", "better"]
    assert index["benchmarks"] == ["times", "minerva"]
    assert [problem["id"] for problem in index["problems"]] == ["p0", "p1", "p2", "p3", "p0"]
    # total, correct, unscored, truncated, mean tokens; then the number of different answers
    assert index["problems"][2]["cells"][0][:5] == [4, 2, 1, 1, 12]
    assert index["problems"][4]["cells"][0] is None
    base, better = unpack(text, "p2")
    records = load_results(two_runs[0]).groups()["times"]["p2"]
    assert [completion[8] for completion in base["completions"]] == [record.completion for record in records]
    assert [completion[1] for completion in base["completions"]] == [1, 1, 2, 0]
    assert base["completions"][2][7] == "verifier timed out"
    assert [base["answers"][completion[6]][0] for completion in base["completions"][:2]] == ["14", "14"]
    assert better["answers"][0] == ["14", 3, 3]
    assert unpack(text, "p4")[0] is None


def test_nothing_is_fetched_and_model_output_is_no_markup(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert "alert(1)" not in text
    assert text.count("data:font/woff2;base64,") == 20
    assert "@@" not in text
    assert not re.search(r"(?:src|href)=[\"']?https?:|url\([\"']?(?!data:)", text)


def test_long_completions_lose_their_middle_and_the_page_says_so(two_runs, tmp_path):
    assert _clip("abcdefghij", 10) == ("abcdefghij", 0)
    assert _clip("abcdefghijk", 4) == ("ab\0jk", 7)
    assert _clip("a\0b", 10) == ("a\N{SYMBOL FOR NULL}b", 0)
    table = [["run"], ["<b>base</b> [1, 2]"]]
    write_page(
        tmp_path / "x.html", [("base", load_results(two_runs[0]))], [("T", table, ["n & m"])], {"curves": "<svg/>"}, 10
    )
    text = (tmp_path / "x.html").read_text()
    completion = unpack(text, "p3")[0]["completions"][0]
    assert completion[8] == "It is\0d{21}"
    assert completion[9] == len("It is $\\frac{21}{1}$: \\boxed{21}") - 10
    assert "<td>&lt;b&gt;base&lt;/b&gt;<small>1 – 2</small></td>" in text
    assert "n &amp; m" in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (`apt-get install chromium`)")
@pytest.mark.parametrize(
    ("state", "ids", "outcomes"),
    [
        ("tab=problems&sort=easiest&benchmark=0", ["p3", "p2", "p1", "p0"], ["✓ correct"] * 4),
        ("tab=problems&sort=hardest&run=1&show=sometimes", ["p0", "p1", "p0", "p2"], ["✓ correct", "✗ wrong"]),
        ("tab=problems&show=unscored&filter=unscored", ["p2"], ["? unscored"]),
        ("tab=problems&search=what+14&problem=1&filter=correct", ["p2"], ["✓ correct"]),
    ],
)
def test_page_in_a_real_browser(page, tmp_path, state, ids, outcomes):
    dom = dump_dom(page, state, tmp_path / "profile")
    assert 'data-ready="true"' in dom
    assert re.findall(r'<div class="id">([^<]*)</div>', dom) == ids
    assert set(re.findall(r'<span class="outcome">([^<]*)</span>', dom)) == set(outcomes)
    assert dom.count('class="katex"') >= 2
    assert "&lt;script&gt;alert(1)" in dom
    assert "<script>alert(1)" not in dom
