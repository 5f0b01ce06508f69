r"""Which option a completion chooses, by stated rules.

What stands before ``</think>`` does not count. Of the rest, the first rule that finds something decides:

1. The last statement: a box (``\boxed{B}``, with a letter or an option's text), "the answer is B", "Answer: B",
   "option B is correct", "I choose B", "not A but B", ... Denied ("the answer is not A") or supposed ("if A is right")
   it is none. One that names two options ("A or C") chooses neither: its letters are joined.
2. The last line is a letter or begins with one as options do (``B) ...``, ``(B)``, ``B. ...``).
3. The first line does.
4. The last sentence has the letter of one option alone in brackets, after "option" or at its end.
5. The last line repeats the text of one option, or holds that of one alone.

The last line decides nothing where it ends a list of the options.

A letter stands for an option in brackets, or as a capital of its own; A and I only where no word follows that they
could belong to ("A mole"), small letters only after "answer", "option" or the like, at the end of a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from lit_passk.tasks.choice.rows import LETTERS
from lit_passk.tasks.math.text import boxes, final_text

# Letters that stand for options are replaced by characters for private use, so that the patterns below can be plain.
_FIRST, _FIRST_IN_BRACKETS = 0xE000, 0xE100
_L, _L_IN_BRACKETS = "[\ue000-\ue019\ue100-\ue119]", "[\ue100-\ue119]"
_NOUN = r"(?:answers?|ans|choice|option|letter|solution)"
_FILL = (
    r"(?:[\s:,]|\b(?:therefore|thus|hence|clearly|definitely|indeed|simply|likely|most|probably|option|choice|answer|is|"
    r"letter|number|the|given|by|either|both|still|then|in|fact)\b)*"
)
_LINKS = r"(?:because|since|as|is|for|due|which|and|or|but|not|rather|instead|must|should|would|appears|seems)\b"

_TEX = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|emph|mbox|operatorname)\s*\{([^{}]*)\}")
_MARKUP = re.compile(
    r"\\[()\[\] ,;:!]|\\(?:left|right|quad|qquad)(?![a-zA-Z])|[*$`#\"~]|__|</?(?:answer|b|strong)>"
    r"|\N{LEFT DOUBLE QUOTATION MARK}|\N{RIGHT DOUBLE QUOTATION MARK}"
)
_BRACKETED = re.compile(r"[(\[{] ?([A-Za-z]) ?[)\]}]|(?<!\w)'([A-Z])'(?!\w)")
_CAPITAL = re.compile(r"(?<![.'\-\\^=+/<>])(?<!(?a:\w))([A-Z])(?!(?a:\w)|['^+/<>-]|\s*[=+*^<>])")
_WORD_FOLLOWS = re.compile(rf" +(?!{_LINKS})\w", re.IGNORECASE)
_SMALL = re.compile(rf"(\b{_NOUN}\s*(?:is|:)?\s*)([a-z])(?=[.)]?\s*$)", re.IGNORECASE | re.MULTILINE)

_BUT = re.compile(
    rf"\bnot\s+(?:option\s+)?{_L}[\s,;]*(?:but|it\s+is|it's)\s+(?:rather\s+)?(?:option\s+)?({_L})", re.IGNORECASE
)
_NOT = re.compile(
    rf"({_L})[\s,;(]*(?:and\s+not|not|rather\s+than|instead\s+of)\s+(?:option\s+)?{_L}(?:\s*(?:,|\bn?or\b|\band\b)\s*{_L})*"
)
_STATEMENTS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:{_NOUN}|correct|right|best|true|appropriate)\b(?P<between>[^.\n?!:=]{{0,60}}?)(?:\b(?:is|be|was)\b|\u2192)",
        rf"\b{_NOUN}\b\.?(?P<between>[^.\n?!:=]{{0,25}}?)(?:[:=]|\s[-\u2013\u2014]\s)",
        r"\b(?:I|we)(?:'ll|'d|\s+would|\s+will|\s+am|\s+are)?\s+(?P<between>)(?:choose|pick|select|go(?:ing)?\s+with)\b",
        r"\b(?P<between>)(?:corresponds?\s+to|match(?:es)?|which\s+is|must\s+be|has\s+to\s+be)\s+(?:option|choice)\b",
        rf"\b(?P<between>)(?:so|therefore|hence|thus)\b[\s,:]*(?:(?:it\s+is|it's|option|choice)\s+)*(?={_L}\s*[.!]?\s*(?:\n|$))",
        r"(?P<between>)(?:\u7b54\u6848|\u9009\u9879|\u6545\u9009|\u5e94\u9009|\u9009\u62e9|\u9009)\s*(?:\u5e94\u4e3a|\u662f|\u4e3a)?",
    )
]
_CORRECT = re.compile(
    rf"({_L})\s*[).:]?\s+(?:is|must\s+be|should\s+be|would\s+be|appears\s+to\s+be|seems\s+to\s+be)\s+"
    r"(?:(?:therefore|thus|clearly|indeed|definitely|the|my|our|your|only|most|one)\s+)*"
    r"(?:correct|right|best|true|answer|accurate|valid)\b(?!\s*\?)",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"\b(?:if|whether|suppose|assume|assuming|unless)\s+(?:option\s+|choice\s+|answer\s+)?$", re.I)
_DENIED = re.compile(r"\b(?:not|cannot|never|neither|nor)\b|n't\b", re.IGNORECASE)
_NAMED = re.compile(rf"{_FILL}({_L}(?:\s*(?:[,;/&]|\band\b|\bor\b)[\s,]*(?:(?:and|or)\s+)?(?:option\s+)?{_L})*)", re.I)
_TAKEN_BACK = re.compile(r"\s*[).:]?\s*(?:is|are)\s+(?:not|wrong|incorrect|false)\b", re.IGNORECASE)
_LINE = re.compile(
    rf"\s*(?:[-\u2022]\s*)?(?:option\s+|choice\s+|answer\s+)?({_L})\s*(?:[).:,]|[-\u2013\u2014]|$)", re.I
)
_ALONE = re.compile(rf"{_L_IN_BRACKETS}|\b(?:option|choice)\s+{_L}|{_L}\s*$", re.IGNORECASE)
_UNDECIDED = re.compile(rf"{_L}\s*(?:or|and|/)\s+{_L}|{_DENIED.pattern}", re.IGNORECASE)
_LONGEST = 500
"""Characters of a statement that are read; an option's text may be long."""
_MOST = 1000
"""Statements that are read, from the last one on: a policy that fell into a loop makes thousands."""
_SENTENCE_END = re.compile(r"[.?!](?=\s|$)")


def chosen_letters(completion: str, options: Sequence[str]) -> str | None:
    r"""The letter of the option that a completion chooses, several joined by commas where it names several, or None.

    Args:
        completion: What the policy wrote.
        options: Texts of the options, lettered from A.

    Example:
        >>> options = ["Rome", "Paris", "Bern"]
        >>> [chosen_letters(text, options) for text in ("The answer is (B).", r"\boxed{C}", "It is Paris.", "A or B?")]
        ['B', 'C', 'B', None]
        >>> chosen_letters("The answer is not A but C.", options), chosen_letters("The answer is A or C.", options)
        ('C', 'A,C')

    """
    text = _marked(final_text(completion), len(options))
    texts = [_plain(option) for option in options]
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return None
    if stated := _last_statement(text, texts) or _of_line(lines, -1) or _of_line(lines, 0):
        return stated
    return None if _listed(lines, -1) else _alone(lines[-1]) or _repeated(lines[-1], texts)


def _marked(text: str, num_options: int) -> str:
    """The text without markup, boxes as statements, and letters of options as single characters of their own."""
    known = LETTERS[:num_options]

    def mark(letter: str, first: int = _FIRST) -> str:
        return chr(first + LETTERS.index(letter.upper()))

    def bracketed(match: re.Match[str]) -> str:
        letter = match[1] or match[2]
        return f" {mark(letter, _FIRST_IN_BRACKETS)} " if letter.upper() in known else match[0]

    def capital(match: re.Match[str]) -> str:
        word = match[1] in "AI" and _WORD_FOLLOWS.match(text, match.end())
        return mark(match[1]) if match[1] in known and not word else match[0]

    def small(match: re.Match[str]) -> str:
        return match[1] + mark(match[2]) if match[2].upper() in known else match[0]

    text = _cleaned(_without_boxes(text, known))
    text = _BRACKETED.sub(bracketed, text)
    text = _CAPITAL.sub(capital, text)
    text = _SMALL.sub(small, text)
    return _NOT.sub(r"\1", _BUT.sub(r"answer is \1", text))


def _without_boxes(text: str, known: str) -> str:
    """Every box becomes a line "Answer: ..."; boxes joined by "and" or a comma become one."""
    parts: list[str] = []
    end = 0
    for start, stop, content in boxes(text):
        if content.isalpha() and len(set(content)) > 1 and set(content) <= set(known):
            content = ",".join(content)
        between = text[end:start]
        if parts and re.fullmatch(r"[\s,;&$]*(?:and|or)?[\s,;&$]*", between):
            parts[-1] = f"{parts[-1].rstrip()}, {content}\n"
        else:
            parts += [between, f"\nAnswer: {content}\n"]
        end = stop
    return "".join([*parts, text[end:]])


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = _MARKUP.sub(" " if "\\" in text else "", _TEX.sub(r"\1", _TEX.sub(r"\1", text)))
    return re.sub(r"\n\s+", "\n", re.sub(r"[^\S\n]+", " ", text))


def _plain(text: str) -> str:
    """One spelling of an option's text, or of a line that may repeat it."""
    marks = {first + at: letter for at, letter in enumerate(LETTERS) for first in (_FIRST, _FIRST_IN_BRACKETS)}
    text = " ".join(_cleaned(text).translate(marks).casefold().split())
    return text.strip(" .,;:!")


def _last_statement(text: str, options: Sequence[str]) -> str | None:
    found = [match for pattern in (*_STATEMENTS, _CORRECT) for match in pattern.finditer(text)]
    for match in sorted(found, key=lambda match: match.end())[: -_MOST - 1 : -1]:
        if letters := _of_match(match, text, options):
            return letters
    return None


def _of_match(match: re.Match[str], text: str, options: Sequence[str]) -> str | None:
    """The letters of a statement, None where it makes none after all."""
    if match.re is _CORRECT:
        supposed = _SUPPOSED.search(text, max(0, match.start() - 40), match.start())
        return None if supposed else _joined(match[1])
    if _DENIED.search(match["between"]):
        return None
    rest = text[match.end() : match.end() + _LONGEST]
    return _of_statement(rest.lstrip(" \n:" if match[0][-1] in ":=" else " :"), options)


def _of_statement(rest: str, options: Sequence[str]) -> str | None:
    named = _NAMED.match(rest)
    if named and not _TAKEN_BACK.match(rest, named.end()):
        return _joined(named[1])
    line = _plain(rest.split("\n", 1)[0])
    found = [at for at, option in enumerate(options) if option and re.match(re.escape(option) + r"(?!\w)", line)]
    longest = max(found, key=lambda at: len(options[at]), default=None)
    return None if longest is None else LETTERS[longest]


def _of_line(lines: Sequence[str], at: int) -> str | None:
    """The letter that a line begins with, unless it belongs to a list of the options."""
    match = _LINE.match(lines[at])
    return _joined(match[1]) if match and not _listed(lines, at) else None


def _listed(lines: Sequence[str], at: int) -> bool:
    """Whether the first or last line begins with a letter, and the next or previous line with the one beside it."""
    here = _LINE.match(lines[at])
    beside = _LINE.match(lines[1 if at == 0 else at - 1]) if len(lines) > 1 else None
    return here is not None and beside is not None and _number(here[1]) - _number(beside[1]) == (-1 if at == 0 else 1)


def _repeated(line: str, options: Sequence[str]) -> str | None:
    line = _plain(line)
    held = [
        (at, option)
        for at, option in enumerate(options)
        if option and re.search(rf"(?<![\w.]){re.escape(option)}(?![\w]|[.,]\d)", line)
    ]
    widest = [at for at, text in held if not any(text != other and text in other for _, other in held)]
    return LETTERS[widest[0]] if len(widest) == 1 else None


def _alone(line: str) -> str | None:
    """The letter of the last sentence, if there is one alone where a letter can only be an option's."""
    sentences = [part for part in _SENTENCE_END.split(line) if part.strip()]
    if not sentences or _UNDECIDED.search(sentences[-1]) or line.rstrip().endswith("?"):
        return None
    letters = {_joined(match[0]) for match in _ALONE.finditer(sentences[-1])}
    return letters.pop() if len(letters) == 1 else None


def _number(mark: str) -> int:
    return ord(mark) & 0xFF


def _joined(marks: str) -> str:
    letters = dict.fromkeys(LETTERS[_number(mark)] for mark in re.findall(_L, marks))
    return ",".join(letters)
