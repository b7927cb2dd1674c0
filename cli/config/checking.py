"""A value of a config file against the setting it is for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mvrec_edge.cli.config.setting import Kind, Setting
from mvrec_edge.cli.console import escaped
from mvrec_edge.runtime.wording import counted

__all__ = ["Refusal", "checked", "nearest", "shown"]

_MOST_ITEMS = 10_000
_LONGEST_TEXT = 4096
_LONGEST_SHOWN = 60

_WANTED: dict[Kind, str] = {
    "path": "a path in quotes",
    "text": "a text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "switch": "true or false",
}


class Refusal(Exception):  # noqa: N818 - becomes an error with the file's name where it is caught
    """A value that does not fit.

    Args:
        what: What is wrong, after the name of the setting.
        fix: What would be right.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def shown(name: object) -> str:
    """A name out of a file, short enough for a message and without control characters."""
    text = escaped(str(name))
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, or None where nothing is like it."""
    tidy = name[:_LONGEST_SHOWN].strip().lower().lstrip("-").replace("-", "_")
    found = difflib.get_close_matches(tidy, list(known), n=1)
    return found[0] if found else None


def checked(setting: Setting, value: Any, folder: Path) -> Any:
    """A value of a TOML file as the command wants it.

    Args:
        setting: What it is for.
        value: What TOML says.
        folder: The config file's folder, where its relative paths begin.

    Returns:
        The value; of a path, the text of the path from the current folder; of a number that stands for a text, its
        text.

    Raises:
        Refusal: It is of another type, or out of range.
    """
    if not setting.many:
        return _single(setting, value, folder)
    if not isinstance(value, list):
        raise Refusal(
            f"is {_called(value)}, and a list is wanted", f"write it in brackets: {setting.key} = [{_example(setting)}]"
        )
    if not 0 < len(value) <= _MOST_ITEMS:
        raise Refusal(f"has {counted(len(value), 'item')}", f"give 1 to {_MOST_ITEMS}")
    return [_single(setting, item, folder) for item in value]


def _single(setting: Setting, value: Any, folder: Path) -> Any:
    if setting.or_number and _fits("number", value):
        # What it means, and whether it is in range, is for the option to say, as on the command line.
        return str(value)
    wanted = "a number or a text in quotes" if setting.or_number else _WANTED[setting.kind]
    if not _fits(setting.kind, value):
        raise Refusal(f"is {_called(value)}, and {wanted} is wanted", f"example: {setting.key} = {_example(setting)}")
    if isinstance(value, str):
        if not value.strip() or len(value) > _LONGEST_TEXT or "\0" in value:
            raise Refusal(
                f"has to be a text of 1 to {_LONGEST_TEXT} characters", "leave the line out to keep the default"
            )
        if setting.choices and value not in setting.choices:
            like = nearest(value, setting.choices)
            guess = f"did you mean '{like}'? It is " if like else ""
            raise Refusal(f"cannot be '{shown(value)}'", f"{guess}one of {', '.join(setting.choices)}")
        return str(folder / value) if setting.kind == "path" and value not in setting.words else value
    too_small = setting.low is not None and value < setting.low
    too_large = setting.high is not None and value > setting.high
    if too_small or too_large:
        raise Refusal(f"is {shown(value)}", f"give {_range(setting)}")
    return value


def _fits(kind: Kind, value: Any) -> bool:
    if kind in ("path", "text"):
        return isinstance(value, str)
    if kind == "switch":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return not _is_too_long(value)
    return kind == "number" and isinstance(value, float) and math.isfinite(value)


def _is_too_long(value: int) -> bool:
    """Whether a number does not fit into 64 bits: the command line has no use for one, and no float may hold it."""
    return abs(value) >= 1 << 63


def _called(value: Any) -> str:
    """What kind of thing TOML has given, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{shown(value)}'"
    if isinstance(value, int) and _is_too_long(value):
        return "a number beyond 64 bits"
    if isinstance(value, int | float):
        return f"the number {shown(value)}"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"


def _example(setting: Setting) -> str:
    if setting.kind == "integer":
        return str(int(setting.low or 1))
    if setting.kind == "number":
        return "1.0"
    if setting.kind == "switch":
        return "true"
    text = setting.choices[0] if setting.choices else str(setting.default or "...") if setting.or_number else "..."
    return f'"{text}"'


def _range(setting: Setting) -> str:
    if setting.low is not None and setting.high is not None:
        return f"{setting.low:g} to {setting.high:g}"
    return f"at least {setting.low:g}" if setting.low is not None else f"at most {setting.high:g}"
