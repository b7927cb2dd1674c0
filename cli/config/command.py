"""Commands whose settings may come from a file: `--config FILE`, in one place for all of them."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mvrec_edge.cli.config.setting import Setting, settings_of

__all__ = ["CONFIGURED", "ConfiguredCommand", "add_configured", "command_settings", "place_arguments"]

#: The commands that take `--config`, each a function in the module of its name. To add one, add it here.
CONFIGURED = ("calibrate", "classify", "evaluate")

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file of settings, such as the one that 'mvrec-edge init' writes. A setting that is not on "
        "the command line is taken from this file; a setting that is in neither has its default. "
        "Relative paths in the file begin at the folder of the file.",
        show_default=False,
    ),
]


def command_settings() -> dict[str, dict[str, Setting]]:
    """What may stand in a config file, by command and key, as the commands' signatures say."""
    return {name: settings_of(_function(name)) for name in CONFIGURED}


def _function(name: str) -> Callable[..., Any]:
    # Looked up by its name: a command that is not asked for is not loaded.
    function: Callable[..., Any] = getattr(importlib.import_module(f"mvrec_edge.cli.{name}"), name)
    return function


def add_configured(app: typer.Typer, name: str) -> None:
    """Adds a command of `CONFIGURED` to the app, with an option `--config` besides its own."""
    function = _function(name)

    @functools.wraps(function)
    def with_config(**arguments: Any) -> Any:
        # Its values are in the other arguments already.
        del arguments["config"]
        return function(**arguments)

    # typer reads both; a signature that is set by hand has to hold the annotations themselves and not their names.
    signature = inspect.signature(function, eval_str=True)
    config = inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Config)
    parameters = [*signature.parameters.values(), config]
    with_config.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_config.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name, cls=ConfiguredCommand)(with_config)


class ConfiguredCommand(TyperCommand):
    """A command that looks into the file given with `--config` for what the command line leaves out.

    The values become the defaults of this one call, so the command's own checks hold for them too.
    """

    def make_parser(self, ctx: Any) -> Any:
        """The parser, which reads the config file right after the command line and before any default."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            given, rest, order = parse(args)
            # Not while a shell completes a line, and not before the help, which is for those who look for help.
            if given.get("config") and not given.get("help") and not ctx.resilient_parsing:
                self._configure(ctx, given)
            return given, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    def _configure(self, ctx: Any, given: dict[str, Any]) -> None:
        from mvrec_edge.cli.config.reading import read_config

        assert self.name is not None  # noqa: S101 - commands of a group have one
        settings = command_settings()
        values = read_config(Path(given["config"]), settings, self.name)
        positional = {item.parameter: item.many for item in settings[self.name].values() if item.positional}
        from_file = place_arguments(positional, given, values)
        ctx.default_map = {name: value for name, value in values.items() if name in from_file or name not in positional}


def place_arguments(positional: Mapping[str, bool], given: dict[str, Any], values: Mapping[str, Any]) -> set[str]:
    """Decides which positional arguments the file stands in for, where the command line has too few.

    As many as are missing, from the first on, of those the file has: with `bundle` and `cache` in the file,
    `classify --config FILE parts/` means its input.

    Args:
        positional: The arguments in their order, and of each whether it takes all that are left.
        given: What the command line gave, by name; the arguments are placed anew in it.
        values: What the file has, by name.

    Returns:
        The arguments that the file gives.
    """
    texts: list[str] = []
    present = 0
    for name in positional:
        # Versions of click differ in what stands for an argument that is not there.
        value = given.pop(name, None)
        parts = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
        present += bool(parts)
        texts += parts
    from_file = set([name for name in positional if name in values][: len(positional) - present])
    for name, takes_all in positional.items():
        if name in from_file or not texts:
            continue
        given[name] = tuple(texts) if takes_all else texts[0]
        texts = [] if takes_all else texts[1:]
    return from_file
