"""A matplotlib that is missing, and one that is there and broken: each is told in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mvrec_edge.calib.plotting import require_matplotlib
from mvrec_edge.runtime.errors import BrokenDependencyError, MissingDependencyError

#: What numpy 2 does where a library was built for numpy 1: a page on stderr, and then an error.
_BUILT_FOR_NUMPY_1 = """
import sys
sys.stderr.write("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.2.6 as it may crash.\\n" * 20)
raise ERROR
"""


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ImportError('numpy.core.multiarray failed to import')", "numpy.core.multiarray failed to import"),
        ("AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
        ("ModuleNotFoundError(\"No module named 'PIL'\", name='PIL')", "No module named 'PIL'"),
    ],
)
@pytest.mark.usefixtures("without_matplotlib")
def test_a_broken_matplotlib_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: str, words: str
) -> None:
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("")
    (tmp_path / "matplotlib" / "figure.py").write_text(_BUILT_FOR_NUMPY_1.replace("ERROR", error))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BrokenDependencyError) as raised:
        require_matplotlib("the plot")
    line = str(raised.value)
    assert line.startswith(f"the plot needs the library 'matplotlib', which is installed but does not load: {words}")
    assert "--force-reinstall matplotlib" in line
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("without_matplotlib")
def test_a_missing_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="not installed"):
        require_matplotlib("the plot")
