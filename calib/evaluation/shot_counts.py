"""How many instances of each class a draw takes: one number for all, or a number of its own for each class."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from mvrec_edge.calib.setting_checks import check_integer
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.wording import counted

__all__ = ["ShotRange", "Shots", "in_order", "most_shots", "parse_shots", "shots_of_classes", "shots_words"]


@dataclass(frozen=True)
class ShotRange:
    """Each class gets its own number of shots, drawn uniformly from `low` to `high`, both included.

    Supports that grow on the line are like that: frequent defects have more examples than rare ones.

    Attributes:
        low: Fewest shots of a class, at least 1.
        high: Most shots of a class, above `low`.

    Raises:
        UsageError: It is no such range.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        for what, value in (("the fewest shots", self.low), ("the most shots", self.high)):
            check_integer(what, value)
        if not 1 <= self.low < self.high:
            raise UsageError(
                f"'{self}' is not a range of shots", fix="give the fewest, at least 1, and the most, such as 2-5"
            )

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


#: A number of shots for every class, or a range that each class's own number is drawn from.
Shots = int | ShotRange


def most_shots(shots: Shots) -> int:
    """The most shots that a class can get."""
    return shots.high if isinstance(shots, ShotRange) else shots


def in_order(shots: Iterable[Shots]) -> tuple[Shots, ...]:
    """Fewest first, each once; by the most shots of a class, and a range before the plain number that it reaches."""
    return tuple(
        sorted(
            set(shots),
            key=lambda each: (each.high, 0, each.low) if isinstance(each, ShotRange) else (each, 1, each),
        )
    )


def shots_words(shots: Shots) -> str:
    """`1 shot`, `3 shots`, `2-5 shots`."""
    return f"{shots} shots" if isinstance(shots, ShotRange) else counted(shots, "shot")


def parse_shots(text: str) -> tuple[Shots, ...]:
    """Reads numbers and ranges of shots with commas between them, such as `1,3,2-5`.

    Returns:
        Each once, in order; see `in_order`. `3-3` is 3.

    Raises:
        UsageError: It is no such list.
    """
    found: list[Shots] = []
    try:
        for part in text.split(","):
            low, dash, high = part.partition("-")
            found.append(ShotRange(int(low), int(high)) if dash and int(low) != int(high) else int(low))
    except ValueError:
        found = []
    if not found or any(isinstance(each, int) and each < 1 for each in found):
        raise UsageError(
            f"'{text}' is not a list of numbers of shots", fix="example: --shots 1,3,5, or --shots 2-5 for a range"
        )
    return in_order(found)


def shots_of_classes(shots: Shots, classes: int, seed: int) -> tuple[int, ...]:
    """How many shots each class gets in a draw.

    The numbers of a range come from Python's generator, seeded by the draw's seed under a name of its own: seeded by
    the number alone, it would repeat the values that shuffle the instances (`sample_shots`), and the two choices would
    hang together.

    Args:
        shots: A number, or a range.
        classes: N.
        seed: Seed of the draw.

    Returns:
        One number for each class, `[N]`, in the order of the class indices.
    """
    if not isinstance(shots, ShotRange):
        return (shots,) * classes
    generator = random.Random(f"shots of classes, seed {seed}")  # noqa: S311 (to be repeated, not a secret)
    return tuple(generator.randint(shots.low, shots.high) for _ in range(classes))
