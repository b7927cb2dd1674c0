"""Trying a library in a process of its own, so that one that crashes or hangs is an answer and no accident."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import mvrec_edge.telemetry
from mvrec_edge.runtime.processes.child_process import ChildProcess, signal_name

__all__ = ["ProbeAnswer", "is_absent", "probe"]

# Loading the CUDA libraries from a cold disk takes tens of seconds.
_TIMEOUT = 120.0
_MOST_SAID = 1 << 20

_SCRIPT = Path(__file__).with_name("probe_script.py")
# The child looks for modules exactly where this process does, and not in its own folder. What this process has switched
# off, it switches off first.
_START = (
    "import json, runpy, sys; "
    "sys.path[:] = json.loads(sys.argv.pop(1)); "
    "scripts = [sys.argv.pop(1), sys.argv.pop(1)]; "
    "[runpy.run_path(script, run_name='__main__') for script in scripts]"
)
_MISSING_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")


@dataclass(frozen=True)
class ProbeAnswer:
    """What a probe found.

    Attributes:
        values: What it printed; empty where it failed before it could.
        failure: Why it failed, in one line; None where it did not.
        missing_libraries: Shared libraries that could not be found while it ran.
    """

    values: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None
    missing_libraries: tuple[str, ...] = ()


def probe(name: str, *, path: Sequence[str] | None = None, timeout: float = _TIMEOUT, **request: Any) -> ProbeAnswer:
    """Runs one probe of `probe_script.py`.

    Args:
        name: The probe, named after the library it tries; `"cuda-driver"` needs no Python module.
        path: Where modules are looked for, instead of `sys.path`.
        timeout: Seconds after which the process is ended.
        **request: What the probe needs to know, in plain JSON types.

    Returns:
        The answer, never an exception: that the process was killed is an answer, too.
    """
    folders = [str(Path(folder or ".").absolute()) for folder in (sys.path if path is None else path)]
    top = str(request.get("module", name)).split(".")[0]
    if top != "cuda-driver" and PathFinder.find_spec(top, folders) is None:
        # Most machines have few of these libraries: no process is started to find that out.
        return ProbeAnswer(failure=f"ModuleNotFoundError: No module named '{top}'")
    end = time.monotonic() + timeout
    try:
        # From the root of the disk, so that no file of the user's folder is taken for a module.
        scripts = [str(mvrec_edge.telemetry.__file__), str(_SCRIPT)]
        child = ChildProcess(["-c", _START, json.dumps(folders), *scripts], folder=_SCRIPT.anchor)
    except OSError as error:
        return ProbeAnswer(failure=f"no process could be started: {error.strerror or error}")
    with child:
        child.send({"probe": name, **request})
        messages = list(child.messages(timeout))
        code = child.wait(end - time.monotonic())
        said = child.said(_MOST_SAID)
    if child.timed_out:
        return ProbeAnswer(failure=f"did not answer within {timeout:g} s")
    missing = tuple(sorted(set(_MISSING_LIBRARY.findall(said))))
    # One that answered and broke when it ended can be used: engines are closed when all is done.
    if not messages:
        return ProbeAnswer(failure=_how_it_ended(code, said), missing_libraries=missing)
    values = messages[-1]
    failure = values.pop("error", None)
    missing = tuple(sorted({*missing, *_MISSING_LIBRARY.findall(f"{failure} {json.dumps(values)}")}))
    return ProbeAnswer(values, None if failure is None else " ".join(str(failure).split()), missing)


def is_absent(module: str, answer: ProbeAnswer) -> bool:
    """Whether a module, or a package it is in, was not found; another one that it needs does not count."""
    parts = module.split(".")
    packages = [".".join(parts[: count + 1]) for count in range(len(parts))]
    return answer.failure in [f"ModuleNotFoundError: No module named '{package}'" for package in packages]


def _how_it_ended(code: int, said: str) -> str:
    name = signal_name(code)
    if name is not None:
        return f"crashed when it was tried ({name})"
    lines = said.strip().splitlines()
    return f"ended with {code}" + (f": {lines[-1][:300]}" if lines else "")
