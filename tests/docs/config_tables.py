"""The tables of docs/config.md as the commands' own options say them."""

from __future__ import annotations

import json
from typing import Any

from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import tables_of
from mvrec_edge.cli.config.settings import SHARED_TABLES, Setting

__all__ = ["expected_tables"]


def expected_tables() -> dict[str, list[str]]:
    """The rows that each table of a config file should have on the page, without the head, by the table's name."""
    commands = command_settings()
    shared = {key for keys in SHARED_TABLES.values() for key in keys}
    rows: dict[str, list[str]] = {}
    for table, settings in tables_of(commands).items():
        rows[table] = []
        for key, setting in settings.items():
            users = [name for name in commands if key in commands[name]]
            if table in SHARED_TABLES:
                # As the first command has it, which may require what another can do without.
                rows[table].append(_row(commands[users[0]][key], users))
            elif key not in shared:
                rows[table].append(_row(setting, None))
    return rows


def _row(setting: Setting, commands: list[str] | None) -> str:
    cells = [f"`{setting.key}`", f"`{setting.spelled}`", _default(setting), setting.help]
    if commands is not None:
        cells.insert(3, ", ".join(commands))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(setting: Setting) -> str:
    if setting.required:
        return "must be given"
    return "none" if setting.default is None else f"`{_toml(setting.default)}`"


def _toml(value: Any) -> str:
    return json.dumps(value if isinstance(value, str | bool | int | float) else str(value))
