"""Window sizes as they are given: what is read, and what is refused in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.views.window_sizes import check_window_sizes, listed_sizes, parse_window_sizes


@given(st.sets(st.integers(16, 16384), min_size=1, max_size=5))
def test_what_is_listed_is_read_again(sizes: set[int]) -> None:
    ordered = tuple(sorted(sizes))
    assert parse_window_sizes(listed_sizes(ordered)) == ordered
    assert parse_window_sizes(" , ".join(str(size) for size in ordered)) == ordered


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a list of window sizes"),
        ("128,", "'128,' is not a list of window sizes"),
        ("128;256", "is not a list of window sizes"),
        ("128.5", "is not a list of window sizes"),
        ("small", "is not a list of window sizes"),
        ("15", "a whole number of pixels from 16 to 16384, not 15"),
        ("256,16385", "a whole number of pixels from 16 to 16384, not 16385"),
        ("-256", "a whole number of pixels from 16 to 16384, not -256"),
        ("256,128", "must increase, each given once; 256,128 do not"),
        ("128,128", "must increase, each given once; 128,128 do not"),
        ("16,17,18,19,20,21", "1 to 5 window sizes can be given, not 6"),
    ],
)
def test_what_cannot_be_is_refused_with_an_example(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse_window_sizes(text)
    assert "example: --window-sizes 128,192,256" in str(raised.value)


@pytest.mark.parametrize("sizes", [(), (True,), (128.0,), ("128",)])
def test_what_is_no_whole_number_is_refused(sizes: tuple[object, ...]) -> None:
    with pytest.raises(UsageError):
        check_window_sizes(sizes)  # type: ignore[arg-type]
