"""Options that have another name now: the old one is refused with the new one, on the command line and in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["RENAMED", "check_names", "new_key"]

#: The new name of each old one, by command.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "calibrate": {"--views": "--view-recipe"},
    "evaluate": {"--views": "--view-recipe"},
    "export": {"--calibration-views": "--calibration-view-recipe"},
    "bench": {"--views": "--views-per-defect"},
}


def check_names(command: str, words: Sequence[str]) -> None:
    """Refuses an old name on the command line.

    Args:
        command: The command, as `RENAMED` names it.
        words: What follows it.

    Raises:
        UsageError: A word is an old name.
    """
    old_names = RENAMED.get(command, {})
    for word in words:
        if word == "--":
            return
        if (new := old_names.get(word.partition("=")[0])) is not None:
            from mvrec_edge.runtime.errors import UsageError

            old = word.partition("=")[0]
            raise UsageError(f"'{command}' has no option {old} any more", fix=f"it is named {new} now")


def new_key(table: str, key: str) -> str | None:
    """The new name of a setting in a table of a config file; None where the key is no old name."""
    names = {_key(old): _key(new) for old, new in RENAMED.get(table, {}).items()}
    return names.get(key)


def _key(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
