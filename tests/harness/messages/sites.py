"""Where errors are made: all places in the source, and those that a run comes by."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from mvrec_edge.runtime import errors

__all__ = ["ERRORS", "Site", "all_sites", "watched"]

REPOSITORY = Path(__file__).resolve().parents[3]
#: The classes of errors, by name.
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.MvrecEdgeError) and kind is not errors.MvrecEdgeError
}
# Bench and training measure and make things; what a line runs is in the others.
_PARTS = ("runtime", "calib", "cli", "export", "doctor", "pocket", "testing")

#: A file and a line.
Site = tuple[str, int]


def all_sites() -> dict[Site, str]:
    """Each place in the source at which an error is made, with the class of the error."""
    found: dict[Site, str] = {}
    for part in _PARTS:
        for file in sorted((REPOSITORY / part).rglob("*.py")):
            name = str(file.relative_to(REPOSITORY))
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                    found[name, node.lineno] = node.func.id
    return found


@contextlib.contextmanager
def watched() -> Iterator[set[Site]]:
    """Notes, within the block, where errors are made."""
    seen: set[Site] = set()
    before = errors.MvrecEdgeError.__init__

    def noting(self: errors.MvrecEdgeError, what: str, *, where: object = None, fix: str | None = None) -> None:
        before(self, what, where=where, fix=fix)
        frame = sys._getframe(1)
        # Constructors of classes below.
        while frame.f_code.co_filename == errors.__file__ and frame.f_back is not None:
            frame = frame.f_back
        with contextlib.suppress(ValueError):
            seen.add((str(Path(frame.f_code.co_filename).resolve().relative_to(REPOSITORY)), frame.f_lineno))

    errors.MvrecEdgeError.__init__ = noting  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        errors.MvrecEdgeError.__init__ = before  # type: ignore[method-assign]
