"""The sizes of windows in source pixels, as they are given and checked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mvrec_edge.runtime.errors import UsageError

__all__ = [
    "LARGEST_WINDOW_SIZE",
    "MOST_WINDOW_SIZES",
    "SMALLEST_WINDOW_SIZE",
    "check_window_sizes",
    "listed_sizes",
    "parse_window_sizes",
]

#: Sides that may be asked for, in source pixels.
SMALLEST_WINDOW_SIZE, LARGEST_WINDOW_SIZE = 16, 16384
#: Five sizes with nine shifts each are 45 views.
MOST_WINDOW_SIZES = 5

_EXAMPLE = "example: --window-sizes 128,192,256"


def check_window_sizes(sizes: Sequence[int]) -> None:
    """Refuses sizes that no recipe takes.

    Args:
        sizes: Sides in source pixels.

    Raises:
        UsageError: There are none or more than five, one is no whole number from 16 to 16384, or they do not increase.
    """
    if not 1 <= len(sizes) <= MOST_WINDOW_SIZES:
        raise UsageError(f"1 to {MOST_WINDOW_SIZES} window sizes can be given, not {len(sizes)}", fix=_EXAMPLE)
    for size in sizes:
        if type(size) is not int or not SMALLEST_WINDOW_SIZE <= size <= LARGEST_WINDOW_SIZE:
            raise UsageError(
                f"a window size is a whole number of pixels from {SMALLEST_WINDOW_SIZE} to {LARGEST_WINDOW_SIZE}, "
                f"not {size}",
                fix=_EXAMPLE,
            )
    if any(size >= after for size, after in pairwise(sizes)):
        raise UsageError(f"window sizes must increase, each given once; {listed_sizes(sizes)} do not", fix=_EXAMPLE)


def listed_sizes(sizes: Sequence[float]) -> str:
    """Sizes as `parse_window_sizes` reads them, such as `128,192,256`."""
    return ",".join(f"{size:g}" for size in sizes)


def parse_window_sizes(text: str) -> tuple[int, ...]:
    """Reads sizes such as `128,192,256`.

    Raises:
        UsageError: It is no list of whole numbers, or as for `check_window_sizes`.
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"'{text}' is not a list of window sizes", fix=_EXAMPLE) from None
    check_window_sizes(sizes)
    return sizes
