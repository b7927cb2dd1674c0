"""Errors: one line, the right exit code, one tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.runtime import errors
from mvrec_edge.runtime.installing import install_extra


def test_message_says_where_what_and_what_to_do() -> None:
    error = errors.ImageError("is truncated", where="a.jpg", fix="copy it again")
    assert str(error) == "a.jpg: is truncated (copy it again)"
    assert (error.what, error.where, error.fix) == ("is truncated", "a.jpg", "copy it again")


def test_message_is_one_line_whatever_a_name_holds() -> None:
    error = errors.InputError("bad\nthing", where="evil\r\nname.png")
    assert str(error) == "evil name.png: bad thing"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.ImageError, 3),
        (errors.AnnotationError, 3),
        (errors.CheckpointError, 3),
        (errors.SupportError, 3),
        (errors.FingerprintMismatchError, 4),
        (errors.IntegrityError, 4),
        (errors.EnvironmentUnfitError, 5),
        (errors.OutputError, 6),
    ],
)
def test_exit_codes(kind: type[errors.MvrecEdgeError], code: int) -> None:
    assert kind("x").exit_code == code


def test_missing_dependency_names_the_extra() -> None:
    error = errors.MissingDependencyError("onnxruntime", extra="cpu", purpose="the engine 'onnxruntime'")
    assert install_extra("cpu") in str(error)
    assert error.exit_code == 5


def test_a_missing_library_of_the_export_names_the_page_of_the_small_installation() -> None:
    line = str(errors.MissingDependencyError("torch", extra="export", purpose="export"))
    assert f"{install_extra('export')}; docs/export.md says how to install it without" in line
    assert "\n" not in line
    page = Path(__file__).parents[3] / "docs" / "export.md"
    assert "uv pip install --torch-backend cpu '.[export]'" in page.read_text()


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (ModuleNotFoundError("No module named 'nncf'", name="nncf"), errors.MissingDependencyError, "not installed"),
        (ModuleNotFoundError("No module named 'scipy'", name="scipy"), errors.BrokenDependencyError, "'scipy'"),
        (ImportError("libtbb.so.12: cannot open\nmore"), errors.BrokenDependencyError, "libtbb.so.12: cannot open ("),
        (AttributeError(), errors.BrokenDependencyError, "does not load: AttributeError"),
    ],
)
def test_a_broken_library_is_not_called_missing(raised: Exception, kind: type[Exception], words: str) -> None:
    error = errors.dependency_error(raised, "nncf", extra="int8", purpose="quantising")
    assert type(error) is kind
    assert words in str(error)
    assert ("--force-reinstall nncf" in str(error)) is (kind is errors.BrokenDependencyError)


def test_docstring_draws_every_error() -> None:
    for name in errors.__all__:
        assert name in (errors.__doc__ or "")
