"""What is worth saying about a machine, and about a bundle on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["LEVELS", "BundleStatus", "Finding", "Level"]

Level = Literal["ok", "note", "warning", "problem"]
#: From nothing to do to what stops work.
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    """One thing worth saying.

    Attributes:
        level: `"ok"`; `"note"`: could be better, or is only missing; `"warning"`: costs speed or will fail in some
            cases; `"problem"`: something does not work.
        subject: What it is about, such as `"OpenCV"`.
        text: What was found, in one line.
        fix: The command or the action that changes it; None where there is nothing to do.
    """

    level: Level
    subject: str
    text: str
    fix: str | None = None


@dataclass(frozen=True)
class BundleStatus:
    """A bundle that was checked, and what can run it here; only `path` and the last two say anything of a bad one.

    Attributes:
        path: Its folder.
        encoder: Architecture and weights in words.
        precisions: The precisions it holds.
        runs: For each precision the engines that can run it here, as `"engine"` or `"engine/provider"`.
        problem: Why it cannot be used; None where it can.
        exit_code: The exit code that other commands end with on this bundle; 0 where it can be used.
    """

    path: str
    encoder: str = ""
    precisions: tuple[str, ...] = ()
    runs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None
    exit_code: int = 0
