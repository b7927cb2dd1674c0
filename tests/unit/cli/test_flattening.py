"""Dataclasses of options, as typer reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mvrec_edge.cli.flattening import flattened

Size = Annotated[int, typer.Option("--size", min=1, help="How large.")]


@dataclass(frozen=True)
class Frame:
    size: Size = 3
    colour: Annotated[str, typer.Option("--colour")] = "red"

    def __post_init__(self) -> None:
        if self.colour == "none":
            raise ValueError("a frame has a colour")


@dataclass(frozen=True)
class Place:
    name: Annotated[str, typer.Option("--name")]


@flattened
def draw(path: str, frame: Frame, place: Place, times: Annotated[int, typer.Option("--times")] = 1) -> None:
    """Draws.

    Example: draw here
    """
    typer.echo(f"{path} {frame.size} {frame.colour} {place.name} {times}")


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(draw)
    return made


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["p", "--name", "n"], "p 3 red n 1"),
        (["--times", "4", "--size", "9", "p", "--colour", "blue", "--name", "n"], "p 9 blue n 4"),
    ],
)
def test_fields_are_options_and_arrive_as_the_dataclass(arguments: list[str], printed: str) -> None:
    result = CliRunner().invoke(app(), arguments)
    assert (result.exit_code, result.output.strip()) == (0, printed)


def test_bounds_and_required_fields_hold() -> None:
    assert CliRunner().invoke(app(), ["p", "--name", "n", "--size", "0"]).exit_code == 2
    assert CliRunner().invoke(app(), ["p"]).exit_code == 2


def test_a_dataclass_refuses_its_values() -> None:
    result = CliRunner().invoke(app(), ["p", "--name", "n", "--colour", "none"])
    assert isinstance(result.exception, ValueError)
    assert str(result.exception) == "a frame has a colour"


def test_help_is_that_of_the_fields() -> None:
    text = CliRunner().invoke(app(), ["--help"]).output
    assert "How large." in text
    assert "Draws." in text


def test_one_name_twice_is_a_mistake_of_ours() -> None:
    def twice(size: Size, frame: Frame) -> None:
        """Has --size twice."""

    with pytest.raises(TypeError, match="two options named size"):
        flattened(twice)
