"""Options that several commands share, as dataclasses: one parameter of a command stands for all fields of one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

__all__ = ["flattened"]


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """Makes a command that typer can read from one whose parameters may be dataclasses of options.

    Each field of such a dataclass is annotated as a parameter of a command is, and becomes one; the command is called
    with the dataclass. A dataclass that refuses its values does so with the error that it raises.

    Args:
        command: The command. Its parameters without a default are required, as are such fields.

    Returns:
        A function with one keyword parameter for each option, in the order of the parameters and of their fields.

    Raises:
        TypeError: Two parameters or fields bear one name.
    """
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    # Not typing.get_type_hints: Python 3.10's wraps the annotation of a parameter whose default is None in Optional,
    # so that what typer reads in Annotated is out of its sight. A dataclass has no such defaults.
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        kind = parameter.annotation
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = typing.cast(type[Any], kind)
        field_hints = typing.get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
            parameters.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field_hints[field.name]
                )
            )
    names = [parameter.name for parameter in parameters]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(f"{command.__name__} has two options named {', '.join(sorted(twice))}")

    @functools.wraps(command)
    def flat(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
        command(**values)

    # What typer looks at: the signature, and the annotations beside it.
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": None}
    del flat.__wrapped__
    return flat
