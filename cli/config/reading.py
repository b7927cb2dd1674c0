"""A config file: read, bounded, checked against the settings that the commands have."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mvrec_edge.cli.config.checking import Refusal, checked, nearest, shown
from mvrec_edge.cli.config.renamed import new_key
from mvrec_edge.cli.config.setting import COMMAND_LINE_ONLY, SHARED_TABLES, Setting, command_line_only, shared_table
from mvrec_edge.cli.console import escaped

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["MAX_BYTES", "one_level", "read_config", "tables_of"]

#: A config file may be this long; the one that `init` writes has some 10 KB.
MAX_BYTES = 1 << 18

# The library takes the square of a name's parts. A line of file names may have many dots before an equals sign, too.
_MOST_DOTS = 256

Commands = Mapping[str, Mapping[str, Setting]]


def tables_of(commands: Commands) -> dict[str, dict[str, Setting]]:
    """The settings that each table may hold.

    Args:
        commands: The settings of each command, by its name.

    Returns:
        First the shared tables, then one table for each command, with all settings that it has.
    """
    shared: dict[str, dict[str, Setting]] = {table: {} for table in SHARED_TABLES}
    for name, settings in commands.items():
        for key, setting in settings.items():
            if (table := shared_table(name, key)) is not None:
                shared[table].setdefault(key, setting)
    in_order = {
        table: {key: shared[table][key] for key in keys if key in shared[table]}
        for table, keys in SHARED_TABLES.items()
    }
    return {**in_order, **{name: dict(settings) for name, settings in commands.items()}}


def read_config(path: Path, commands: Commands, command: str) -> dict[str, Any]:
    """Reads the settings of one command; the whole file is checked, the tables of other commands too.

    Args:
        path: The TOML file.
        commands: The settings of each command that takes a config file, by its name.
        command: The command that is run.

    Returns:
        Values by the name of the command's parameter; what its own table says comes before a shared table.

    Raises:
        InputError: The file cannot be read, is too large, or is not TOML.
        UsageError: It names an unknown table or setting, or a value does not fit.
    """
    tables = tables_of(commands)
    values: dict[str, Any] = {}
    document = one_level(_load(path), tables)
    for table in document:
        _check_table(path, table, document[table], tables)
    # The shared tables first, so that a command's own one has the last word.
    for table in (name for name in tables if name in document):
        for key, value in document[table].items():
            setting = _known(path, table, key, tables)
            try:
                fitting = checked(setting, value, path.parent)
            except Refusal as refusal:
                raise _usage(path, f"[{table}] '{key}' {refusal.what}", refusal.fix) from refusal
            own = commands[command].get(key)
            if own is not None and table in (command, shared_table(command, key)):
                values[own.parameter] = fitting
    return values


def one_level(document: Mapping[str, Any], tables: Collection[str]) -> dict[str, Any]:
    """A document whose tables within tables, `[support.add]`, stand beside the others, under their full names.

    Args:
        document: What TOML says.
        tables: The names of all tables that there are.
    """
    groups = {name.rpartition(".")[0] for name in tables} - {""}
    flat: dict[str, Any] = {}
    for name, content in document.items():
        if name in groups and isinstance(content, dict):
            flat |= {f"{name}.{inner}": values for inner, values in content.items()}
        else:
            flat[name] = content
    return flat


def _load(path: Path) -> dict[str, Any]:
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.files.regular_files import read_bounded
    from mvrec_edge.runtime.images.image_files import is_regular_file, why_no_file

    if not is_regular_file(path):
        raise InputError(
            why_no_file(path, "there is no such config file"),
            where=path,
            fix="'mvrec-edge init DIR' writes one with every setting",
        )
    try:
        data = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path, fix="give a config file") from error
    try:
        text = data.decode("utf-8-sig")
        if any(name.count(".") > _MOST_DOTS for line in text.split("\n") for name in _names_in(line)):
            raise InputError("has a name of too many parts", where=path, fix="write tables in lines of their own")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", where=path, fix="save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else shown_reason(error)
        raise InputError(f"is not valid TOML: {reason}", where=path, fix="texts and paths need quotes") from error


def _names_in(line: str) -> list[str]:
    """What may be the names of settings and tables in a line, with what else stands before them."""
    *before, rest = line.split("=")
    return [*before, rest] if line.lstrip().startswith("[") else before


def shown_reason(error: Exception) -> str:
    """What the TOML library says, short enough for a message and without control characters."""
    return escaped(" ".join(str(error).split()))[:200]


def _check_table(path: Path, table: str, content: Any, tables: Mapping[str, Mapping[str, Setting]]) -> None:
    if table in tables:
        if not isinstance(content, dict):
            raise _usage(path, f"'{table}' is a table", f"write [{table}] on a line of its own, and settings below it")
        return
    homes = _homes(table, tables)
    if homes and not isinstance(content, dict):
        raise _usage(path, f"'{shown(table)}' stands outside of every table", f"put it below {homes}")
    like = nearest(table, tables)
    fix = f"did you mean [{like}]?" if like else "there are " + ", ".join(f"[{name}]" for name in tables)
    raise _usage(path, f"there is no table [{shown(table)}]", fix)


def _known(path: Path, table: str, key: str, tables: Mapping[str, Mapping[str, Setting]]) -> Setting:
    setting = tables[table].get(key)
    if setting is not None:
        return setting
    what = f"[{table}] has no setting '{shown(key)}'"
    if (new := new_key(table, key)) is not None:
        raise _usage(path, f"{what} any more", f"it is named '{new}' now")
    if key in COMMAND_LINE_ONLY:
        raise _usage(path, what, f"give --{key.replace('_', '-')} on the command line, each time")
    if command_line_only(table, key):
        raise _usage(path, what, "it says what one call does: give it on the command line, each time")
    like = nearest(key, tables[table])
    if homes := _homes(key, tables):
        fix = f"it belongs below {homes}"
    elif like is not None:
        fix = f"did you mean '{like}'?"
    else:
        elsewhere = nearest(key, sorted({name for settings in tables.values() for name in settings}))
        if elsewhere is not None:
            fix = f"did you mean '{elsewhere}', below {_homes(elsewhere, tables)}?"
        else:
            fix = "it has " + ", ".join(tables[table])
    raise _usage(path, what, fix)


def _homes(key: str, tables: Mapping[str, Mapping[str, Setting]]) -> str:
    """The tables a setting may stand in, for a message; a command's own only where it shares none. Empty for none."""
    return " or ".join(
        f"[{table}]"
        for table, settings in tables.items()
        if key in settings and shared_table(table, key) in (None, table)
    )


def _usage(path: Path, what: str, fix: str) -> Exception:
    from mvrec_edge.runtime.errors import UsageError

    return UsageError(what, where=path, fix=fix)
