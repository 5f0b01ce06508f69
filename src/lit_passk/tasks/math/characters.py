"""The characters of a completion: full-width ones, digits of other scripts, HTML, as the plain ones they stand for."""

from __future__ import annotations

import html
import re
import unicodedata

_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ", 0x3002: ". ", 0x3001: ",", 0x2044: "/", 0x2215: "/", 0x2236: ":", 0xFE63: "-", 0x2010: "-",
    0x2011: "-", 0x2012: "-", 0x200B: "", 0x200C: "", 0x200D: "", 0x2060: "", 0xFEFF: "", 0x2061: "", 0x2062: " ",
    0x301C: "~", 0xFFE5: "", 0x222F: r"\oint ", 0x2211: r"\sum ", 0x220F: r"\prod ", 0x222B: r"\int ",
}  # fmt: skip
_STYLED = {  # bold, italic, ... letters and digits
    code: unicodedata.normalize("NFKC", chr(code))
    for code in range(0x1D400, 0x1D800)
    if unicodedata.category(chr(code)) != "Cn"
}
_VULGAR = {
    code: r"\frac{{{}}}{{{}}}".format(*(chr(int(part, 16)) for part in parts))
    for code in (*range(0xBC, 0xBF), *range(0x2153, 0x215F), 0x2150, 0x2151)
    if len(parts := [part for part in unicodedata.decomposition(chr(code)).split()[1:] if part != "2044"]) == 2
}
_CHARACTERS = _FULL_WIDTH | _STYLED | _VULGAR
_DIGIT = re.compile(r"(?![0-9])\d")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}\d{0,2}|#\d{2,5}|#x[0-9a-fA-F]{2,5});")
_RAISED = re.compile(r"<sup>([^<>]{1,40})</sup>", re.IGNORECASE)
_LOWERED = re.compile(r"<sub>([^<>]{1,40})</sub>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:b|strong|i|em|u|span|p|div|center|font|mark|code|h\d)(?: [^<>]{0,100})?>|<br ?/?>", re.IGNORECASE
)


def plain_characters(text: str) -> str:
    r"""One character for all that look alike and mean the same, and none that only lay a text out.

    Example:
        >>> plain_characters("３．５ ½ x &lt; 5<sup>2</sup> <b>7</b>")
        '3.5 \\frac{1}{2} x < 5^{2} 7'

    """
    if text.isascii() and "&" not in text and "</" not in text and "<br" not in text:
        return text
    text = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text.translate(_CHARACTERS))
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "</" in text or "<br" in text:
        text = _TAG.sub(
            lambda tag: "\n" if tag[0].startswith("<br") else "", _LOWERED.sub(r"_{\1}", _RAISED.sub(r"^{\1}", text))
        )
    return text
