"""docs/config.md lists exactly the settings that the commands have, with their defaults, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mvrec_edge.cli.config.command import CONFIGURED, command_settings
from mvrec_edge.cli.config.reading import read_config
from tests.docs.config_tables import expected_tables
from tests.docs.page import DOCS

PAGE = (DOCS / "config.md").read_text(encoding="utf-8")


def _section(table: str) -> list[str]:
    found = re.search(rf"^## \[{re.escape(table)}\]$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/config.md has no section '## [{table}]': add it, with a table like the others"
    return [line for line in found[1].splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("table", expected_tables())
def test_the_page_lists_exactly_the_settings_there_are(table: str) -> None:
    listed, expected = _section(table), expected_tables()[table]
    add = [row for row in expected if row not in listed]
    remove = [row for row in listed if row not in expected]
    assert listed == expected, (
        f"docs/config.md, section [{table}]: make it say what the commands' options say"
        + "".join(f"\n  remove: {row}" for row in remove)
        + "".join(f"\n  add:    {row}" for row in add)
        + ("" if add or remove else "\n  put the rows into this order:\n  " + "\n  ".join(expected))
    )


def test_the_page_has_no_table_that_the_file_cannot_have() -> None:
    assert re.findall(r"^## \[(.+)\]$", PAGE, re.MULTILINE) == list(expected_tables())


def test_the_commands_that_take_a_config_file_are_named() -> None:
    for name in CONFIGURED:
        assert f"mvrec-edge {name} --config" in PAGE, f"docs/config.md: show 'mvrec-edge {name} --config ...'"


def test_the_example_is_a_config_file(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert examples
    path = tmp_path / "c.toml"
    for example in examples:
        path.write_text(example)
        for command in command_settings():
            assert read_config(path, command_settings(), command)


def test_a_commands_own_table_comes_before_a_shared_one(tmp_path: Path) -> None:
    """As the page says of its example, in which [classify] sets what [engine] sets for all."""
    (example,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "c.toml"
    path.write_text(example)
    for command, threads in (("classify", 4), ("calibrate", 2)):
        assert f"`{command}` runs on {threads} threads" in PAGE
        assert read_config(path, command_settings(), command)["threads"] == threads
