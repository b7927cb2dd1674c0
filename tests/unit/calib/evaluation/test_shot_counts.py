"""Numbers and ranges of shots, and what each class gets of a range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib import sample_shots
from mvrec_edge.calib.evaluation.shot_counts import (
    ShotRange,
    Shots,
    in_order,
    most_shots,
    parse_shots,
    shots_of_classes,
    shots_words,
)
from mvrec_edge.calib.evaluation.splitting import KnownPlaces, split_places
from mvrec_edge.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,3,5", (1, 3, 5)),
        ("5, 1,1", (1, 5)),
        ("1,3,2-5", (1, 3, ShotRange(2, 5))),
        ("5,2-5,1-5,6", (ShotRange(1, 5), ShotRange(2, 5), 5, 6)),
        ("3-3", (3,)),
    ],
)
def test_lists_are_read_in_order(text: str, wanted: tuple[Shots, ...]) -> None:
    assert parse_shots(text) == wanted
    assert parse_shots(",".join(map(str, wanted))) == wanted


@pytest.mark.parametrize("text", ["", "some", "0", "1,,3", "-3", "2-", "1.5", "2-5-7"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a list of numbers of shots .*--shots 2-5 for a range"):
        parse_shots(text)


@pytest.mark.parametrize("text", ["5-2", "0-3", "0-0"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a (range|list of numbers) of shots"):
        parse_shots(text)


def test_words() -> None:
    assert [shots_words(each) for each in (1, 2, ShotRange(2, 5))] == ["1 shot", "2 shots", "2-5 shots"]
    assert [most_shots(each) for each in (1, ShotRange(2, 5))] == [1, 5]
    assert in_order([5, ShotRange(2, 5), 3, 5]) == (3, ShotRange(2, 5), 5)


@given(st.integers(1, 20), st.integers(1, 10), st.integers(1, 30), st.integers(0, 1000))
def test_each_class_gets_a_number_of_the_range(low: int, more: int, classes: int, seed: int) -> None:
    found = shots_of_classes(ShotRange(low, low + more), classes, seed)
    assert len(found) == classes
    assert low <= min(found)
    assert max(found) <= low + more
    # A class's number does not depend on how many classes come after it.
    assert found[: classes // 2] == shots_of_classes(ShotRange(low, low + more), classes // 2, seed)
    assert shots_of_classes(low, classes, seed) == (low,) * classes


def test_every_number_of_a_range_is_as_likely() -> None:
    found = np.array([shots_of_classes(ShotRange(2, 5), 4, seed) for seed in range(1000)])
    shares = np.bincount(found.ravel())[2:] / found.size
    np.testing.assert_allclose(shares, 0.25, atol=0.03)
    # And classes do not follow one another.
    assert np.abs(np.corrcoef(found.T) - np.eye(4)).max() < 0.1


@given(st.lists(st.integers(0, 3), min_size=4, max_size=60), st.integers(0, 50))
def test_a_range_takes_the_first_of_the_released_draw(tail: list[int], seed: int) -> None:
    """What a class gets are the first instances of its plain draw."""
    labels = np.array([*range(4), *tail])
    split = split_places(KnownPlaces(labels), ShotRange(1, 3), seed)
    wanted = shots_of_classes(ShotRange(1, 3), 4, seed)
    plain = sample_shots(labels.tolist(), 3, seed)
    of_class = [[place for place in plain if labels[place] == name][: wanted[name]] for name in range(4)]
    assert split.drawn.tolist() == [place for name in dict.fromkeys(labels.tolist()) for place in of_class[name]]
    assert not set(split.drawn) & set(split.queries)


@given(st.lists(st.integers(0, 2), min_size=3, max_size=40), st.integers(1, 4), st.integers(0, 50))
def test_plain_numbers_are_drawn_as_released(tail: list[int], shots: int, seed: int) -> None:
    labels = np.array([*range(3), *tail])
    assert split_places(KnownPlaces(labels), shots, seed).drawn.tolist() == sample_shots(labels.tolist(), shots, seed)
