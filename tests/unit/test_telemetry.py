"""The telemetry of the libraries: off before they are imported, and left alone where the user says so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

ALL_OFF = {"onnxruntime": True, "openvino": True, "nncf": True}
SAY = "import mvrec_edge.telemetry as t, os; print(t.switched_off(), os.environ.get('ORT_DISABLE_TELEMETRY'))"


def _say(environment: Mapping[str, str], code: str = SAY) -> str:
    """What a fresh Python process with these variables and no others prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(environment)
    ).stdout.strip()


def test_importing_the_root_or_any_part_is_enough() -> None:
    assert _say({}) == f"{ALL_OFF} 1"
    code = "import os, sys, mvrec_edge.runtime; print(os.environ['ORT_DISABLE_TELEMETRY'], 'openvino' in sys.modules)"
    assert _say({}, code) == "1 False"


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", "y"])
def test_it_can_be_left_on(value: str) -> None:
    assert _say({"MVREC_EDGE_TELEMETRY": value}) == f"{dict.fromkeys(ALL_OFF, False)} None"


@pytest.mark.parametrize("value", ["", "0", "false", "no", "anything"])
def test_no_other_value_leaves_it_on(value: str) -> None:
    assert _say({"MVREC_EDGE_TELEMETRY": value}) == f"{ALL_OFF} 1"


@pytest.mark.parametrize(("value", "off"), [("0", False), ("2", False), ("true", True), ("ON", True)])
def test_what_the_user_has_told_onnxruntime_stays(value: str, off: bool) -> None:
    assert _say({"ORT_DISABLE_TELEMETRY": value}) == f"{ALL_OFF | {'onnxruntime': off}} {value}"


def test_an_empty_value_tells_nothing() -> None:
    assert _say({"ORT_DISABLE_TELEMETRY": ""}) == f"{ALL_OFF} 1"


def test_a_package_that_was_imported_before_stays() -> None:
    code = "import sys, types; sys.modules['openvino_telemetry'] = types.ModuleType('before')\n" + SAY
    assert _say({}, code) == f"{ALL_OFF | {'openvino': False, 'nncf': False}} 1"


def test_the_file_runs_by_its_path() -> None:
    code = (
        "import os, runpy, sys\n"
        "import mvrec_edge.telemetry as telemetry\n"
        "del sys.modules['openvino_telemetry'], os.environ['ORT_DISABLE_TELEMETRY']\n"
        "runpy.run_path(telemetry.__file__, run_name='__main__')\n"
        "print(telemetry.switched_off())"
    )
    assert _say({}, code) == str(ALL_OFF)


def test_a_library_that_asks_for_the_package_finds_it_missing() -> None:
    code = (
        "import importlib.util, mvrec_edge\n"
        "print(importlib.util.find_spec('openvino_telemetry'))\n"
        "try: from openvino_telemetry.backend import backend_ga4\n"
        "except ImportError: print('missing')"
    )
    assert _say({}, code).split() == ["None", "missing"]
