"""Every setting of a config file with its default and meaning, for the page of the documentation and the terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvrec_edge.cli.config.reading import tables_of
from mvrec_edge.cli.config.setting import SHARED_TABLES, Setting, shared_table

__all__ = ["Row", "about_table", "settings_page", "settings_rows", "settings_text", "toml_value"]

_SHARED: Mapping[str, str] = {
    "paths": "Files that several commands use.",
    "engine": "The engine and how it runs, for every command. A command's own table may hold these settings "
    "too, and comes first.",
    "input": "How labelled images are read, for every command. A command's own table may hold these settings "
    "too, and comes first.",
}

_PAGE_HEAD = """\
# Settings from a file

With `--config`, a command takes its settings from a TOML file, so that all settings of a line are in one place. Every
command that reads or writes files has it, but `init`, which writes such a file: {commands}.

```
mvrec-edge calibrate --config mvrec-edge.toml
mvrec-edge classify --config mvrec-edge.toml
mvrec-edge evaluate --config mvrec-edge.toml --shots 1,3
mvrec-edge support add --config mvrec-edge.toml part7.jpg --label dent
```

`mvrec-edge init line1` writes a file with every setting, its default and its meaning. `mvrec-edge settings` prints the
tables below for the installed version, and with `--markdown` this page. A file needs only the settings that differ from
the defaults:

```toml
[paths]
bundle = "encoder.bundle"
cache = "line.safetensors"

[engine]
threads = 2

[calibrate]
support = "labelled"
out = "line.safetensors"
shots = 5

[classify]
inputs = ["incoming"]
out = "results/results.jsonl"
threads = 4

[evaluate]
support = "labelled"
```

## Which value is used

The value of a setting is taken from the first of these places that has it:

1. The command line.
2. The command's own table in the file: above, `classify` runs on 4 threads.
3. The shared tables `[paths]`, `[engine]` and `[input]` in the file: `calibrate` runs on 2 threads.
4. The default.

- A setting has the name of its option without the leading dashes, with `_` for `-`: `--min-area` is `min_area`. The
  arguments, which have no dashes, are the settings `bundle`, `support`, `cache` and `inputs`.
- The file fills in the first arguments, the command line the last ones. With `bundle` and `cache` in the file,
  `mvrec-edge classify --config mvrec-edge.toml elsewhere/` classifies the folder `elsewhere/`.
- What the command line gives excludes from the file what it does not go with. With `checkpoint` in the file,
  `mvrec-edge export --config mvrec-edge.toml --random-weights pocket` draws weights. `--features` of `evaluate` and
  its sets exclude one another in the same way.
- A relative path in the file begins at the folder of the file; one on the command line begins at the current folder.
- Texts and paths stand in quotes. Where the text of a setting is a number, the quotes may be left out: `views = 3`,
  `risk = 0.01`, `reject_rate = 0.05`, `right_at_least = 0.95`, and one number as `shots`, `batch` or `window_sizes`.
- A switch is `true` or `false`. On the command line, `--jsonl` overrides `table = true`.
- `--overwrite` is never taken from a file: the command line must ask for the replacement of files each time. The same
  holds for `--force`, `--accept` and `--new-class`, which overrule a check, and for what one call of `support` is
  about, such as the defects to add and their `--label`.
- `inspect` shows a bundle or a cache, so it takes neither from `[paths]`. Give it the path on the command line, or
  write `path` below `[inspect]`.
- The tables of the commands of `support` are `[support.add]`, `[support.remove]` and so on. With `cache` in the file,
  all words behind `support add --config mvrec-edge.toml` are defects to add.
- The default "none" means that the setting has no value; the last column says what the command does then.
- The whole file is checked, the tables of other commands too. A misspelled name is an error that names the nearest
  right one.
"""


@dataclass(frozen=True)
class Row:
    """One setting in one table.

    Attributes:
        setting: The setting, as the first command that has it declares it.
        commands: The commands that take it.
    """

    setting: Setting
    commands: tuple[str, ...]

    @property
    def default(self) -> str:
        """The default as TOML writes it; `must be given` or `none` where there is none."""
        if self.setting.required:
            return "must be given"
        return "none" if self.setting.default is None else toml_value(self.setting.default)

    @property
    def meaning(self) -> str:
        """The help text, with the values there are where it does not name all of them."""
        text, choices = self.setting.help, self.setting.choices
        return text if all(choice in text for choice in choices) else f"{text} One of {', '.join(choices)}."


def settings_rows(commands: Mapping[str, Mapping[str, Setting]]) -> dict[str, list[Row]]:
    """The rows of each table of a config file; what a shared table holds is not repeated in a command's own.

    Args:
        commands: The settings of each command that takes a config file, by its name.

    Returns:
        The rows by the name of the table, in the order in which `init` writes them.
    """
    rows: dict[str, list[Row]] = {}
    for table, settings in tables_of(commands).items():
        keys = [key for key in settings if table in SHARED_TABLES or shared_table(table, key) is None]
        rows[table] = []
        for key in keys:
            users: tuple[str, ...] = (table,)
            if table in SHARED_TABLES:
                users = tuple(name for name in commands if key in commands[name] and shared_table(name, key) == table)
            # As the first command has it, which may require what another can do without.
            rows[table].append(Row(commands[users[0]][key], users))
    return rows


def about_table(table: str) -> str:
    """One or two sentences on what a table is for."""
    return _SHARED.get(table, f"Settings of 'mvrec-edge {table.replace('.', ' ')}' alone.")


def toml_value(value: Any) -> str:
    """A value as TOML writes it; texts and lists of them look as in JSON there."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=True)
    return json.dumps(str(value), ensure_ascii=True)


def settings_page(commands: Mapping[str, Mapping[str, Setting]]) -> str:
    """The page `docs/config.md`: how a config file is read, and a Markdown table for each of its tables."""
    named = ", ".join(f"`{name.replace('.', ' ')}`" for name in commands)
    lines = [_PAGE_HEAD.replace("{commands}", named)]
    for table, rows in settings_rows(commands).items():
        used_by = table in SHARED_TABLES
        head = ["setting", "command line", "default", *(["used by"] if used_by else []), "meaning"]
        lines += [f"## [{table}]\n\n{about_table(table)}\n", _line(head), _line(["---"] * len(head))]
        for row in rows:
            default = row.default if row.setting.required or row.setting.default is None else f"`{row.default}`"
            cells = [f"`{row.setting.key}`", f"`{row.setting.spelled}`", default, row.meaning]
            if used_by:
                cells.insert(3, ", ".join(command.replace(".", " ") for command in row.commands))
            lines.append(_line(cells))
        lines.append("")
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def settings_text(commands: Mapping[str, Mapping[str, Setting]], width: int) -> str:
    """The same tables for a terminal.

    Args:
        commands: The settings of each command that takes a config file, by its name.
        width: Columns of the terminal; the meanings are wrapped to it.

    Returns:
        Lines without one at the end.
    """
    tables = settings_rows(commands)
    every = [row for rows in tables.values() for row in rows]
    key_width = max(len(row.setting.key) for row in every) + 2
    default_width = max(len(row.default) for row in every) + 2
    hang = " " * (2 + key_width + default_width)
    blocks = []
    for table, rows in tables.items():
        lines = [f"[{table}]", *textwrap.wrap(about_table(table), width)]
        for row in rows:
            start = f"  {row.setting.key:<{key_width}}{row.default:<{default_width}}"
            # A narrow terminal wraps by itself, better than one word on each line.
            wide = max(width, len(hang) + 24)
            lines += textwrap.wrap(row.meaning, wide, initial_indent=start, subsequent_indent=hang)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
