"""What is printed for somebody to install works when it is copied: it names where mvrec-edge came from."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import installing
from mvrec_edge.runtime.errors import MissingDependencyError

PIP = f"{shlex.quote(sys.executable)} -m pip"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the record of an installed mvrec-edge, which is found before the real one."""
    site = tmp_path / "site-packages"

    def make(record: Any = None) -> None:
        folder = site / "mvrec_edge-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mvrec-edge\nVersion: 1.0\n")
        if record is not None:
            text = record if isinstance(record, str) else json.dumps(record)
            (folder / "direct_url.json").write_text(text)
        # Whether or not the environment of the tests has one: what is said without it has tests of its own.
        (site / "pip").mkdir()
        (site / "pip" / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(str(site))

    return make


def checkout(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\nname = 'mvrec-edge'\n")
    return folder


def wheel(folder: Path, *others: str, extras: list[str] | None = None) -> Path:
    folder.mkdir(parents=True)
    for name in others:
        (folder / name).write_bytes(b"")
    if extras is not None:
        (folder / installing.WHEELHOUSE_RECORD).write_text(json.dumps({"extras": extras}))
    made = folder / "mvrec_edge-1.0-py3-none-any.whl"
    made.write_bytes(b"")
    return made


@pytest.mark.parametrize(("editable", "option"), [(True, "-e "), (False, "")])
def test_from_a_checkout(installed: Any, tmp_path: Path, editable: bool, option: str) -> None:
    place = checkout(tmp_path / "mvrec edge")
    installed({"url": place.as_uri(), "dir_info": {"editable": True} if editable else {}})
    assert "%20" in place.as_uri()
    assert installing.install_extra("openvino") == f"{PIP} install {option}'{place}[openvino]'"
    assert str(MissingDependencyError("x", extra="plot", purpose="a plot")).endswith(
        f"which is not installed ({PIP} install {option}'{place}[plot]')"
    )


def test_from_a_wheel(installed: Any, tmp_path: Path) -> None:
    place = wheel(tmp_path / "wheels")
    installed({"url": place.as_uri(), "archive_info": {"hash": "sha256=0"}})
    assert installing.install_extra("cpu", "plot") == f"{PIP} install '{place}[cpu,plot]'"


def test_from_a_wheelhouse(installed: Any, tmp_path: Path) -> None:
    place = wheel(tmp_path / "house", "OnnxRuntime_GPU-1.23.0-cp310-cp310-x.whl", extras=["cpu", "openvino"])
    installed({"url": place.as_uri(), "archive_info": {}})
    house = f"--no-index --find-links {place.parent}"
    assert installing.install_extra("openvino") == f"{PIP} install {house} '{place}[openvino]'"
    # What it does not hold, no command could install from it.
    assert installing.install_extra("export") == (
        f"{place.parent} does not hold the extra 'export'; first make it as docs/install.md says, and copy the new "
        f"folder to the place of this one, then: cd {place.parent} && {PIP} install -r requirements.txt"
    )
    assert installing.install_libraries("onnxruntime-gpu[cuda]>=1.2", option="--upgrade") == (
        f"{PIP} install --upgrade {house} 'onnxruntime-gpu[cuda]>=1.2'"
    )
    assert installing.install_libraries("onnxruntime") == f"{PIP} install onnxruntime"


@pytest.mark.parametrize(
    ("record", "requirement"),
    [
        (
            {"url": "https://example.com/a/repo.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "mvrec-edge[cpu] @ git+https://example.com/a/repo.git@abc",
        ),
        (
            {
                "url": "https://example.com/mono",
                "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "main"},
                "subdirectory": "edge",
            },
            "mvrec-edge[cpu] @ git+https://example.com/mono@abc#subdirectory=edge",
        ),
        (
            {"url": "https://example.com/mvrec_edge-1.0-py3-none-any.whl", "archive_info": {}},
            "mvrec-edge[cpu] @ https://example.com/mvrec_edge-1.0-py3-none-any.whl",
        ),
    ],
)
def test_from_an_address(installed: Any, record: Any, requirement: str) -> None:
    installed(record)
    assert installing.install_extra("cpu") == f"{PIP} install '{requirement}'"


@pytest.mark.parametrize("kind", ["dir_info", "archive_info"])
def test_what_it_came_from_is_gone(installed: Any, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "stick" / "mvrec_edge-1.0-py3-none-any.whl"
    installed({"url": place.as_uri(), kind: {}})
    told = f"install mvrec-edge again with the extra 'cpu'; it came from {place}, which is not there any more"
    assert installing.install_extra("cpu") == told
    assert installing.replace_libraries(["a", "b"], "cpu") == (
        f"first put {place} back, which mvrec-edge came from and which is not there any more, "
        f"then: {PIP} uninstall -y a b, and install the extra 'cpu' from there"
    )


@pytest.mark.parametrize(
    "record", [None, "no JSON", "[]", "{}", {"url": 3, "vcs_info": []}, {"url": "x", "dir_info": 1}]
)
def test_nothing_is_known(installed: Any, record: Any) -> None:
    installed(record)
    told = "install the extras 'cpu', 'plot' of mvrec-edge from the checkout or wheel that it was installed from"
    assert installing.install_extra("cpu", "plot") == told
    assert installing.replace_libraries(["a"], "cpu") == (
        f"first have the checkout or wheel at hand that mvrec-edge was installed from, then: {PIP} uninstall -y a, "
        "and install the extra 'cpu' from there"
    )


@pytest.mark.parametrize(
    ("held", "wanted", "extras"),
    [
        (["cpu", "openvino", "plot"], "gpu", "openvino,plot,gpu"),
        (["export", "gpu"], "cpu", "export,cpu"),
        (["tensorrt-rtx", "cpu"], "tensorrt-cu12", "cpu,tensorrt-cu12"),
        (["gpu"], "plot", "gpu,plot"),
    ],
)
def test_nothing_is_removed_before_the_new_wheelhouse_is_there(
    installed: Any, tmp_path: Path, held: list[str], wanted: str, extras: str
) -> None:
    place = wheel(tmp_path / "house", extras=held)
    record = {"target": "x86-cpu", "python": "3.11", "extras": held}
    (place.parent / installing.WHEELHOUSE_RECORD).write_text(json.dumps(record))
    installed({"url": place.as_uri(), "archive_info": {}})
    first = (
        f"{place.parent} does not hold the extra '{wanted}'; first in a checkout, where there is a network: "
        f"make wheelhouse TARGET=x86-cpu PYTHON_VERSION=3.11 EXTRAS={extras}, "
        f"and copy the new folder to the place of this one, then: cd {place.parent} && "
    )
    last = f"{PIP} install -r requirements.txt"
    assert installing.install_extra(wanted) == first + last
    assert installing.replace_libraries(["onnxruntime"], wanted) == (f"{first}{PIP} uninstall -y onnxruntime && {last}")


@pytest.mark.parametrize(
    "record",
    [
        {"target": "x;reboot", "python": "3.11$(reboot)", "extras": ["cpu", "a b", "$(reboot)", 3]},
        {"target": ["x86-cpu"], "python": 3.11, "extras": "reboot"},
    ],
)
def test_a_record_puts_no_words_into_a_command(installed: Any, tmp_path: Path, record: Any) -> None:
    place = wheel(tmp_path / "house")
    (place.parent / installing.WHEELHOUSE_RECORD).write_text(json.dumps(record))
    installed({"url": place.as_uri(), "archive_info": {}})
    told = installing.replace_libraries(["onnxruntime"], "gpu")
    assert "reboot" not in told
    assert "first make it as docs/install.md says" in told


def test_what_setuptools_leaves_in_a_checkout_is_passed_over(
    installed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = checkout(tmp_path / "checkout")
    installed({"url": place.as_uri(), "dir_info": {"editable": True}})
    (place / "mvrec_edge.egg-info").mkdir()
    (place / "mvrec_edge.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mvrec-edge\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(place))
    assert installing.find_origin().place == str(place)


def test_an_extra_takes_the_place_of_libraries(installed: Any, tmp_path: Path) -> None:
    place = checkout(tmp_path / "checkout")
    installed({"url": place.as_uri(), "dir_info": {}})
    expected = f"{PIP} uninstall -y onnxruntime && {PIP} install '{place}[gpu]'"
    assert installing.replace_libraries(["onnxruntime"], "gpu") == expected


def test_an_environment_without_pip(installed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkout(tmp_path / "checkout")
    installed({"url": place.as_uri(), "dir_info": {}})
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pip" else found(name, *rest))
    python = shlex.quote(sys.executable)
    assert installing.install_extra("cpu") == f"uv pip install --python {python} '{place}[cpu]'"
    assert installing.remove_libraries("a") == f"uv pip uninstall --python {python} a"
