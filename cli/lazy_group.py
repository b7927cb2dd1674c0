"""A group of commands, each of which is loaded when it is asked for: `classify` does not wait for the other twelve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typer.core import TyperGroup

from mvrec_edge.cli.console import escaped

__all__ = ["INTERRUPTED", "UNREAD", "lazy_group"]

#: What a shell reports for a process ended by SIGINT, and by SIGPIPE.
INTERRUPTED, UNREAD = 130, 141
# What typer's parser puts before an error of its own, which says nothing to whoever types.
_VALUE_ERROR = "Value error, "


def lazy_group(loaders: Mapping[str, Callable[[], Any]]) -> type[TyperGroup]:
    """Makes the class of a group for `typer.Typer(cls=...)`.

    Args:
        loaders: What makes each command, by its name, in the order of the help.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.commands = _Commands(loaders)  # type: ignore[assignment]  # it is only read

        def make_context(self, *arguments: Any, **options: Any) -> Any:
            with _ending_well():
                return super().make_context(*arguments, **options)

        def invoke(self, ctx: Any) -> Any:
            with _ending_well():
                return super().invoke(ctx)

    return LazyGroup


@contextlib.contextmanager
def _ending_well() -> Iterator[None]:
    """Ends a command before typer does, whose versions differ in how, and who prints errors of usage as they are."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise SystemExit(INTERRUPTED) from error
    except BrokenPipeError as error:
        raise SystemExit(UNREAD) from error
    except SystemExit as error:
        # What rich makes of it.
        if isinstance(error.__context__, BrokenPipeError):
            raise SystemExit(UNREAD) from error
        raise
    except Exception as error:
        # An error of usage; where its class is, differs as well.
        if hasattr(error, "format_message") and isinstance(text := getattr(error, "message", None), str):
            error.message = escaped(text.removeprefix(_VALUE_ERROR))  # type: ignore[attr-defined]
        raise


class _Commands(Mapping[str, Any]):
    """Commands by their name, made where they are looked up for the first time."""

    def __init__(self, loaders: Mapping[str, Callable[[], Any]]) -> None:
        self._loaders = loaders
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._loaders[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)
