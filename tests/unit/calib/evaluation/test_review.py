"""Whether the limit for review keeps its promise, on drawn embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.calib.evaluation.documents import write_evaluation
from mvrec_edge.calib.evaluation.protocol import EvaluationSet, Protocol, draw
from mvrec_edge.calib.evaluation.review import ReviewResult, evaluate_review
from mvrec_edge.calib.evaluation.review_tables import review_lines, review_markdown
from mvrec_edge.calib.evaluation.set_evaluation import EvaluateSettings, evaluate_embeddings
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.review_fitting import fit_review
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import open_head


def embeddings(spread: float, per_class: int = 40) -> EvaluationSet:
    """Three classes in eight directions, the nearer the larger their spread."""
    labels = np.repeat(np.arange(3), per_class)
    noise = np.random.default_rng(0).standard_normal((len(labels), 2, 8))
    values = (np.eye(8)[labels][:, None] + spread * noise).astype(np.float32)
    return EvaluationSet(("a", "b", "c"), values, labels)


@pytest.fixture(scope="module")
def results() -> list[ReviewResult]:
    return evaluate_review(embeddings(0.45), Protocol(shots=(2, 20), draws=4, heads=("zip-c", "zip-f")), 0.9)


def test_few_shots_promise_nothing_and_more_do(results: list[ReviewResult]) -> None:
    few, more = results
    assert [(each.head, each.shots) for each in results] == [("zip-c", 2), ("zip-c", 20)]
    assert few.to_review == 1
    assert (few.queries, few.kept) == (0, (0, 0))
    assert np.isnan(few.accuracy)
    assert few.interval == (0.0, 1.0)
    assert more.to_review < 1
    low, high = more.interval
    assert low <= more.accuracy <= high


def test_it_is_what_the_limit_says_of_the_queries(results: list[ReviewResult]) -> None:
    data = embeddings(0.45)
    each = draw(data, 20, 1)
    cache = fit_review(fit_head(each.cache, "zip-c").cache, 0.9)
    probabilities = open_head(cache).probabilities(each.queries)
    assert cache.review is not None
    alone = np.array([not cache.review.wants_review(int(row.argmax()), float(row.max())) for row in probabilities])
    right = probabilities.argmax(axis=1) == each.labels
    found = results[1]
    assert found.answers[1] == len(each.labels) == 60
    assert found.decided[1] == alone.sum()
    assert found.right[1] == (alone & right).sum()
    assert found.wrong_looked_at[1] == (~alone & ~right).sum()
    assert max(found.decided) <= found.queries <= 120


def test_figures_by_hand() -> None:
    result = ReviewResult("zip", 5, 0.9, (10, 10, 10), (10, 5, 0), (9, 4, 0), (0, 1, 2), 12)
    assert result.to_review == 0.5
    assert result.accuracy == pytest.approx(13 / 15)
    assert result.kept == (1, 2)
    record = result.to_dict()
    assert (record["draws_with_a_limit"], record["draws_kept"]) == (2, 1)
    assert record["draws"][1] == {"answers": 10, "decided": 5, "right": 4, "wrong_looked_at": 1}
    nothing = ReviewResult("zip", 1, 0.9, (10,), (0,), (0,), (4,), 0)
    assert (nothing.to_dict()["accuracy"], nothing.to_dict()["interval_95"]) == (None, None)
    lines = review_lines([nothing, result], 0.9)
    assert lines[0] == "a human looks at what is not at least 90% right:"
    assert lines[2].split() == ["zip", "1", "100.0%", "-", "-", "-"]
    assert lines[3].split() == ["zip", "5", "50.0%", "86.7%", "58.8", "to", "96.7%", "1", "of", "2"]
    assert "| zip | 5 | 50.0% | 86.7% |" in review_markdown([result], 0.9, "Review")


def test_heads_that_train_alone_are_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="none among --heads"):
        EvaluateSettings(Protocol(heads=("zip-f",)), right_at_least=0.9)
    with pytest.raises(UsageError, match=r"50% to 99\.99%"):
        EvaluateSettings(right_at_least=0.2)


def test_the_stage_and_its_files(tmp_path: Path) -> None:
    settings = EvaluateSettings(Protocol(shots=(10,), draws=2, heads=("zip-c",)), right_at_least=0.8)
    evaluation = evaluate_embeddings(embeddings(0.3, 15), settings)
    assert evaluation.review is not None
    write_evaluation(tmp_path / "out", evaluation, {"features": "f"})
    written = json.loads((tmp_path / "out" / "review.json").read_text())
    assert written["right_at_least"] == 0.8
    assert written["features"] == "f"
    assert written["results"] == [evaluation.review[0].to_dict()]
    assert "| zip-c | 10 | " in (tmp_path / "out" / "review.md").read_text()
    plain = evaluate_embeddings(embeddings(0.3, 15), EvaluateSettings(Protocol(shots=(1,), draws=1, heads=("zip",))))
    assert plain.review is None
    write_evaluation(tmp_path / "plain", plain, {})
    assert not (tmp_path / "plain" / "review.json").exists()
