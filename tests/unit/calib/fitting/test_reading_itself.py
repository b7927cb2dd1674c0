"""How a support set reads itself, in one line."""

from __future__ import annotations

import numpy as np

from mvrec_edge.calib import FineTuning, fit_head
from mvrec_edge.calib.fitting.reading_itself import UNTRIED, count_right, describe_reading, read_by_others
from mvrec_edge.runtime import SupportCache

NAMES = ("MT_Break", "MT_Fray", "MT_Crack")


def support(*places: tuple[int, ...]) -> SupportCache:
    """Classes whose instances lie at one of three corners each, nearly; zip-c as published."""
    labels = np.repeat(np.arange(len(places)), [len(each) for each in places])
    embeddings = np.eye(3)[[place for each in places for place in each]][:, None, :]
    embeddings = embeddings + 0.01 * np.random.default_rng(0).standard_normal((len(labels), 2, 3))
    return SupportCache.from_embeddings(embeddings.astype(np.float32), labels, NAMES[: len(places)])


def test_the_class_that_is_read_wrongly_most_is_named() -> None:
    cache = support((0, 0, 0, 1, 1), (1, 1, 1, 1, 2), (2, 2, 2))
    assert describe_reading(cache) == (
        "10 of 13 examples are read rightly by the others (76.9%); read wrongly most: MT_Break 2 of 5"
    )
    assert count_right(cache, read_by_others(cache)) == {"MT_Break": (3, 5), "MT_Fray": (4, 5), "MT_Crack": (3, 3)}


def test_all_right_names_no_class() -> None:
    cache = support((0, 0), (1, 1))
    assert describe_reading(cache) == "4 of 4 examples are read rightly by the others (100.0%)"


def test_what_cannot_be_checked_is_said() -> None:
    cache = support((0, 0, 0), (1,))
    assert read_by_others(cache).tolist() == [0, 0, 0, UNTRIED]
    assert describe_reading(cache) == (
        "3 of 3 examples are read rightly by the others (100.0%); "
        "1 example whose class has no other image cannot be checked"
    )
    assert describe_reading(support((0,), (1,))) == (
        "no example can be checked by the others: every class has a single instance"
    )


def test_a_trained_head_has_seen_what_is_left_out() -> None:
    cache = fit_head(support((0, 0), (1, 1)), "zip-f", tuning=FineTuning(steps=2)).cache
    assert describe_reading(cache).endswith("; the head was trained on all of them, so this looks better than it is")
