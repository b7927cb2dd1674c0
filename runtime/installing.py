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
from dataclasses import dataclass, replace
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
# What a wheelhouse's record may say to have a place in a command that somebody copies to a shell.
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_PYTHON = re.compile(r"3\.\d{1,2}")
# Extras of which one side never stands beside the other: what they bring overwrites each other, or is for another CUDA.
_APART = (
    ({"gpu"}, {"cpu", "export", "dev"}),
    ({"tensorrt-cu12", "jetson6"}, {"tensorrt", "tensorrt-rtx", "jetson7"}),
)
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
        target: What `make wheelhouse` made that folder for; None where it does not say.
        python: The version of CPython that the folder is for, such as `"3.11"`; None where it does not say.
    """

    place: str | None = None
    editable: bool = False
    is_file: bool = False
    gone: bool = False
    wheelhouse: Path | None = None
    extras: tuple[str, ...] = ()
    target: str | None = None
    python: str | None = None


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
    return _with_wheelhouse(Origin(str(place), is_file=True, gone=not place.is_file()), place.parent)


def _with_wheelhouse(origin: Origin, folder: Path) -> Origin:
    """The origin with what the record of a wheelhouse says, where the folder is one."""
    try:
        with (folder / WHEELHOUSE_RECORD).open("rb") as file:
            record = json.loads(file.read(_MOST_BYTES))
        listed = record["extras"]
        extras = tuple(name for name in listed if _said(name, _WORD)) if isinstance(listed, list) else ()
        target, python = _said(record.get("target"), _WORD), _said(record.get("python"), _PYTHON)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return origin
    return replace(origin, wheelhouse=folder, extras=extras, target=target, python=python)


def _said(value: object, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


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
    """What to do where no command would work."""
    if origin.wheelhouse:
        return _new_wheelhouse(origin, origin.wheelhouse, extras, _pip("install", "-r", "requirements.txt"))
    if origin.gone:
        gone = f"it came from {origin.place}, which is not there any more"
        return f"install mvrec-edge again with {_named(extras)}; {gone}"
    return f"install {_named(extras)} of mvrec-edge from the checkout or wheel that it was installed from"


def _named(extras: Sequence[str]) -> str:
    return f"the extra{'s' if len(extras) > 1 else ''} {', '.join(repr(name) for name in extras)}"


def _new_wheelhouse(origin: Origin, folder: Path, extras: Sequence[str], command: str) -> str:
    """How to get a wheelhouse that holds further extras to the place of a folder, and what to run in it then."""
    python = f" PYTHON_VERSION={origin.python}" if origin.python else ""
    made = f"make wheelhouse TARGET={origin.target}{python} EXTRAS={','.join(_beside(origin.extras, extras))}"
    how = f"in a checkout, where there is a network: {made}" if origin.target else "make it as docs/install.md says"
    copied = "and copy the new folder to the place of this one"
    return (
        f"{folder} does not hold {_named(extras)}; first {how}, {copied}, "
        f"then: cd {shlex.quote(str(folder))} && {command}"
    )


def _beside(present: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The extras that are present, without those that cannot stand beside what is wanted, and what is wanted."""
    sides = [(one, other) for pair in _APART for one, other in (pair, pair[::-1])]
    apart = set[str]().union(*(other for one, other in sides if one & {*wanted}))
    return list(dict.fromkeys([*(name for name in present if name not in apart), *wanted]))


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
    """How to install an extra of this package in the place of libraries; see `install_extra`.

    Args:
        names: What is removed.
        extra: What comes instead.
    """
    origin, removed = find_origin(), remove_libraries(*names)
    command = _command(origin, [extra])
    if command is not None:
        return f"{removed} && {command}"
    # What is there may be the only engine: it goes when the other one is at hand.
    if origin.wheelhouse:
        installed = _pip("install", "-r", "requirements.txt")
        return _new_wheelhouse(origin, origin.wheelhouse, [extra], f"{removed} && {installed}")
    if origin.gone:
        at_hand = f"first put {origin.place} back, which mvrec-edge came from and which is not there any more"
    else:
        at_hand = "first have the checkout or wheel at hand that mvrec-edge was installed from"
    return f"{at_hand}, then: {removed}, and install {_named([extra])} from there"


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
