"""The paper's protocol, its report, and features from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.calib import EvaluationSet, FineTuning, Protocol, evaluate_heads, read_features, sample_shots
from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_lines, evaluation_markdown, plot_evaluation
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError

NAMES = ("crack", "dent|x", "stain")


def data(*, per_class: int = 6, queries: int = 4, noise: float = 0.3, seed: int = 0) -> EvaluationSet:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((3, 1, 16))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), count)
        return centres[labels] + noise * rng.standard_normal((3 * count, 4, 16)), labels

    support, support_labels = draw(per_class)
    query, query_labels = draw(queries)
    return EvaluationSet(NAMES, support, support_labels, query, query_labels)


QUICK = Protocol(shots=(1, 3), draws=2, heads=("auto", "zip", "zip-f"), tuning=FineTuning(steps=3))


def test_one_result_for_each_shots_and_head() -> None:
    seen: list[int] = []
    results = evaluate_heads(data(), QUICK, seen.append)
    assert [(result.shots, result.head) for result in results] == [
        (shots, head) for shots in (1, 3) for head in ("auto", "zip", "zip-f")
    ]
    assert sum(seen) == 12
    for result in results:
        assert len(result.accuracies) == len(result.chosen) == 2
        assert result.confusion.sum() == 2 * 12
        assert result.mean == pytest.approx(np.diag(result.confusion).sum() / 24)
        np.testing.assert_allclose(result.per_class, np.diag(result.confusion) / 8)


def test_the_aggregation_is_taken_by_named_heads() -> None:
    for aggregate in ("mean", "uncertainty"):
        protocol = Protocol(shots=(2,), draws=1, heads=("zip", "zip-c"), aggregate=aggregate)
        chosen = [words for result in evaluate_heads(data(), protocol) for words in result.chosen]
        assert chosen == [f"zip, beta 32, {aggregate}", f"zip-c, beta 8, {aggregate}"]
    with pytest.raises(UsageError, match="chooses beta and aggregation itself"):
        evaluate_heads(data(), Protocol(shots=(2,), draws=1, heads=("auto",), aggregate="mean"))


def test_clusters_apart_are_all_right() -> None:
    for result in evaluate_heads(data(noise=0.01), QUICK):
        assert result.mean == 1.0
        assert result.spread == 0.0


def test_without_queries_the_rest_is_classified_and_never_the_drawn() -> None:
    given = data()
    rest = EvaluationSet(NAMES, given.support, given.support_labels)
    (result,) = evaluate_heads(rest, Protocol(shots=(2,), draws=1, heads=("zip",)))
    assert result.confusion.sum() == 18 - 6
    drawn = sample_shots(given.support_labels.tolist(), 2, 0)
    assert result.confusion.sum(axis=1).tolist() == [4, 4, 4]
    assert len(set(drawn)) == 6


@pytest.mark.parametrize(
    ("changes", "protocol", "kind", "message"),
    [
        ({}, Protocol(shots=(7,)), SupportError, "'crack' has 6 instances, fewer than 7 shots"),
        ({"query": None, "query_labels": None}, Protocol(shots=(6,)), InputError, "none is left"),
        ({"query": np.empty((0, 4, 16)), "query_labels": np.empty(0, np.int64)}, Protocol(), InputError, "no query"),
        ({"support": np.full((18, 4, 16), np.nan)}, Protocol(), InputError, "not finite"),
        ({"query": np.full((12, 4, 16), np.inf)}, Protocol(), InputError, "not finite"),
        (
            {
                "class_names": ("only",),
                "support_labels": np.zeros(18, np.int64),
                "query_labels": np.zeros(12, np.int64),
            },
            Protocol(shots=(1,)),
            SupportError,
            "fewer than two classes",
        ),
    ],
)
def test_bad_input_is_one_clear_error(
    changes: dict[str, object], protocol: Protocol, kind: type[Exception], message: str
) -> None:
    import dataclasses

    with pytest.raises(kind, match=message):
        evaluate_heads(dataclasses.replace(data(), **changes), protocol)  # type: ignore[arg-type]


def test_report_in_every_form(tmp_path: Path) -> None:
    results = evaluate_heads(data(), QUICK)
    payload = json.loads(json.dumps(evaluation_json(results, NAMES, {"features": "a"}), allow_nan=False))
    assert payload["features"] == "a"
    assert len(payload["results"]) == 6
    assert set(payload["results"][0]["per_class"]) == set(NAMES)
    text = evaluation_markdown(results, NAMES, "Evaluation")
    assert "| zip-f |" in text
    assert "dent\\|x" in text
    rows = [line for line in text.splitlines() if line.startswith("| crack |")]
    assert len(rows) == 3
    assert evaluation_lines(results)[0].split() == ["accuracy,", "%", "1", "shot", "3", "shots"]
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    plot_evaluation(results, NAMES, tmp_path / "a.png")
    import cv2

    assert cv2.imread(str(tmp_path / "a.png")).shape[0] > 300


def test_a_class_without_queries_has_no_share() -> None:
    given = data()
    labels = np.where(given.query_labels == 2, 0, given.query_labels)  # type: ignore[arg-type]
    (result,) = evaluate_heads(
        EvaluationSet(NAMES, given.support, given.support_labels, given.query, labels),
        Protocol(shots=(1,), draws=1, heads=("zip",)),
    )
    assert np.isnan(result.per_class[2])
    assert result.to_dict(NAMES)["per_class"]["stain"] is None
    assert "| - |" in evaluation_markdown([result], NAMES, "x")


def save(path: Path, names: object = NAMES, **tensors: np.ndarray) -> Path:
    safetensors.numpy.save_file(tensors, path, metadata={"class_names": json.dumps(names)})
    return path


FEATURES = {
    "support_embeddings": np.ones((4, 2, 8), np.float16),
    "support_labels": np.array([0, 1, 2, 0]),
    "query_embeddings": np.ones((2, 2, 8), np.float16),
    "query_labels": np.array([1, 2]),
}


def test_features_are_read(tmp_path: Path) -> None:
    features = read_features(save(tmp_path / "a", **FEATURES))
    assert features.class_names == NAMES
    assert features.support.shape == (4, 2, 8)
    alone = {name: value for name, value in FEATURES.items() if name.startswith("support")}
    assert read_features(save(tmp_path / "b", **alone)).query is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"support_labels": np.array([0, 1, 2])}, "must be 4 whole numbers"),
        ({"support_labels": np.array([0, 1, 2, 3])}, "not in the list of 3"),
        ({"query_labels": np.array([-1, 0])}, "not in the list of 3"),
        ({"support_embeddings": np.ones((4, 8), np.float32)}, "must be floats"),
        ({"support_embeddings": np.ones((4, 2, 8), np.int32)}, "must be floats"),
        ({"query_embeddings": np.ones((2, 2, 9), np.float16)}, "different channels"),
        ({"query_labels": None}, "lacks 'query_embeddings' or"),
        ({"support_embeddings": None}, "lacks 'support_embeddings' or"),
        ({"names": "crack"}, "no list of class names"),
        ({"names": [1, 2]}, "no list of class names"),
    ],
)
def test_features_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    merged = {**FEATURES, **changes}
    names = merged.pop("names", NAMES)
    tensors = {name: value for name, value in merged.items() if value is not None}
    with pytest.raises(InputError, match=message):
        read_features(save(tmp_path / "a", names, **tensors))  # type: ignore[arg-type]


def test_what_is_no_features_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a file of features"):
        read_features(tmp_path / "a")
    safetensors.numpy.save_file(FEATURES, tmp_path / "b")
    with pytest.raises(InputError, match="no list of class names"):
        read_features(tmp_path / "b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": ()}, "at least one"),
        ({"shots": (0, 1)}, "at least 1 shot"),
        ({"heads": ("magic",), "shots": (1,)}, "no head 'magic'"),
        ({"heads": ("auto",), "aggregate": "mean"}, "chooses beta and aggregation itself"),
    ],
)
def test_a_protocol_that_cannot_be_run_is_refused_when_it_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol(**settings)
