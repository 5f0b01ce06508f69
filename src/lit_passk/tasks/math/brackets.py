"""Lists of tokens cut where no bracket surrounds them."""

from __future__ import annotations

from lit_passk.tasks.math.latex import Token

_AROUND = {",", ";", ":", ".", "\\\\", "\\therefore", "\\Rightarrow", "\\implies"}
_FILLERS = {"therefore", "thus", "hence"}
_NESTING = dict.fromkeys(("(", "[", "{", "\\{", "\\langle", "\\lfloor", "\\lceil", "\\begin", "\\begincases"), 1) | (
    dict.fromkeys((")", "]", "}", "\\}", "\\rangle", "\\rfloor", "\\rceil", "\\end", "\\endcases"), -1)
)


def trimmed(tokens: list[Token]) -> list[Token]:
    """Without what stands around an answer and says nothing."""
    begin, end = 0, len(tokens)
    while begin < end and (tokens[begin].text in _AROUND or tokens[begin].text.lower() in _FILLERS):
        begin += 1
    while begin < end and tokens[end - 1].text in {",", ";", ":", ".", "\\\\"}:
        end -= 1
    tokens = tokens[begin:end]
    while len(tokens) > 2 and tokens[0].text == "{" and tokens[-1].text == "}" and closes(tokens) == len(tokens):
        tokens = tokens[1:-1]
    return tokens


def closes(tokens: list[Token]) -> int:
    """The place behind the bracket that closes the first token."""
    level = 0
    for place, token in enumerate(tokens):
        level += nesting(token)
        if level == 0:
            return place + 1
    return -1


def nesting(token: Token) -> int:
    """1 for what opens a bracket, -1 for what closes one, else 0."""
    return 0 if token.kind == "word" else _NESTING.get(token.text, 0)


def split(tokens: list[Token], separators: set[str]) -> tuple[list[list[Token]], list[str]]:
    """Cut at the separators that no bracket surrounds: the parts, and which separators they were."""
    parts: list[list[Token]] = [[]]
    found: list[str] = []
    level = 0
    for token in tokens:
        level += nesting(token)
        if level == 0 and token.text in separators:
            found.append(token.text)
            parts.append([])
        else:
            parts[-1].append(token)
    return parts, found
