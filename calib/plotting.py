"""Figures by matplotlib, which is optional."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.runtime.errors import MissingDependencyError
from mvrec_edge.runtime.regions.own_output import PICTURE_MARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure", "require_matplotlib", "save_figure"]


def require_matplotlib(purpose: str) -> None:
    """Raises where matplotlib is not installed, before what `purpose` names is worked for.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="plot", purpose=purpose) from error


def new_figure(width: float, height: float, purpose: str) -> Figure:
    """An empty figure that gives its parts the room they need; width and height in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib(purpose)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file that no command takes for an image.

    Raises:
        OSError: The file cannot be written.
    """
    figure.savefig(path, dpi=120, format="png", metadata={"Description": PICTURE_MARK})
