"""A group whose commands are made when they are asked for."""

from __future__ import annotations

from typing import Any

import typer
import typer.main
from typer.testing import CliRunner

from mvrec_edge.cli.lazy_group import lazy_group


def group(made: list[str]) -> typer.Typer:
    def load(name: str) -> Any:
        made.append(name)
        alone = typer.Typer(add_completion=False)

        @alone.command(name)
        def command() -> None:
            """Says its name."""
            typer.echo(f"this is {name}")

        return typer.main.get_command(alone)

    app = typer.Typer(cls=lazy_group({"one": lambda: load("one"), "two": lambda: load("two")}), no_args_is_help=True)
    app.callback()(lambda: None)
    return app


def test_only_what_is_asked_for_is_made() -> None:
    made: list[str] = []
    result = CliRunner().invoke(group(made), ["two"])
    assert (result.exit_code, result.output.strip()) == (0, "this is two")
    assert made == ["two"]


def test_the_help_names_all_in_their_order() -> None:
    made: list[str] = []
    text = CliRunner().invoke(group(made), ["--help"]).output
    assert text.index("one") < text.index("two")
    assert made == ["one", "two"]


def test_another_name_is_refused() -> None:
    result = CliRunner().invoke(group([]), ["three"])
    assert result.exit_code == 2
    assert "No such command" in result.output
