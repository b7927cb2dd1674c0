"""The table of `classify`: images are told apart by the ends of their paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.cli.records import short_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["parts/dent/1.jpg", "parts/dent/2.jpg"], ["1.jpg", "2.jpg"]),
        (["parts/dent/1.jpg", "parts/pit/1.jpg", "parts/pit/2.jpg"], ["dent/1.jpg", "pit/1.jpg", "pit/2.jpg"]),
        (["a/x/1.jpg", "b/x/1.jpg"], ["a/x/1.jpg", "b/x/1.jpg"]),
        (["/a/x/1.jpg", "/b/x/1.jpg"], ["a/x/1.jpg", "b/x/1.jpg"]),
        (["1.jpg", "x/1.jpg"], ["1.jpg", "x/1.jpg"]),
        (["/1.jpg", "1.jpg"], ["/1.jpg", "1.jpg"]),
        (["x/1.jpg", "x/1.jpg"], ["1.jpg", "1.jpg"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    given = [Path(path) for path in paths]
    found = short_names(given)
    assert [found[path] for path in given] == names
