"""docs/config.md is what the command prints, names every setting that the commands have, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mvrec_edge.cli.config.command import CONFIGURED, command_settings
from mvrec_edge.cli.config.reading import read_config, tables_of
from mvrec_edge.cli.config.setting import SHARED_TABLES, shared_table
from mvrec_edge.cli.config.tables import settings_page
from tests.docs.page import DOCS

PAGE = (DOCS / "config.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_command_prints() -> None:
    assert settings_page(command_settings()) == PAGE, "the commands' options have changed: run 'make docs'"


@pytest.mark.parametrize("table", tables_of(command_settings()))
def test_the_page_lists_exactly_the_settings_there_are(table: str) -> None:
    """Read off the commands themselves, and not from what writes the page."""
    found = re.search(rf"^## \[{table}\]$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section for [{table}]"
    listed = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \| (.+?) \| ", found[1], re.MULTILINE)
    commands = command_settings()
    if table in SHARED_TABLES:
        expected = [key for key in SHARED_TABLES[table] if any(key in settings for settings in commands.values())]
    else:
        expected = [key for key in commands[table] if shared_table(table, key) is None]
    assert [key for key, _, _ in listed] == expected
    for key, spelled, default in listed:
        owners = [name for name in commands if key in commands[name] and table in (name, shared_table(name, key))]
        setting = commands[owners[0]][key]
        assert spelled == setting.spelled
        if setting.required:
            assert default == "must be given"
        elif setting.default is None:
            assert default == "none"
        else:
            assert re.fullmatch(rf'`"?{re.escape(str(setting.default))}"?`', default, re.IGNORECASE)


def test_the_page_has_no_table_that_the_file_cannot_have() -> None:
    assert re.findall(r"^## \[(.+)\]$", PAGE, re.MULTILINE) == list(tables_of(command_settings()))


def test_the_commands_that_take_a_config_file_are_named() -> None:
    for name in CONFIGURED:
        assert f"`{name.replace('.', ' ')}`" in PAGE


def test_the_example_is_a_config_file(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert examples
    path = tmp_path / "c.toml"
    for example in examples:
        path.write_text(example)
        for command in command_settings():
            values = read_config(path, command_settings(), command)
            assert values or command not in ("calibrate", "classify", "evaluate")


def test_a_commands_own_table_comes_before_a_shared_one(tmp_path: Path) -> None:
    """As the page says of its example, in which [classify] sets what [engine] sets for all."""
    (example,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "c.toml"
    path.write_text(example)
    for command, threads in (("classify", 4), ("calibrate", 2)):
        assert f"`{command}` runs on {threads} threads" in PAGE
        assert read_config(path, command_settings(), command)["threads"] == threads
