"""Class names that are so much alike that one may be a slip for the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["close_label"]

_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")

# Of names up to so many letters, how many may differ; of shorter ones none, as `pit` and `pin` are two words.
_SLIPS = ((3, 0), (6, 1))
_MOST_SLIPS = 2
_LONGEST = 200


def close_label(name: str, known: Iterable[str]) -> str | None:
    """The known class name that another may be a slip for; None where there is none, or where it is known itself.

    Alike are names that differ in case, blanks, hyphens, underscores or the way a letter is encoded alone, and names in
    which one letter is left out, added, replaced or exchanged with the next one; in names of more than six letters two.
    Names with different numbers are not alike, nor are those that differ in single letters that stand alone: `type A`
    and `type B` are two classes.

    Args:
        name: The name.
        known: The names that are there.
    """
    known = tuple(known)
    if name in known:
        return None
    candidates = [(_distance(name, other), other) for other in known]
    near = [(distance, other) for distance, other in candidates if distance is not None]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _distance(first: str, second: str) -> int | None:
    """In how many letters two names differ; None where that is no slip."""
    words = [_words(name) for name in (first, second)]
    if _DIGITS.findall(" ".join(words[0])) != _DIGITS.findall(" ".join(words[1])):
        return None
    if len(words[0]) == len(words[1]):
        differing = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
        if differing and all(len(word) == 1 for pair in differing for word in pair):
            return None
    one, other = ("".join(each)[:_LONGEST] for each in words)
    longest = max(len(one), len(other))
    allowed = next((slips for length, slips in _SLIPS if longest <= length), _MOST_SLIPS)
    distance = _slips(one, other)
    return distance if distance <= allowed else None


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", name).casefold()
    return [word for word in _SEPARATORS.split(plain) if word]


def _slips(first: str, second: str) -> int:
    """Letters left out, added, replaced, or exchanged with the next one (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for at, letter in enumerate(first, 1):
        following = [at]
        for place, other in enumerate(second, 1):
            cost = min(row[place] + 1, following[-1] + 1, row[place - 1] + (letter != other))
            if at > 1 and place > 1 and letter == second[place - 2] and first[at - 2] == other:
                cost = min(cost, before[place - 2] + 1)
            following.append(cost)
        before, row = row, following
    return row[-1]
