"""Every setting with its default and meaning, in Markdown and for a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import tables_of
from mvrec_edge.cli.config.setting import SHARED_TABLES
from mvrec_edge.cli.config.tables import settings_page, settings_rows, settings_text, toml_value
from mvrec_edge.cli.main import app

COMMANDS = command_settings()


def test_every_setting_of_every_command_has_one_row() -> None:
    rows = settings_rows(COMMANDS)
    assert list(rows) == list(tables_of(COMMANDS))
    for name, settings in COMMANDS.items():
        for key in settings:
            homes = [
                table
                for table in (*SHARED_TABLES, name)
                if any(row.setting.key == key and name in row.commands for row in rows[table])
            ]
            assert len(homes) == 1, f"'{key}' of {name} stands in {homes}"
            (row,) = (row for row in rows[homes[0]] if row.setting.key == key)
            assert name in row.commands


def test_values_that_the_help_text_does_not_name_are_added() -> None:
    row = next(row for row in settings_rows(COMMANDS)["input"] if row.setting.key == "format")
    one = replace(row, setting=replace(row.setting, help="Either left or right.", choices=("left", "right")))
    assert one.meaning == "Either left or right."
    other = replace(one, setting=replace(one.setting, help="Where it goes."))
    assert other.meaning == "Where it goes. One of left, right."


def test_a_bar_in_a_text_does_not_end_a_cell() -> None:
    setting = replace(COMMANDS["classify"]["table"], help="This | that.", choices=())
    page = settings_page({"classify": {"table": setting}})
    assert "| This \\| that. |" in page


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_text_for_a_terminal_has_every_setting(width: int) -> None:
    text = settings_text(COMMANDS, width)
    for table, rows in settings_rows(COMMANDS).items():
        section = text.split(f"[{table}]\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines() if line[:3].strip() and line[0] == " "] == [
            row.setting.key for row in rows
        ]
    assert width < 80 or max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (5, "5"), ('a"b\u00e9', '"a\\"b\\u00e9"'), (("a", "b"), '["a", "b"]')],
)
def test_values_look_as_toml_writes_them(value: object, text: str) -> None:
    assert toml_value(value) == text


def test_the_command_prints_the_tables() -> None:
    result = CliRunner().invoke(app, ["settings"])
    assert (result.exit_code, result.output) == (0, settings_text(COMMANDS, 160) + "\n")


def test_the_command_prints_the_page() -> None:
    result = CliRunner().invoke(app, ["settings", "--markdown"])
    assert (result.exit_code, result.output) == (0, settings_page(COMMANDS))
