"""Classes left out in turn: the figures, what they are taken from, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import EvaluationSet, FineTuning, Protocol, evaluate_unknown
from mvrec_edge.calib.evaluation.unknown import auroc, fpr_at_95
from mvrec_edge.calib.evaluation.unknown_tables import unknown_json, unknown_lines, unknown_markdown
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.runtime.files import canonical_json

NAMES = ("crack", "dent|x", "stain", "pit")


def data(*, classes: int = 4, per_class: int = 6, noise: float = 0.1, seed: int = 0) -> EvaluationSet:
    generator = np.random.default_rng(seed)
    looks = np.eye(16)[:classes, None]

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(classes), count)
        return 3 + looks[labels] + noise * generator.standard_normal((len(labels), 3, 16)), labels

    return EvaluationSet(NAMES[:classes], *draw(per_class), *draw(5))


QUICK = Protocol(shots=(1, 4), draws=2, heads=("zip-c", "zip-f"), tuning=FineTuning(steps=3))


def test_one_result_for_each_score() -> None:
    seen: list[int] = []
    results = evaluate_unknown(data(), QUICK, 0.05, seen.append)
    assert sum(seen) == 2 * 2 * 4
    scores = ["novelty", "centred cosine", "cosine", "confidence of zip-c", "confidence of zip-f"]
    assert [(result.shots, result.score) for result in results] == [
        (shots, name) for shots in (1, 4) for name in scores
    ]
    for result in results:
        assert result.auroc.shape == result.fpr95.shape == (4, 2)
        limited = result.score == "novelty" and result.shots == 4
        assert np.isnan(result.known_rejected).all() == np.isnan(result.unknown_found).all() == (not limited)


def test_defects_far_from_all_classes_are_found() -> None:
    novelty = evaluate_unknown(data(noise=0.02), QUICK)[5]
    assert (novelty.score, novelty.shots) == ("novelty", 4)
    assert (novelty.auroc == 1).all()
    assert (novelty.fpr95 == 0).all()
    assert (novelty.unknown_found == 1).all()
    assert novelty.known_rejected.mean() < 0.3


def test_without_queries_the_rest_is_classified() -> None:
    whole = data(noise=0.02)
    rest = dataclasses.replace(whole, query=None, query_labels=None)
    assert evaluate_unknown(rest, dataclasses.replace(QUICK, heads=("zip",)))[0].auroc.mean() > 0.9


def test_the_left_out_class_is_not_in_the_support() -> None:
    """If its instances were there, it would not stand out: a class without any look of its own never does."""
    alike = data(noise=0.02)
    support, query = alike.support.copy(), alike.query
    assert query is not None
    query = query.copy()
    # Class 1 looks like class 0, so leaving either out leaves its double in.
    support[alike.support_labels == 1] -= np.eye(16)[1] - np.eye(16)[0]
    query[alike.query_labels == 1] -= np.eye(16)[1] - np.eye(16)[0]
    changed = dataclasses.replace(alike, support=support, query=query)
    novelty = evaluate_unknown(changed, dataclasses.replace(QUICK, heads=("zip",)))[4 + 0]
    assert (novelty.score, novelty.shots) == ("novelty", 4)
    assert novelty.auroc[:2].max() < 0.95
    assert novelty.auroc[2:].min() == 1


def test_too_few_classes_queries_or_a_rate_out_of_range() -> None:
    with pytest.raises(SupportError, match="2 classes"):
        evaluate_unknown(data(classes=2), QUICK)
    with pytest.raises(UsageError, match="rate"):
        evaluate_unknown(data(), QUICK, 0.7)
    with pytest.raises(UsageError, match="at least one number of shots"):
        evaluate_unknown(data(), dataclasses.replace(QUICK, draws=0))
    whole = data()
    assert whole.query is not None
    assert whole.query_labels is not None
    kept = whole.query_labels != 2
    with pytest.raises(InputError, match="'stain' or all others have no query"):
        evaluate_unknown(
            dataclasses.replace(whole, query=whole.query[kept], query_labels=whole.query_labels[kept]), QUICK
        )


def test_reports_hold_the_figures() -> None:
    results = evaluate_unknown(data(), QUICK)
    written = json.loads(canonical_json(unknown_json(results, NAMES, 0.05, {"encoder": "e"})))
    assert written["encoder"] == "e"
    assert written["reject_rate"] == 0.05
    first, limited = written["results"][0], written["results"][5]
    assert first["auroc"] == pytest.approx(results[0].auroc.mean(), abs=1e-6)
    assert "known_rejected" not in first
    assert limited["known_rejected"] == pytest.approx(results[5].known_rejected.mean(), abs=1e-6)
    assert limited["left_out"]["pit"]["auroc"]["draws"] == [
        pytest.approx(value, abs=1e-6) for value in results[5].auroc[3]
    ]
    text = unknown_markdown(results, NAMES, 0.05, "Title")
    assert f"| novelty | {results[0].auroc.mean():.3f} / {results[0].fpr95.mean():.3f} | " in text
    assert "| score | crack | dent\\|x | stain | pit |" in text
    assert "wanted false-reject rate of 5%" in text
    lines = unknown_lines(results, 0.05)
    assert lines[1].split() == [
        "novelty",
        *(
            word
            for result in (results[0], results[5])
            for word in (f"{result.auroc.mean():.3f}", "/", f"{result.fpr95.mean():.3f}")
        ),
    ]
    assert lines[-1].split()[-2:] == ["-", f"{100 * results[5].unknown_found.mean():.1f}"]


@settings(deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
)
def test_auroc_and_fpr_are_what_they_say(known: list[int], unknown: list[int]) -> None:
    first, second = np.array(known, float), np.array(unknown, float)
    above = (second[:, None] > first).mean() + (second[:, None] == first).mean() / 2
    assert auroc(first, second) == pytest.approx(above)
    assert auroc(first, second) == pytest.approx(1 - auroc(second, first))
    limits = [limit for limit in first if (first <= limit).mean() >= 0.95 - 1e-12]
    assert fpr_at_95(first, second) == (second <= min(limits)).mean()
