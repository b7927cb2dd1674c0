"""Earlier states of a file, kept beside it under numbers: `NAME.1`, `NAME.2` and so on, the newest the highest."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mvrec_edge.runtime.files import atomic_write, sha256_file, sync_folder, writing

__all__ = ["NumberedFiles"]


class NumberedFiles:
    """The numbered states of one file. Whoever changes them holds the file's lock (`file_lock.locked`).

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # At most nine digits, so that a date somebody appended is not taken for a number of ours.
        self._pattern = re.compile(re.escape(f"{path.name}.") + r"([1-9][0-9]{0,8})")

    def at(self, number: int) -> Path:
        """The place of a state."""
        return self.path.with_name(f"{self.path.name}.{number}")

    def numbers(self) -> list[int]:
        """The numbers of the states there are, ascending. A folder, a pipe or a link to nowhere is none."""
        return [number for number in self._taken() if self.at(number).is_file()]

    def next_number(self) -> int:
        """The number after the highest."""
        return max(self._taken(), default=0) + 1

    def _taken(self) -> list[int]:
        found = (self._pattern.fullmatch(each.name) for each in self.path.parent.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def keep_present(self) -> int:
        """Keeps the file's present state under the next number; the file stays where it is.

        Returns:
            The number.

        Raises:
            OutputError: The folder cannot be written.
        """
        number = self.next_number()
        place = self.at(number)
        with writing(place):
            try:
                # A second name for the same bytes, at once: nothing here writes into a file in place.
                place.hardlink_to(self.path)
                sync_folder(place.parent)
            except FileExistsError:
                raise
            except OSError:
                # A file system without hard links.
                with self.path.open("rb") as source, atomic_write(place) as target:
                    shutil.copyfileobj(source, target)
        return number

    def drop_double(self) -> None:
        """Removes the highest state where it is the file's present one: what a change leaves that was cut off."""
        numbers = self.numbers()
        if not numbers or not self.path.exists():
            return
        highest = self.at(numbers[-1])
        if highest.stat().st_size == self.path.stat().st_size and sha256_file(highest) == sha256_file(self.path):
            with writing(highest):
                highest.unlink()

    def prune(self, keep: int) -> None:
        """Removes the lowest numbers until at most `keep` states are left."""
        numbers = self.numbers()
        for number in numbers[: max(len(numbers) - keep, 0)]:
            with writing(self.at(number)):
                self.at(number).unlink(missing_ok=True)
