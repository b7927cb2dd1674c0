"""The two libraries that run plans, TensorRT and TensorRT for RTX, and how they differ."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from mvrec_edge.runtime.installing import install_libraries
from mvrec_edge.runtime.jetson import NEWER_JETPACK, JetsonRelease

__all__ = ["FLAVOURS", "TENSORRT", "TENSORRT_RTX", "Flavour", "flavour_of"]


@dataclass(frozen=True)
class Flavour:
    """One of the libraries. Both take the same graphs, and have the same interface as far as they can do the same.

    Attributes:
        engine: The engine's name.
        target: What `mvrec-edge build --for` calls it.
        title: The library's name in sentences.
        modules: The names it is imported by, in the order in which they are tried.
        extra: The extra that installs it.
        oldest: The first release whose calls this code was checked against.
        newest: The last.
        needed_for: What a release before the first lacks.
        wheels: The wheels that hold it on a PC.
        portable: Whether a plan is built without a GPU, for every GPU of some compute capabilities; else it is built on
            the GPU that runs it, and kernels are tried there.
        duration: How long a build takes, in words.
    """

    engine: str
    target: str
    title: str
    modules: tuple[str, ...]
    extra: str
    oldest: tuple[int, int]
    newest: tuple[int, int]
    needed_for: str
    wheels: tuple[str, ...]
    portable: bool
    duration: str

    def how_to_update(self, board: JetsonRelease | None) -> str:
        """How a newer release is had.

        Args:
            board: The release of a Jetson; None on another machine.
        """
        return NEWER_JETPACK if board is not None else install_libraries(*self.wheels, option="--upgrade")

    @property
    def installed(self) -> bool:
        """Whether one of its modules can be found; it is not imported."""
        return any(importlib.util.find_spec(name) is not None for name in self.modules)


TENSORRT = Flavour(
    engine="tensorrt",
    target="this-gpu",
    title="TensorRT",
    modules=("tensorrt",),
    extra="tensorrt",
    oldest=(10, 3),
    newest=(11, 4),
    needed_for="strongly typed plans",
    wheels=("tensorrt",),
    portable=False,
    duration="minutes",
)

#: The bindings are what the extra installs; the module of the library's own name passes them on.
TENSORRT_RTX = Flavour(
    engine="tensorrt-rtx",
    target="rtx",
    title="TensorRT for RTX",
    modules=("tensorrt_rtx", "tensorrt_rtx_bindings"),
    extra="tensorrt-rtx",
    oldest=(1, 7),
    newest=(1, 7),
    needed_for="the runtime cache as it is used here",
    wheels=("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings"),
    portable=True,
    duration="seconds",
)

#: By what `mvrec-edge build --for` calls them.
FLAVOURS = {flavour.target: flavour for flavour in (TENSORRT, TENSORRT_RTX)}


def flavour_of(engine: str) -> Flavour:
    """The library of an engine, `"tensorrt"` or `"tensorrt-rtx"`."""
    return next(flavour for flavour in FLAVOURS.values() if flavour.engine == engine)
