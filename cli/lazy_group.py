"""A group of commands, each of which is loaded when it is asked for: `classify` does not wait for the other twelve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typer.core import TyperGroup

__all__ = ["lazy_group"]


def lazy_group(loaders: Mapping[str, Callable[[], Any]]) -> type[TyperGroup]:
    """Makes the class of a group for `typer.Typer(cls=...)`.

    Args:
        loaders: What makes each command, by its name, in the order of the help.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.commands = _Commands(loaders)  # type: ignore[assignment]  # it is only read

    return LazyGroup


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
