"""The telemetry of ONNX Runtime, OpenVINO and NNCF: switched off before any of them is imported.

- ONNX Runtime from 1.32 on keeps a device id and a database in the home folder, and looks up a host of its maker, unless
  `ORT_DISABLE_TELEMETRY` says otherwise when the library is loaded. Child processes inherit the variable.
- OpenVINO and NNCF send through the package `openvino_telemetry`, which keeps an id in the home folder. Both do without
  it where it is not installed. So it is made to look as if it were not, and nothing has to be written anywhere.

The package root does this, so it holds for every command, every child process, and every import from Python. A line may
have no network: a name server that never answers costs OpenVINO's import seconds.

This file imports nothing of the package, so that a probe of `doctor` can run it by its path.
"""

from __future__ import annotations

import os
import sys

__all__ = ["LEAVE_ON", "switch_off", "switched_off"]

#: The variable that leaves the telemetry of the libraries as they have it.
LEAVE_ON = "MVREC_EDGE_TELEMETRY"

_ORT_VARIABLE = "ORT_DISABLE_TELEMETRY"
_INTEL_PACKAGE = "openvino_telemetry"
# What ONNX Runtime takes for a yes; it reads anything else, such as 0 or 2, as no.
_YES = ("1", "true", "yes", "on", "y")


def switch_off() -> None:
    """Switches the telemetry off, unless `LEAVE_ON` is set to 1, true, yes, on or y.

    A value that the user has given to `ORT_DISABLE_TELEMETRY` stays. A library that was imported before is as it was.
    """
    if _is_yes(os.environ.get(LEAVE_ON)):
        return
    if not os.environ.get(_ORT_VARIABLE):
        os.environ[_ORT_VARIABLE] = "1"
    # An entry without a module makes the import fail, as that of a package that is not there does.
    sys.modules.setdefault(_INTEL_PACKAGE, None)  # type: ignore[arg-type]


def switched_off() -> dict[str, bool]:
    """Whether the telemetry of each library is off in this process, by the name of the library.

    A library whose telemetry is not off decides by itself; each of them sends nothing from what it takes for a machine
    that builds and tests.
    """
    intel = sys.modules.get(_INTEL_PACKAGE, sys) is None
    return {"onnxruntime": _is_yes(os.environ.get(_ORT_VARIABLE)), "openvino": intel, "nncf": intel}


def _is_yes(value: str | None) -> bool:
    return value is not None and value.strip().lower() in _YES


if __name__ == "__main__":
    switch_off()
