"""The batch sizes that a plan is built for."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.errors import UsageError

__all__ = ["DEFAULT_PROFILE", "BatchProfile"]

_MOST_VIEWS = 1024


@dataclass(frozen=True)
class BatchProfile:
    """Smallest, usual and largest number of views in a batch.

    TensorRT chooses its kernels for the usual one, and reserves memory for the largest.

    Raises:
        UsageError: They are not in order, or not from 1 to 1024.
    """

    smallest: int
    usual: int
    largest: int

    def __post_init__(self) -> None:
        if not 1 <= self.smallest <= self.usual <= self.largest <= _MOST_VIEWS:
            raise UsageError(
                f"the batch sizes {self} are not in order, or not from 1 to {_MOST_VIEWS}",
                fix="example: --batch 1:27:54",
            )

    def __str__(self) -> str:
        return f"{self.smallest}:{self.usual}:{self.largest}"

    @classmethod
    def parse(cls, text: str) -> BatchProfile:
        """Reads `SMALLEST:USUAL:LARGEST`.

        Raises:
            UsageError: It is not three whole numbers in order.
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
            raise UsageError(f"'{text[:64]}' is not SMALLEST:USUAL:LARGEST", fix="example: --batch 1:27:54")
        smallest, usual, largest = (int(part) for part in parts)
        return cls(smallest, usual, largest)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes that are run; a batch in between is filled up to the next.

        A few more than the three of the profile, so that one view never costs as much as twenty-seven.
        """
        steps = {self.smallest, self.usual, self.largest}
        size = 1
        while size < self.largest:
            steps.add(size)
            size *= 3
        return tuple(sorted(step for step in steps if step >= self.smallest))

    def bucket(self, count: int) -> int:
        """The smallest batch size that holds `count` views, 1 to `largest`."""
        return next(size for size in self.buckets if size >= count)


DEFAULT_PROFILE = BatchProfile(1, 27, 54)
