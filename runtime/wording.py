"""Numbers in sentences: one region, two regions."""

from __future__ import annotations

__all__ = ["counted"]

_HISSING = ("s", "x", "ch", "sh")


def counted(count: int, noun: str) -> str:
    """A number with its noun, for whatever a person reads: `1 region`, `2 regions`, `0 classes`.

    Args:
        count: How many, at least 0.
        noun: The noun in the singular, with an `s` or `es` in the plural; words may stand before it, as in
            `"support instance"`.
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith(_HISSING) else 's'}"
