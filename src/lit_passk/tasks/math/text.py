"""Final answers in text: where the last boxes are, which letter was chosen, how an answer is spelled plainly."""

from __future__ import annotations

import re

from lit_passk.tasks.math.labels import boxes_by_part
from lit_passk.tasks.math.latex import SHORT_WORDS

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_NEGATED = re.compile(r"(?:[=$]|\\\(|\\\[)\s*-\s*$")  # -\boxed{4} says -4
_UNCLOSED = re.compile(  # a box that the formula's end closes: \boxed{\frac{1}{2}$
    r"\\(?:boxed|fbox)\s*\{((?:(?!\\(?:boxed|fbox))[^$\n]){1,200}?)(?<!\\)(?:\$|\\\)|\\\])(?!.*\\(?:boxed|fbox))",
    re.DOTALL,
)
_SEPARATOR = re.compile(
    r"(?:\\(?:quad|qquad|[ ,;:!()\[\]])|\\text\s*\{\s*(?:,\s*)?(?:and|or)?\s*\}"
    r"|\b(?:and|or|und|oder|et|ou)\b|[和与或]|[\s,;$&+])*"
)
_CONCLUSION = re.compile(r"(?i:final answer is)(?:(?!(?i:final answer is)).){1,200}?I hope", re.DOTALL)
_NEAR = 70
_LINK = re.compile(r"\b(?:and|or)\b|[,;和与或]")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\[!,;:]|\\(?:quad|qquad)(?![a-zA-Z])")
_SYMBOLS = {
    ord(symbol): latex
    for symbol, latex in [
        ("\N{MINUS SIGN}", "-"),
        ("\N{DEGREE SIGN}", r"^\circ "),
        ("\N{SQUARE ROOT}", r"\sqrt "),
        ("\N{GREEK SMALL LETTER PI}", r"\pi "),
        ("\N{MULTIPLICATION SIGN}", r"\times "),
        ("\N{MIDDLE DOT}", r"\cdot "),
        ("\N{PLUS-MINUS SIGN}", r"\pm "),
        ("\N{LESS-THAN OR EQUAL TO}", r"\le "),
        ("\N{GREATER-THAN OR EQUAL TO}", r"\ge "),
        ("\N{NOT EQUAL TO}", r"\ne "),
        ("\N{INFINITY}", r"\infty "),
        ("\N{UNION}", r"\cup "),
        ("\N{POUND SIGN}", ""),  # as the dollar sign
        ("\N{EURO SIGN}", ""),
    ]
}
_LETTER = re.compile(r"(?:(?:option|choice|answer) ?:? ?)?\(?([A-Z])(?:\)|[.:]|$)")
_LETTERS = re.compile(r"\(?([A-H])\)?(?:(?:,|;|&|\band\b|\bor\b|\s)+\(?([A-H])\)?)+(?![\w'])")
_LONE_LETTER = re.compile(r"\(?([A-Z])\)?\.?")
_SAID_LETTER = re.compile(
    r"(?:(?i:answer|choice|option)(?i:\s{1,9}is)?|答案[是为]?|故?选项?)[\s:*$\"']{0,20}(?:\\(?:text|mathrm)(?:bf|it|rm)?\s*\{)?\\?(\(?\(?([A-H])\)?(?![\w']))"
)
_WHOLE_CHOICE = re.compile(r"\W*([A-H])(?:\*\*)?[).:](?:\*\*)?\s+(?:(?!\b[A-H]\b)[^\n]){1,80}")  # B) 12
_CHOSEN_LETTER = re.compile(r"\b(?i:it'?s|it is|choose|pick|select)\s+\(?([A-H])\)?[.\s*]*\Z")
_LISTED_LETTER = re.compile(r"\(([A-H])\)")


def final_text(completion: str) -> str:
    """What comes after the thinking, or all of it when the thinking never ended."""
    after = completion.rpartition("</think>")[2]
    return after if after.strip() else completion


def concluding_answer(text: str) -> str | None:
    """The last "The final answer is ... I hope it is correct" of a text, the form of Minerva's prompt."""
    found = _CONCLUSION.findall(text)
    return found[-1] if found else None


def boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Every closed ``\boxed{...}`` or ``\fbox{...}`` of a text, innermost ones: start, end and content.

    One pass over the text, because a policy that fell into a loop writes thousands of boxes that never close.
    """
    found: list[tuple[int, int, str]] = []
    open_braces: list[re.Match[str]] = []
    for token in _BRACES.finditer(text):
        if token[0].endswith("{") and token[0] != "\\{":
            open_braces.append(token)
        elif token[0] == "}" and open_braces:
            opening = open_braces.pop()
            inner = found and found[-1][0] > opening.start()
            if opening[0] != "{" and not inner:
                content = text[opening.end() : token.start()].strip()
                if _NEGATED.search(text[max(0, opening.start() - 9) : opening.start()]) and not set(content) & set(
                    "+-,="
                ):
                    content = f"-{content}" if content else ""
                found.append((opening.start(), token.end(), content))
    return found


def boxed_answers(text: str) -> list[str]:
    r"""What the last box of a text can mean, the likeliest reading first; empty without a box that holds anything.

    Boxes with nothing but separators between them are one answer in parts. Where a few words link them ("\boxed{1}
    papers and \boxed{2} bins") the last one may be the answer, or all may.

    Example:
        >>> boxed_answers(r"First \boxed{3}. On second thoughts the sum must be \boxed{4}.")
        ['4']
        >>> boxed_answers(r"$\boxed{1}$ and $\boxed{-2}$")
        ['1,-2']

    """
    found = [box for box in boxes(text) if box[2]]
    if unclosed := _UNCLOSED.search(text, found[-1][1] if found else 0):
        return [unclosed[1].strip()]
    if not found:
        return []
    together, linked = [found[-1]], [found[-1]]
    for previous in reversed(found[:-1]):
        between = text[previous[1] : linked[0][0]]
        if linked[0] is together[0] and _SEPARATOR.fullmatch(between):
            together.insert(0, previous)
        elif len(between) >= _NEAR or not _LINK.search(between):
            break
        linked.insert(0, previous)
    by_part = boxes_by_part(text, found)
    return list(dict.fromkeys((_join(together), _join(linked), *([by_part] if by_part else []))))


def letter(answer: str) -> str | None:
    r"""The letter when an answer is one capital letter, however it is wrapped.

    Example:
        >>> letter(r"\text{(C)}"), letter("C"), letter("CD"), letter("c")
        ('C', 'C', None, None)

    """
    match = _LONE_LETTER.fullmatch(plain(answer))
    return match[1] if match else None


def chosen_letter(text: str, boxed: str | None) -> str | None:
    r"""The letter of a multiple-choice answer: in the box, or else in the text.

    Example:
        >>> chosen_letter("", r"\textbf{(C)}\ 12"), chosen_letter("So the answer is (B).", None)
        ('C', 'B')

    Args:
        text: What was written; with a box, what follows it.
        boxed: The content of the last box.

    """
    if boxed is not None:
        boxed = plain(boxed)
        if several := _several_letters(boxed):
            return several
        if match := _LETTER.match(boxed):
            return match[1]
    said = list(_SAID_LETTER.finditer(text))
    if said:
        return _several_letters(text[said[-1].start(1) :]) or said[-1][2]
    if boxed is not None:
        return None
    if listed := _LISTED_LETTER.findall(text):
        return listed[-1]
    whole = _WHOLE_CHOICE.fullmatch(text.strip()) or _CHOSEN_LETTER.search(text[-60:])
    return whole[1] if whole else letter(text.strip("* \n"))


def _several_letters(text: str) -> str | None:
    """The letters of a list such as "(A), (B) and (C)", joined; None where one stands alone."""
    match = _LETTERS.match(text)
    return ",".join(re.findall(r"\b[A-H]\b", match[0])) if match else None


def plain(answer: str, keep_text: bool = False) -> str:
    r"""One spelling for typographic variants of an answer; anything that could change its meaning stays.

    Args:
        answer: LaTeX or text.
        keep_text: Leave ``\text{}`` and the case of words, for a parser that knows what to do with them.

    Example:
        >>> plain(r"\left( 3, \dfrac{\pi}{2} \right)."), plain(r"\text{ Evelyn}"), plain("1 1/2"), plain(r"10{,}000")
        ('(3,\\frac{\\pi}{2})', 'evelyn', '1 1/2', '10,000')

    """
    answer = answer.translate(_SYMBOLS).replace("{,}", ",").replace("{:}", ":").replace("\\$", "").replace("$", "")
    answer = re.sub(r"\\[dt]frac(?![a-zA-Z])", r"\\frac", answer).replace("~", " ")
    answer = answer.strip()
    if answer.endswith(".") and not answer.endswith(".."):
        answer = answer[:-1].rstrip()
    if keep_text:
        return answer
    answer = _SPACING.sub(" ", _WRAPPER.sub(r" \1 ", answer)).replace("\\ ", " ").strip()
    answer = re.sub(r"(?<![^\W_])\s+|\s+(?![^\W_])", "", re.sub(r"\s+", " ", answer))
    return " ".join(map(_word, answer.split(" "))) if answer.replace(" ", "").isalpha() else answer


def _word(letters: str) -> str:
    """A word in small letters; AB and ab are variables."""
    is_word = len(letters) > 3 or (len(letters) == 3 and letters.istitle()) or letters.lower() in SHORT_WORDS
    return letters.casefold() if is_word else letters


def _join(parts: list[tuple[int, int, str]]) -> str:
    return ",".join(dict.fromkeys(content for _, _, content in parts))
