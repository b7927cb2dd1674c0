"""What may stand in a config file, as the commands' signatures say it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
import typer
from typer.main import get_command

from mvrec_edge.cli.config import setting
from mvrec_edge.cli.config.command import CONFIGURED, command_settings
from mvrec_edge.cli.config.setting import SHARED_TABLES, command_line_only, settings_of, shared_table, yielding
from mvrec_edge.cli.main import app


class Colour(str, Enum):
    red = "red"
    blue = "blue"


def _command(
    place: Annotated[Path, typer.Argument(metavar="PLACE")],
    more: Annotated[Optional[list[Path]], typer.Argument()] = None,  # noqa: UP045 - as somebody may write it
    colour_name: Annotated[Colour, typer.Option("--colour", "-c", help="Which.")] = Colour.red,
    mode: Annotated[Literal["fast", "slow"], typer.Option()] = "fast",
    min_share: Annotated[float | None, typer.Option("--min-share", min=0, max=1)] = None,
    on: Annotated[bool, typer.Option("--on/--off")] = True,
    secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    count: Annotated[int, typer.Option("--count")] = 3,
) -> None:
    """A command with every kind of parameter."""


def test_a_signature_is_read() -> None:
    found = settings_of(_command)
    assert list(found) == ["place", "more", "colour", "mode", "min_share", "on", "count"]
    assert (found["place"].kind, found["place"].required, found["place"].positional) == ("path", True, True)
    assert (found["place"].spelled, found["colour"].spelled) == ("PLACE", "--colour")
    assert (found["more"].kind, found["more"].many, found["more"].required) == ("path", True, False)
    assert found["colour"].parameter == "colour_name"
    assert (found["colour"].choices, found["colour"].default, found["colour"].help) == (
        ("red", "blue"),
        "red",
        "Which.",
    )
    assert found["mode"].choices == ("fast", "slow")
    assert (found["min_share"].kind, found["min_share"].low, found["min_share"].high) == ("number", 0, 1)
    assert (found["on"].kind, found["on"].default) == ("switch", True)
    assert (found["count"].kind, found["count"].default) == ("integer", 3)


@pytest.mark.parametrize("name", list(CONFIGURED))
def test_the_settings_are_the_options_that_the_command_line_has(name: str) -> None:
    """Against what typer makes of the same signature, so that neither reads it wrongly."""
    built: Any = get_command(app)
    for part in name.split("."):
        built = built.commands[part]
    parameters = {parameter.name for parameter in built.params}
    settings = {setting.parameter for setting in command_settings()[name].values()}
    assert {"config"} <= parameters - settings
    assert all(command_line_only(name, key) for key in parameters - settings)
    assert settings <= parameters
    assert not {"overwrite", "force", "accept"} & settings
    for parameter in built.params:
        assert parameter.help, f"{name}: '{parameter.name}' has lost its help"


def test_every_shared_setting_is_one_of_a_command() -> None:
    commands = command_settings()
    for table, keys in SHARED_TABLES.items():
        assert table not in commands
        for key in keys:
            assert any(key in settings for settings in commands.values()), f"no command has a setting '{key}'"


def test_a_shared_setting_means_the_same_everywhere() -> None:
    for key in (key for keys in SHARED_TABLES.values() for key in keys):
        shapes = {
            (found.kind, found.many, found.choices, found.low, found.high)
            for name, settings in command_settings().items()
            if (found := settings.get(key)) is not None and shared_table(name, key) is not None
        }
        assert len(shapes) == 1, f"'{key}' differs among the commands: name it as the own one of a command"


@pytest.mark.parametrize(
    ("table", "key"), [("bench", "engine"), ("verify", "precision"), ("build", "batch"), ("export", "precision")]
)
def test_what_only_bears_the_name_of_a_shared_setting_is_not_shared(table: str, key: str) -> None:
    assert shared_table(table, key) is None
    assert shared_table("classify", key) == "engine"


def test_all_commands_take_a_config_file_but_those_that_make_or_describe_one() -> None:
    group: Any = get_command(app)
    without = set(group.commands) - {name.partition(".")[0] for name in CONFIGURED}
    assert without == {"init", "settings"}
    assert {f"support.{name}" for name in group.commands["support"].commands} <= set(CONFIGURED)


@pytest.mark.parametrize(
    ("command", "on_the_line", "left_out"),
    [
        ("export", {"random_weights", "out"}, {"checkpoint"}),
        ("export", {"checkpoint"}, {"random_weights"}),
        ("export", {"out"}, set()),
        ("evaluate", {"features"}, {"bundle", "support", "query"}),
        ("evaluate", {"query"}, {"features"}),
        ("classify", {"bundle"}, set()),
    ],
)
def test_what_a_file_does_not_give(command: str, on_the_line: set[str], left_out: set[str]) -> None:
    assert yielding(command, on_the_line) == left_out


def test_what_excludes_what_are_settings_that_take_a_value() -> None:
    """Whether a switch stands on the line could not be told from what the parser has of it."""
    commands = command_settings()
    for command, excluding in setting._INSTEAD.items():
        for key in {*excluding, *(other for others in excluding.values() for other in others)}:
            assert commands[command][key].kind != "switch"
            assert not commands[command][key].required
