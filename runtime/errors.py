"""Every error the package raises on purpose, as one tree.

    MvrecEdgeError               exit code 70 (never raised itself)
    ├── UsageError                2   the call or the command line does not make sense
    ├── InputError                3   something given to us cannot be used
    │   ├── ImageError                an image or a mask file
    │   │   └── DamagedImageError     one that is truncated or damaged
    │   ├── AnnotationError           a label file, a region, a table
    │   ├── CheckpointError           encoder weights
    │   └── SupportError              a labelled set that cannot make a classifier
    ├── IntegrityError            4   a file is not what its record says
    │   └── FingerprintMismatchError  a support cache and a bundle that do not belong together
    ├── EnvironmentUnfitError     5   this machine cannot do it
    │   ├── MissingDependencyError    a library is not installed; names the extra
    │   └── BrokenDependencyError     a library is installed and does not load
    ├── OutputError               6   a result cannot be written
    ├── RegressionError           7   a change would make things worse, and was not forced
    └── LockedError               8   another process is writing there

An error says what is wrong, where, and what to do about it; the command line prints that as one line. What can be used
all the same, but may not be what was meant, is no error but an `InputWarning`; a `DamageWarning` where it is damaged.
`dependency_error` tells a missing library from a broken one.
"""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.installing import install_extra, install_libraries
from mvrec_edge.runtime.jetson import missing_on_jetson

__all__ = [
    "AnnotationError",
    "BrokenDependencyError",
    "CheckpointError",
    "DamageWarning",
    "DamagedImageError",
    "EnvironmentUnfitError",
    "FingerprintMismatchError",
    "ImageError",
    "InputError",
    "InputWarning",
    "IntegrityError",
    "LockedError",
    "MissingDependencyError",
    "MvrecEdgeError",
    "OutputError",
    "RegressionError",
    "SupportError",
    "UsageError",
    "dependency_error",
]


@dataclass(frozen=True)
class InputWarning:
    """Something given to us that is used, but may not be what was meant.

    Attributes:
        what: What is odd, without a trailing full stop.
        where: The file or item concerned.
        fix: What the reader can do about it.
    """

    what: str
    where: str
    fix: str

    def __str__(self) -> str:
        return _one_line(self.what, self.where, self.fix)


@dataclass(frozen=True)
class DamageWarning(InputWarning):
    """An image that is damaged, and is used all the same since that was asked for."""


class MvrecEdgeError(Exception):
    """Base of all errors of this package.

    Args:
        what: What is wrong, without a trailing full stop.
        where: The file, item or option concerned.
        fix: What the reader can do about it.

    Attributes:
        exit_code: The exit code of the command line for this kind of error.
    """

    exit_code = 70

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        super().__init__(_one_line(what, self.where, fix))


def _one_line(what: str, where: str | None, fix: str | None) -> str:
    text = what if where is None else f"{where}: {what}"
    if fix is not None:
        text = f"{text} ({fix})"
    # Whatever a file name or a library's message holds.
    return " ".join(text.split())


class UsageError(MvrecEdgeError):
    """The call or the command line does not make sense."""

    exit_code = 2


class InputError(MvrecEdgeError):
    """Something given to us cannot be used."""

    exit_code = 3


class ImageError(InputError):
    """An image or a mask file cannot be used."""


class DamagedImageError(ImageError):
    """An image or a mask file is truncated or damaged."""


class AnnotationError(InputError):
    """A label file, a region or a table cannot be used."""


class CheckpointError(InputError):
    """Encoder weights cannot be used."""


class SupportError(InputError):
    """A labelled set cannot make a classifier."""


class IntegrityError(MvrecEdgeError):
    """A file is not what its record says."""

    exit_code = 4


class FingerprintMismatchError(IntegrityError):
    """A support cache and a bundle do not belong together."""


class EnvironmentUnfitError(MvrecEdgeError):
    """This machine cannot do what was asked."""

    exit_code = 5


#: What to add to how an extra is installed.
_SMALLER = {"export": "; docs/export.md says how to install it without gigabytes of CUDA libraries"}


class MissingDependencyError(EnvironmentUnfitError):
    """An optional library is not installed.

    Args:
        library: The name it is imported by.
        extra: The extra of this package that installs it.
        purpose: What it is needed for.
        fix: How to install it, where that depends on more than the extra.

    Attributes:
        library: The same.
    """

    def __init__(self, library: str, *, extra: str, purpose: str, fix: str | None = None) -> None:
        self.library = library
        state, helps = missing_on_jetson(library, extra) or (
            "which is not installed",
            fix or f"{install_extra(extra)}{_SMALLER.get(extra, '')}",
        )
        super().__init__(f"{purpose} needs the library '{library}', {state}", fix=helps)


class BrokenDependencyError(EnvironmentUnfitError):
    """An optional library is installed, and does not load.

    Args:
        library: The name it is imported by.
        purpose: What it is needed for.
        reason: What it said, in one line.
        fix: What to do, where installing it again is not all.
    """

    def __init__(self, library: str, *, purpose: str, reason: str, fix: str | None = None) -> None:
        super().__init__(
            f"{purpose} needs the library '{library}', which is installed but does not load: {reason}",
            fix=fix or install_libraries(library, option="--force-reinstall"),
        )


def dependency_error(error: Exception, library: str, *, extra: str, purpose: str) -> EnvironmentUnfitError:
    """What to raise where the import of an optional library failed: it is missing, or it is there and broken.

    Args:
        error: What the import raised.
        library: The name it is imported by.
        extra: The extra of this package that installs it.
        purpose: What it is needed for.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == library:
        return MissingDependencyError(library, extra=extra, purpose=purpose)
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return BrokenDependencyError(library, purpose=purpose, reason=said)


class OutputError(MvrecEdgeError):
    """A result cannot be written."""

    exit_code = 6


class RegressionError(MvrecEdgeError):
    """A change would make things worse by its own check, and was not forced."""

    exit_code = 7


class LockedError(MvrecEdgeError):
    """Another process is writing to the same place.

    Args:
        where: The place.
    """

    exit_code = 8

    def __init__(self, where: object) -> None:
        super().__init__(
            "another process is writing there", where=where, fix="wait until it has ended, or choose another name"
        )
