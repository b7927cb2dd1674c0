"""The commands that install something, in one place: with this environment's own pip, from where mvrec-edge came from.

No package index is asked for the name mvrec-edge. pip notes where a package came from (PEP 610): a checkout, a wheel,
the wheel of a wheelhouse, an address. What is printed names that place, so that it works when it is copied to a shell.
Messages that tell somebody to install something take their text from here.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "WHEELHOUSE_RECORD",
    "Origin",
    "find_origin",
    "install_extra",
    "install_libraries",
    "remove_libraries",
    "replace_libraries",
]

#: What `make wheelhouse` writes beside the wheels: for what they are, and which extras they serve.
WHEELHOUSE_RECORD = "wheelhouse.json"

_NAME = "mvrec-edge"
_LIBRARY = re.compile(r"[A-Za-z0-9._-]+")
_SEPARATORS = re.compile(r"[-_.]+")
# Far more than any of them has.
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Origin:
    """Where the installed mvrec-edge came from.

    Attributes:
        place: The folder, file or address, as pip takes it, without extras; None where nothing is known.
        editable: Whether it is a checkout that is used as it stands.
        is_file: Whether `place` is on this machine, or was.
        gone: Whether it was on this machine and is not there any more.
        wheelhouse: The folder of wheels that it came with; None where it came with none.
        extras: The extras whose wheels are in that folder.
    """

    place: str | None = None
    editable: bool = False
    is_file: bool = False
    gone: bool = False
    wheelhouse: Path | None = None
    extras: tuple[str, ...] = ()


def find_origin() -> Origin:
    """Reads where the installed mvrec-edge came from."""
    # Not needed until something is missing, and slow to load.
    import importlib.metadata

    for distribution in importlib.metadata.distributions(name=_NAME):
        try:
            if distribution.read_text("METADATA") is None:
                # What setuptools leaves in a checkout, which does not say how it was installed.
                continue
            record = json.loads(distribution.read_text("direct_url.json") or "null")
            return Origin() if record is None else _origin(str(record["url"]), record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Origin()
    return Origin()


def _origin(url: str, record: Mapping[str, Any]) -> Origin:
    from urllib.parse import unquote, urlsplit

    if "vcs_info" in record:
        version = record["vcs_info"]
        folder = f"#subdirectory={record['subdirectory']}" if record.get("subdirectory") else ""
        return Origin(f"{version['vcs']}+{url}@{version['commit_id']}{folder}")
    parts = urlsplit(url)
    if parts.scheme != "file":
        return Origin(url if parts.scheme in ("http", "https") else None)
    place = Path(unquote(parts.path))
    if "dir_info" in record:
        editable = bool(record["dir_info"].get("editable"))
        return Origin(str(place), editable, is_file=True, gone=not (place / "pyproject.toml").is_file())
    wheelhouse, extras = _wheelhouse(place.parent)
    return Origin(str(place), is_file=True, gone=not place.is_file(), wheelhouse=wheelhouse, extras=extras)


def _wheelhouse(folder: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The folder, where it is a wheelhouse, and the extras that it serves."""
    try:
        with (folder / WHEELHOUSE_RECORD).open("rb") as file:
            extras = json.loads(file.read(_MOST_BYTES))["extras"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, ()
    return folder, tuple(str(extra) for extra in extras) if isinstance(extras, list) else ()


def install_extra(*extras: str) -> str:
    """How to install extras of this package: a command for a shell, or a sentence where no command would work."""
    origin = find_origin()
    return _command(origin, extras) or _sentence(origin, extras)


def _command(origin: Origin, extras: Sequence[str]) -> str | None:
    """The command that installs extras; None where none would work."""
    names = ",".join(extras)
    if origin.place is None or origin.gone or (origin.wheelhouse and not set(extras) <= set(origin.extras)):
        return None
    if not origin.is_file:
        return _pip("install", f"{_NAME}[{names}] @ {origin.place}")
    options = ["-e"] if origin.editable else _without_index(origin)
    return _pip("install", *options, f"{origin.place}[{names}]")


def _sentence(origin: Origin, extras: Sequence[str]) -> str:
    noun = f"the extra{'s' if len(extras) > 1 else ''} {', '.join(repr(name) for name in extras)}"
    if origin.gone:
        return f"install mvrec-edge again with {noun}; it came from {origin.place}, which is not there any more"
    if origin.wheelhouse:
        return f"make the wheelhouse again with {noun}, which {origin.wheelhouse} does not hold: docs/install.md"
    return f"install {noun} of mvrec-edge from the checkout or wheel that it was installed from"


def install_libraries(*requirements: str, option: str | None = None) -> str:
    """The command that installs libraries.

    Args:
        requirements: Their names on a package index, with version and extras where these matter.
        option: An option of pip, `"--upgrade"` or `"--force-reinstall"`.
    """
    origin = find_origin()
    with_wheels = origin.wheelhouse is not None and all(_has_wheel(origin.wheelhouse, text) for text in requirements)
    options = [*([option] if option else []), *(_without_index(origin) if with_wheels else [])]
    return _pip("install", *options, *requirements)


def remove_libraries(*names: str) -> str:
    """The command that removes libraries."""
    return _pip("uninstall", *(["-y"] if _has_pip() else []), *names)


def replace_libraries(names: Sequence[str], extra: str) -> str:
    """How to remove libraries and then install an extra of this package; see `install_extra`.

    Args:
        names: What is removed.
        extra: What comes instead.
    """
    origin = find_origin()
    command = _command(origin, [extra])
    then = f", then {_sentence(origin, [extra])}" if command is None else f" && {command}"
    return remove_libraries(*names) + then


def _without_index(origin: Origin) -> list[str]:
    """What tells pip to take the wheels of a wheelhouse, where mvrec-edge came with one."""
    if origin.wheelhouse is None:
        return []
    return ["--no-index", "--find-links", str(origin.wheelhouse)]


def _has_wheel(folder: Path, requirement: str) -> bool:
    """Whether a wheel of what a requirement names is in a folder."""
    named = _LIBRARY.match(requirement)
    wanted = _SEPARATORS.sub("_", named[0]).lower() if named else None
    return any(_SEPARATORS.sub("_", file.name.partition("-")[0]).lower() == wanted for file in folder.glob("*.whl"))


def _pip(verb: str, *words: str) -> str:
    """A command of this environment's pip, quoted for a shell; where pip is not in it, of the uv that made it."""
    python = sys.executable or "python3"
    command = [python, "-m", "pip", verb] if _has_pip() else ["uv", "pip", verb, "--python", python]
    return shlex.join([*command, *words])


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None
