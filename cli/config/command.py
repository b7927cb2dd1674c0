"""Commands whose settings may come from a file: `--config FILE`, in one place for all of them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from mvrec_edge.cli.config.renamed import check_names
from mvrec_edge.cli.config.setting import Setting, arguments_of, settings_of, shared_table, yielding

__all__ = [
    "CONFIGURED",
    "ConfiguredCommand",
    "add_configured",
    "at_the_end",
    "command_settings",
    "config_in_use",
    "place_arguments",
]

# Where a command's function is, and its name, by the name of the command's table. To add one, add it here.
_FUNCTIONS: Mapping[str, tuple[str, str]] = {
    **{name: (name, name) for name in ("calibrate", "classify", "evaluate", "export", "build", "verify", "bench")},
    **{name: (name, name) for name in ("inspect", "doctor", "demo", "report")},
    "support.add": ("support.add", "add"),
    "support.remove": ("support.others", "remove"),
    "support.list": ("support.looking", "list_instances"),
    "support.rename": ("support.others", "rename"),
    "support.merge": ("support.others", "merge"),
    "support.history": ("support.looking", "history"),
    "support.rollback": ("support.looking", "rollback"),
}

#: The commands that take `--config`, by the name of their table: all that read or write files but `init`, which writes
#: such a file.
CONFIGURED = tuple(_FUNCTIONS)

#: The config file of the command that runs, which no output may replace.
config_in_use: ContextVar[Path | None] = ContextVar("config_in_use", default=None)

#: Gives free what the command that runs holds.
at_the_end: ContextVar[contextlib.ExitStack] = ContextVar("at_the_end")

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file of settings, such as the one that 'mvrec-edge init' writes. A setting that is not on "
        "the command line is taken from this file, also one that is required here; a setting that is in neither has "
        "its default. "
        "Relative paths in the file begin at the folder of the file.",
        show_default=False,
    ),
]


def command_settings() -> dict[str, dict[str, Setting]]:
    """What may stand in a config file, by command and key, as the commands' signatures say."""
    return {name: settings_of(_function(name), name) for name in CONFIGURED}


def _function(name: str) -> Callable[..., Any]:
    # Looked up by its name: a command that is not asked for is not loaded.
    module, called = _FUNCTIONS[name]
    function: Callable[..., Any] = getattr(importlib.import_module(f"mvrec_edge.cli.{module}"), called)
    return function


def add_configured(app: typer.Typer, name: str) -> None:
    """Adds a command of `CONFIGURED` to the app, with an option `--config` besides its own.

    Args:
        app: The app, or the group that the command is in.
        name: The name of its table; what stands after a dot is the command's own.
    """
    function = _function(name)

    @functools.wraps(function)
    def with_config(**arguments: Any) -> Any:
        # Its values are in the other arguments already.
        with contextlib.ExitStack() as stack:
            config, before = config_in_use.set(arguments.pop("config")), at_the_end.set(stack)
            try:
                return function(**arguments)
            finally:
                config_in_use.reset(config)
                at_the_end.reset(before)

    # typer reads both; a signature that is set by hand has to hold the annotations themselves and not their names.
    signature = inspect.signature(function, eval_str=True)
    config = inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Config)
    parameters = [*signature.parameters.values(), config]
    with_config.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_config.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name.rpartition(".")[2], cls=_command_class(name))(with_config)


def _command_class(name: str) -> type[ConfiguredCommand]:
    """The class of one command, which knows its table."""
    return type("ConfiguredCommand", (ConfiguredCommand,), {"table": name})


class ConfiguredCommand(TyperCommand):
    """A command that looks into the file given with `--config` for what the command line leaves out.

    The values become the defaults of this one call, so the command's own checks hold for them too.

    Attributes:
        table: The table of its settings.
    """

    table: ClassVar[str] = ""

    def make_parser(self, ctx: Any) -> Any:
        """The parser, which reads the config file right after the command line and before any default."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            if not ctx.resilient_parsing:
                check_names(self.table, args)
            given, rest, order = parse(args)
            # Not while a shell completes a line, and not before the help, which is for those who look for help.
            if given.get("config") and not given.get("help") and not ctx.resilient_parsing:
                self._configure(ctx, given)
            return given, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    def _configure(self, ctx: Any, given: dict[str, Any]) -> None:
        from mvrec_edge.cli.config.reading import read_config

        settings = command_settings()
        own_settings = settings[self.table]
        on_line = [key for key, setting in own_settings.items() if _words_of(given.get(setting.parameter))]
        yields = {own_settings[key].parameter for key in yielding(self.table, on_line)}
        read = read_config(Path(given["config"]), settings, self.table)
        values = {name: value for name, value in read.items() if name not in yields}
        arguments = arguments_of(_function(self.table))
        own = {name for name in arguments if name not in {each.parameter for each in own_settings.values()}}
        from_file = place_arguments(arguments, given, values, own)
        ctx.default_map = {name: value for name, value in values.items() if name in from_file or name not in arguments}
        self._check_required(given, ctx.default_map, own_settings)

    def _check_required(
        self, given: Mapping[str, Any], from_file: Mapping[str, Any], settings: Mapping[str, Setting]
    ) -> None:
        """Refuses a call where neither the command line nor the file has what must be given, and names both places."""
        from mvrec_edge.runtime.errors import UsageError

        for key, setting in settings.items():
            if setting.required and setting.parameter not in given and setting.parameter not in from_file:
                table = shared_table(self.table, key) or self.table
                raise UsageError(
                    f"{setting.spelled} is neither on the command line nor in the config file",
                    where=Path(given["config"]),
                    fix=f"give it on the command line, or write '{key}' below [{table}] in the file",
                )


def place_arguments(
    positional: Mapping[str, bool],
    given: dict[str, Any],
    values: Mapping[str, Any],
    own: AbstractSet[str] = frozenset(),
) -> set[str]:
    """Decides which positional arguments the file stands in for, where the command line has too few.

    As many as are missing, from the first on, of those the file has: with `bundle` and `cache` in the file,
    `classify --config FILE parts/` means its input. Where the argument that takes all that are left never comes from a
    file, all words are meant for it that the file does not leave open: with `cache` in the file, `support remove
    --config FILE 3 17` means two instances.

    Args:
        positional: The arguments in their order, and of each whether it takes all that are left.
        given: What the command line gave, by name; the arguments are placed anew in it.
        values: What the file has, by name.
        own: The arguments that never come from a file.

    Returns:
        The arguments that the file gives.
    """
    texts: list[str] = []
    present = 0
    for name in positional:
        parts = _words_of(given.pop(name, None))
        present += bool(parts)
        texts += parts
    missing = len(positional) - present
    if texts and any(takes_all and name in own for name, takes_all in positional.items()):
        missing = len(positional)
    from_file = set([name for name in positional if name in values][:missing])
    for name, takes_all in positional.items():
        if name in from_file or not texts:
            continue
        given[name] = tuple(texts) if takes_all else texts[0]
        texts = [] if takes_all else texts[1:]
    return from_file


def _words_of(value: Any) -> list[str]:
    """What the parser has of an argument, or of an option that takes a value; none where it is not on the line."""
    # Versions of click differ in what stands for an argument that is not there.
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
