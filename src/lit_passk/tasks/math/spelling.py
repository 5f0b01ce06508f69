r"""Marks and numbers as models and data sets write them, in one way each: what can be said of a text without tokens."""

from __future__ import annotations

import re

from lit_passk.tasks.math.notations import one_notation

_UNICODE = {
    "\N{MINUS SIGN}": "-", "–": "-", "\N{DEGREE SIGN}": r"^\circ ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "π": r"\pi ",
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "∓": r"\mp ", "≤": r"\le ",
    "≥": r"\ge ", "≠": r"\ne ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ",
    "∖": r"\setminus ", "≈": r"\approx ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "ℓ": r"\ell ",
    "∠": r"\angle ", "′": "'", "’": "'", "″": "''", "…": r"\ldots ", "％": "%", "\N{POUND SIGN}": "",
    "\N{EURO SIGN}": "", "¥": "", "¢": "", "₹": "", "₽": "", "₩": "", "₪": "", "₿": "", "∣": r"\mid ",
    "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "∧": " and ", "∨": " or ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "θ": r"\theta ",
    "Γ": r"\Gamma ", "Δ": r"\Delta ", "Θ": r"\Theta ", "Λ": r"\Lambda ", "Φ": r"\Phi ", "Ψ": r"\Psi ", "Ω": r"\Omega ",
    "λ": r"\lambda ", "μ": r"\mu ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ", "ω": r"\omega ",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_GONE = re.compile(
    r"\\(?:left|right)\s*\.|\\(?:[hv]space|phantom|color|tag|label)\*?\s*\{[^{}]*\}|\\[$!]|\\displaystyle|[$\"]"
    r"|\\bbox\s*\[[^\[\]]*\]|\\colorbox\s*\{[^{}]*\}"
)
_GAP = r"(?:\\[,;: ]|~|\s|\\thinspace)"
_GROUPED = re.compile(rf"(?<![\d.,])(\d{{1,3}})((?:(?:\{{,\}}|,\\!|{_GAP}){_GAP}*\d{{3}})+)(?![\d/]|,\\!\d|\s*\\frac)")
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:,\d{3})+)(?![\d,]*\d)")
_BRACED_COMMA = re.compile(r"(?<=\d)\{,\}(?=\d)")
_HALF_DAY = r"([AaPp])\.?\s*[Mm](?:\.|\b)"
_CLOCK = re.compile(
    rf"(?<!\d)0?(\d{{1,2}})(?::(\d\d))?(?:\s|~|\\[ ,;:])*(?:\\(?:text|mathrm)\s*\{{\s*{_HALF_DAY}\s*\}}|{_HALF_DAY})"
)
_REPEATING = re.compile(r"(\d{1,60})\.(\d{0,60})\\(?:overline|bar|dot)\s*(?:\{(\d{1,60})\}|(\d))")
_DOTTED = re.compile(r"(\d{1,60})\.(\d{0,60})\\dot\s*\{?(\d)\}?(\d{0,60})\\dot\s*\{?(\d)\}?")  # 0.\dot{1}2\dot{3}
_GOING_ON = re.compile(r"(\d{1,60})\.(\d{0,20}?)(?:(\d)\3\3+|(\d{2,20}?)\4+)\s*(?:\.\.\.|\\[lc]?dots)")  # 0.333...
IN_BRACKETS = re.compile(r"(\d{1,60})\.(\d{0,60})\((\d{1,60})\)")  # 0.1(6), or a product
_ROWS = re.compile(r"matrix|array|cases|align|gather|split")  # where two backslashes end a row
_MODULUS = re.compile(r"\(?\\(?:text|mathrm)\s*\{\s*\(?\s*mod\b\s*\}?\s*(\w+)\s*\}?\)?\s*\}?")


def written_out(text: str, thousands: bool) -> str:
    """One way to write what can be written in several, as far as that needs no tokens."""
    for symbol, latex in _UNICODE.items():
        if symbol in text:
            text = text.replace(symbol, latex)
    text = re.sub(r"(?<=[\d\s])([kcdm]?m)([²³])", r"\\text{ \1}\2", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+", lambda raised: f"^{{{raised[0].translate(_RAISED)}}}", text)
    text = re.sub(r"[₀₁₂₃₄₅₆₇₈₉]+", lambda lowered: f"_{{{lowered[0].translate(_LOWERED)}}}", text)
    text = one_notation(escaped_once(text), thousands)
    text = re.sub(r"\^\s*\{?\s*\\(?:top|intercal|(?:mathsf|mathrm|text)\s*\{?\s*T\s*\}?)(?![a-zA-Z])\s*\}?", "^T", text)
    text = _MODULUS.sub(r"\\pmod{\1}", text.replace("{:}", ":"))
    text = re.sub(r"(?<=[)\]])\s*U\s*(?=[(\[])", r" \\cup ", text)
    for endless in (_GOING_ON, _DOTTED, _REPEATING):
        text = endless.sub(repeating, text)
    text = _CLOCK.sub(lambda time: f" {time[1]}:{time[2] or '00'}{(time[3] or time[4]).lower()}m ", text)
    text = _GROUPED.sub(lambda number: number[1] + re.sub(r"\D", "", number[2]), text)
    text = _BRACED_COMMA.sub(".", text)  # what is left of them are decimal commas
    if thousands:
        text = _THOUSANDS.sub(_without_commas, text)
    return _GONE.sub(" ", text).replace("**", "^")


def _without_commas(number: re.Match[str]) -> str:
    """``1,234`` as one number, but not all of ``(1,234)``, which is a pair."""
    before, after = number.string[: number.start()].rstrip("- "), number.string[number.end() :].lstrip()
    if before.endswith(("(", "[")) and after.removeprefix("\\right").startswith((")", "]")):
        return number[0]
    return number[0].replace(",", "")


def repeating(decimal: re.Match[str]) -> str:
    r"""``0.1\overline{6}`` as a fraction; the groups are the whole part, what comes once, the parts of the period."""
    whole, start, *groups = (group or "" for group in decimal.groups())
    period = "".join(groups)
    above = int(whole + start + period) - int(whole + start)
    return f"\\frac{{{above}}}{{{'9' * len(period)}{'0' * len(start)}}}"


def escaped_once(text: str) -> str:
    r"""Commands with one backslash, where a way through JSON left two; ``\\`` between the rows of a matrix stays."""
    return text if _ROWS.search(text) else re.sub(r"\\\\(?=[a-zA-Z{}])", r"\\", text)
