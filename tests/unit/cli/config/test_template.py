"""The config file that `init` writes holds every setting there is, and says the truth about each."""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import read_config, tables_of
from mvrec_edge.cli.config.setting import SHARED_TABLES
from mvrec_edge.cli.config.template import LAYOUT, render_template

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEMPLATE = render_template(command_settings())
_SHOWN = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)


def _in_force(text: str) -> dict[str, Any]:
    return tomllib.loads(_SHOWN.sub("", text))


def test_the_template_is_valid_as_it_stands_and_with_every_setting_in_force(tmp_path: Path) -> None:
    for text in (TEMPLATE, _SHOWN.sub("", TEMPLATE)):
        path = tmp_path / "c.toml"
        path.write_text(text)
        for command in command_settings():
            assert read_config(path, command_settings(), command)
    assert tomllib.loads(TEMPLATE) == {table: dict(LAYOUT.get(table, {})) for table in tables_of(command_settings())}


def test_the_template_lists_each_setting_once() -> None:
    document = _in_force(TEMPLATE)
    shared = {key for keys in SHARED_TABLES.values() for key in keys}
    assert {table: set(document[table]) for table in SHARED_TABLES} == {
        table: set(keys) for table, keys in SHARED_TABLES.items()
    }
    for command, settings in command_settings().items():
        missing = set(settings) - shared - set(document[command])
        assert not missing, f"the config file that init writes does not list {sorted(missing)} of {command}"
        assert set(document[command]) == set(settings) - shared


def test_every_documented_default_is_the_commands_own() -> None:
    document = _in_force(TEMPLATE)
    table = ""
    seen = 0
    for line in TEMPLATE.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        if (match := re.match(r"#([a-z_]+) = .*  # (.*)$", line)) is None:
            continue
        key, remark = match.groups()
        defaults = {
            command: settings[key].default
            for command, settings in command_settings().items()
            if key in settings and table in (command, *SHARED_TABLES)
        }
        expected = "the default" if next(iter(defaults.values())) is not None else "an example; by default not set"
        assert remark == expected, f"[{table}] {key}"
        for command, default in defaults.items():
            assert default is None or document[table][key] == default, f"[{table}] {key}, as {command} has it"
        seen += 1
    assert seen > 30


def test_every_setting_says_what_it_is_for() -> None:
    for command, settings in command_settings().items():
        for key, setting in settings.items():
            assert setting.help, f"'{key}' of {command} has no help, so the config file cannot say what it is for"
    lines = TEMPLATE.splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#?[a-z_]+ = ", line):
            assert before.startswith("# "), f"no comment above: {line}"


def test_the_layout_names_only_settings_there_are() -> None:
    tables = tables_of(command_settings())
    for table, values in LAYOUT.items():
        assert set(values) <= set(tables[table])


@pytest.mark.parametrize("kind", ["path", "text", "integer", "number", "switch"])
@pytest.mark.parametrize("many", [False, True])
def test_an_option_that_appears_later_is_listed(tmp_path: Path, kind: Any, many: bool) -> None:
    commands = command_settings()
    later = replace(
        commands["classify"]["overlay"], key="later", parameter="later", kind=kind, many=many, low=None, help="New."
    )
    commands["classify"]["later"] = later
    text = render_template(commands)
    assert "# New.\n#later = " in text
    path = tmp_path / "c.toml"
    path.write_text(_SHOWN.sub("", text))
    assert "later" in read_config(path, commands, "classify")
