"""What a command lets one set, read off its own signature, so that the two cannot differ."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

__all__ = [
    "COMMAND_LINE_ONLY",
    "SHARED_TABLES",
    "Kind",
    "Setting",
    "arguments_of",
    "command_line_only",
    "settings_of",
    "shared_table",
    "yielding",
]

#: Never taken from a file, of no command: what replaces files or overrules a check is asked for each time.
COMMAND_LINE_ONLY = ("overwrite", "config", "force", "accept", "new_class")

# Nor what one call of a command is about.
_ONE_CALL: Mapping[str, tuple[str, ...]] = {
    "report": ("results",),
    "support.add": ("sources", "label", "again", "dry_run"),
    "support.remove": ("instances", "dry_run"),
    "support.rename": ("old", "new", "dry_run"),
    "support.merge": ("others", "into", "dry_run"),
    "support.rollback": ("to",),
}

#: Settings that several commands share, by the table that holds them; a table of a command may hold them too.
SHARED_TABLES: Mapping[str, tuple[str, ...]] = {
    "paths": ("bundle", "cache"),
    "engine": ("engine", "precision", "provider", "batch", "threads"),
    "input": ("format", "masks", "image_root", "empty", "damaged", "min_area"),
}

# Options of these commands that bear the name of a shared setting and mean something else, such as several precisions.
_OWN: Mapping[str, tuple[str, ...]] = {
    "export": ("precision",),
    "build": ("precision", "batch"),
    "verify": ("engine", "precision"),
    "bench": ("engine", "batch"),
}

# Options that stand in place of other settings, by their key: a command takes the one or the others.
_INSTEAD: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "export": {"random_weights": ("checkpoint",)},
    "evaluate": {"features": ("bundle", "support", "query")},
}

# Values of a path that are words and no paths.
_WORDS: Mapping[str, tuple[str, ...]] = {"checkpoint": ("pocket", "lite"), "out": ("-",)}

# Options that take a text, since they also take words, percentages or lists, and that a number is a text for.
_NUMBER_AS_TEXT = (
    "batch",
    "calibration_window_sizes",
    "reject_rate",
    "right_at_least",
    "risk",
    "shots",
    "views",
    "window_sizes",
)

Kind = Literal["path", "text", "integer", "number", "switch"]

_KINDS: tuple[tuple[type, Kind], ...] = (
    (Path, "path"),
    (bool, "switch"),  # before int, of which it is a subclass
    (int, "integer"),
    (float, "number"),
)


@dataclass(frozen=True)
class Setting:
    """One option or positional argument of a command.

    Attributes:
        key: Its name in a file: the long option without its dashes, `-` as `_`; of an argument, its name.
        parameter: The name of the parameter of the command's function.
        kind: What a value is.
        many: A list of such values is wanted.
        choices: The values there are, where they are known to the command line; else empty.
        low: Smallest number, or None.
        high: Largest number, or None.
        default: What holds where nothing is given; None where that is nothing, or where it must be given.
        required: It has no default and must be given.
        positional: It is an argument and not an option.
        spelled: How it is written on the command line: `--min-area`, `BUNDLE`.
        help: Its help text.
        words: Values of a path that are words and no paths.
        or_number: It is a text that may be a number, such as `3` or `0.01`.
    """

    key: str
    parameter: str
    kind: Kind
    many: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    default: Any
    required: bool
    positional: bool
    spelled: str
    help: str
    words: tuple[str, ...] = ()
    or_number: bool = False


def shared_table(command: str, key: str) -> str | None:
    """The shared table that a command takes a setting from; None where it has none of that name or one of its own."""
    if key in _OWN.get(command, ()):
        return None
    return next((table for table, keys in SHARED_TABLES.items() if key in keys), None)


def command_line_only(command: str, key: str) -> bool:
    """Whether a setting of a command is never taken from a file."""
    return key in COMMAND_LINE_ONLY or key in _ONE_CALL.get(command, ())


def yielding(command: str, given: Collection[str]) -> set[str]:
    """The settings that a file does not give, since the command line has what stands in their place.

    Args:
        command: The command.
        given: The keys of the settings that the command line has.
    """
    found: set[str] = set()
    for option, others in _INSTEAD.get(command, {}).items():
        if option in given:
            found.update(others)
        if any(other in given for other in others):
            found.add(option)
    return found


def settings_of(command: Callable[..., Any], name: str = "") -> dict[str, Setting]:
    """The settings of a command that may come from a file, by their key, in the order of its signature.

    Args:
        command: A function whose parameters are annotated as typer reads them.
        name: The name of its table.

    Returns:
        Positional arguments and options, without those of the command line only and without hidden ones.
    """
    return {each.key: each for each in _settings(command) if not command_line_only(name, each.key)}


def arguments_of(command: Callable[..., Any]) -> dict[str, bool]:
    """The positional arguments of a command by parameter, in order, and of each whether it takes all that are left."""
    return {each.parameter: each.many for each in _settings(command) if each.positional}


def _settings(command: Callable[..., Any]) -> list[Setting]:
    # Not typing.get_type_hints: Python 3.10's wraps what has the default None in Optional, which hides the Annotated.
    found = [_setting(parameter) for parameter in inspect.signature(command, eval_str=True).parameters.values()]
    return [setting for setting in found if setting is not None]


def _setting(parameter: inspect.Parameter) -> Setting | None:
    hint = parameter.annotation
    about = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, OptionInfo | ArgumentInfo)]
    if not about or about[0].hidden:
        return None
    info = about[0]
    positional = isinstance(info, ArgumentInfo)
    # In an Annotated, typer keeps the first name of an option where its default would be.
    names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    option = next((name.split("/")[0] for name in names if name.startswith("--")), "--" + parameter.name)
    key = parameter.name if positional else option.removeprefix("--")
    kind, many, choices = _type_of(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    key = key.replace("-", "_")
    return Setting(
        key=key,
        parameter=parameter.name,
        kind=kind,
        many=many,
        choices=choices,
        low=info.min,
        high=info.max,
        default=_plain(default),
        required=parameter.default is inspect.Parameter.empty,
        positional=positional,
        spelled=(info.metavar or parameter.name.upper()).strip("[].") if positional else option,
        help=info.help or "",
        words=_WORDS.get(key, ()) if kind == "path" else (),
        or_number=kind == "text" and key in _NUMBER_AS_TEXT,
    )


def _plain(default: Any) -> Any:
    """A default as a file writes it."""
    if isinstance(default, Enum):
        return default.value
    return str(default) if isinstance(default, Path) else default


def _type_of(annotation: Any) -> tuple[Kind, bool, tuple[str, ...]]:
    """The kind of a value, whether a list of them is wanted, and the choices there are."""
    origin = get_origin(annotation)
    if origin is Literal:
        return "text", False, tuple(str(choice) for choice in get_args(annotation))
    if origin in (list, tuple):
        kind, _, choices = _type_of(get_args(annotation)[0])
        return kind, True, choices
    if origin is not None and (origin is Union or type(None) in get_args(annotation)):
        return _type_of(next(part for part in get_args(annotation) if part is not type(None)))
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return "text", False, tuple(str(member.value) for member in annotation)
        for known, kind in _KINDS:
            if issubclass(annotation, known):
                return kind, False, ()
    return "text", False, ()
