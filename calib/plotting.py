"""Figures by matplotlib, which is optional."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.runtime.errors import dependency_error
from mvrec_edge.runtime.regions.own_output import PICTURE_MARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure", "require_matplotlib", "save_figure"]


def require_matplotlib(purpose: str) -> None:
    """Raises where matplotlib is not installed or does not load, before what `purpose` names is worked for.

    Raises:
        MissingDependencyError: It is not installed.
        BrokenDependencyError: It is, and does not load, as one of a system that was built for numpy 1 beside numpy 2.
    """
    try:
        # Of such a pair numpy itself says so at length, and the error that follows says it in a line.
        with contextlib.redirect_stderr(io.StringIO()):
            import matplotlib
            import matplotlib.figure  # noqa: F401
    except Exception as error:
        raise dependency_error(error, "matplotlib", extra="plot", purpose=purpose) from error


def new_figure(width: float, height: float, purpose: str) -> Figure:
    """An empty figure that gives its parts the room they need; width and height in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        BrokenDependencyError: It does not load.
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
