"""The word that somebody types: as each shell gives it, and what the shell puts in its place.

bash gives the words of the line with their quotes, split at `:`, `=` and `@` too, and puts an answer in the place of
the last piece alone, as it is. Inside quotes a backslash would become a part of the name. zsh and fish put it in the
place of the whole word and quote it by themselves; PowerShell does the first, and not the second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, MutableMapping
from typing import Any, NamedTuple

__all__ = ["join_bash_words", "offered"]

_COMPLETE = "_MVREC_EDGE_COMPLETE"
# A word that bash made of what it splits at.
_BREAKS = re.compile(r"[:=@]+")
_TO_ESCAPE = re.compile(r"([^\w.,:+@%/-])")
_PLAIN_IN_POWERSHELL = re.compile(r"[\w.,:+/-]+")
_OPTION = re.compile(r"--[\w-]+=")


class _Typed:
    """What bash replaces of the word at the cursor, and the quotes around it; `join_bash_words` finds it."""

    replaced = ""
    quote = ""


def join_bash_words(environment: MutableMapping[str, str]) -> None:
    """Puts together what bash has split, before typer reads it; does nothing for another shell.

    Args:
        environment: The environment, of which `COMP_WORDS` and `COMP_CWORD` are changed.
    """
    if not environment.get(_COMPLETE, "").endswith("complete_bash"):
        return
    _Typed.replaced = _Typed.quote = ""
    words, at = _split(environment.get("COMP_WORDS", "")), environment.get("COMP_CWORD", "")
    if not at.isdecimal() or int(at) >= len(words):
        return
    joined = _joined(words[: int(at) + 1])
    read = _read(_replaced(joined[-1]))
    # From an open quote on, where there is one.
    _Typed.quote, _Typed.replaced = read.quote, read.inside if read.quote else read.text
    environment["COMP_WORDS"] = "\n".join("".join(pieces) for pieces in joined)
    environment["COMP_CWORD"] = str(len(joined) - 1)


def offered(names: Iterable[str], typed: str) -> list[str]:
    """The names that begin as the word does, each as the shell that asks has to put it on the line.

    Args:
        names: Whatever there is.
        typed: The word as typer gives it: without quotes but in PowerShell, and without the option before a `=`.
    """
    shell = os.environ.get(_COMPLETE, "").rpartition("_")[2]
    quote = typed[:1] if shell in ("powershell", "pwsh") and typed[:1] in ("'", '"') else ""
    begins = typed.removeprefix(quote)
    found = [name for name in names if name.startswith(begins)]
    if shell == "bash":
        there = max(0, len(typed) - len(_Typed.replaced))
        left = [name[there:] for name in found]
        return [_Shaped(name if _Typed.quote else _TO_ESCAPE.sub(r"\\\1", name)) for name in left]
    if shell in ("powershell", "pwsh"):
        plain = [not quote and _PLAIN_IN_POWERSHELL.fullmatch(name) for name in found]
        around = quote or "'"
        found = [name if bare else around + name + around for name, bare in zip(found, plain, strict=True)]
    option = _OPTION.match(_split(os.environ.get("_TYPER_COMPLETE_ARGS", ""))[-1])
    return [_Shaped((option[0] if option else "") + name) for name in found]


class _Shaped(str):
    """A name as it has to stand on the line; it need not begin as what was typed does."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        """Whether typer may offer it, which has been found out already."""
        return True


def _split(line: str) -> list[str]:
    """The words with their quotes. typer's script has bash put line ends between them, the others blanks."""
    if "\n" in line:
        return line.split("\n")
    words = [""]
    for character in line:
        read = _read(words[-1]) if character == " " else None
        if read is not None and not read.quote and not read.escaped:
            words.append("")
        else:
            words[-1] += character
    return words


def _joined(words: list[str]) -> list[list[str]]:
    """The words, each in the pieces that bash made of it."""
    joined: list[list[str]] = [words[:1]]
    for word in words[1:]:
        before = joined[-1]
        if _BREAKS.fullmatch(word):
            # A value may begin with an @, and no option holds one.
            belongs = len(joined) > 1 and not (word[0] == "@" and before[-1].startswith("-"))
        else:
            belongs = word != "" and _BREAKS.fullmatch(before[-1]) is not None
        if belongs:
            before.append(word)
        else:
            joined.append([word])
    return joined


def _replaced(pieces: list[str]) -> str:
    """What bash replaces of a word: what is behind the last `:` or `=`, or the last `@` and what is behind that."""
    breaks, rest = (pieces[-1], "") if _BREAKS.fullmatch(pieces[-1]) else ("".join(pieces[-2:-1]), pieces[-1])
    at = breaks.find("@")
    return (breaks[at:] if at >= 0 else "") + rest


class _Read(NamedTuple):
    """A word as bash reads it.

    Attributes:
        text: Without quotes and backslashes.
        quote: The quote that is still open at the end; empty if none is.
        inside: What stands behind that quote.
        escaped: Whether a backslash at the end waits for its character.
    """

    text: str
    quote: str
    inside: str
    escaped: bool


def _read(word: str) -> _Read:
    text, quote, opened, escaped = "", "", 0, False
    for place, character in enumerate(word):
        if escaped:
            text, escaped = text + character, False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote and character == quote:
            quote = ""
        elif not quote and character in ("'", '"'):
            quote, opened = character, place + 1
        else:
            text += character
    return _Read(text, quote, word[opened:] if quote else "", escaped)
