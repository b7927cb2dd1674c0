"""The paper's protocol, its report, and features from a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.calib import (
    EvaluateSettings,
    Evaluation,
    EvaluationSet,
    FineTuning,
    HeadResult,
    Protocol,
    evaluate_heads,
    read_features,
    sample_shots,
)
from mvrec_edge.calib.evaluation.answers import NOT_ASKED, Answers
from mvrec_edge.calib.evaluation.cautions import cautions
from mvrec_edge.calib.evaluation.intervals import wilson_interval
from mvrec_edge.calib.evaluation.plots import plot_evaluation, plot_reliability
from mvrec_edge.calib.evaluation.protocol import draw
from mvrec_edge.calib.evaluation.shot_counts import ShotRange
from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_markdown
from mvrec_edge.calib.evaluation.terminal_tables import class_lines, evaluation_lines
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


def evaluation(*results: HeadResult) -> Evaluation:
    """Results as the stage returns them."""
    return Evaluation(EvaluateSettings(QUICK), NAMES, results)


def answered(labels: list[int], predicted: list[list[int]], classes: int = 2) -> Answers:
    """Answers that are stated with 70%, to queries of an image each."""
    answers = Answers.empty(np.array(labels), None, len(predicted))
    for number, row in enumerate(predicted):
        asked = np.array([place for place, label in enumerate(row) if label != NOT_ASKED])
        said = np.full((len(asked), classes), 0.3 / (classes - 1), np.float32)
        said[np.arange(len(asked)), np.array(row)[asked]] = 0.7
        answers.put(number, asked, said)
    return answers


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
    with pytest.raises(UsageError, match="has neither beta nor aggregation"):
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
    with pytest.raises(kind, match=message):
        evaluate_heads(dataclasses.replace(data(), **changes), protocol)  # type: ignore[arg-type]


def test_report_in_every_form(tmp_path: Path) -> None:
    results = evaluation(*evaluate_heads(data(), QUICK))
    payload = json.loads(json.dumps(evaluation_json(results, {"features": "a"}), allow_nan=False))
    assert payload["features"] == "a"
    assert len(payload["results"]) == 6
    assert set(payload["results"][0]["per_class"]) == set(NAMES)
    # Every head against the first, at each number of shots.
    assert [(each["shots"], each["head"], each["other"]) for each in payload["differences"]] == [
        (shots, head, "auto") for shots in (1, 3) for head in ("zip", "zip-f")
    ]
    assert "mean_of_directions" not in payload
    text = evaluation_markdown(results, "Evaluation")
    assert "| 3 | zip-f | 2 | 12 |" in text
    assert "dent\\|x" in text
    rows = [line for line in text.splitlines() if line.startswith("| crack |")]
    # For each head its queries, and its row of the confusion.
    assert len(rows) == 6
    assert rows[0].startswith("| crack | 3 of 6 | 4 |")
    assert "| queries | crack | dent\\|x | stain |" in text
    assert "| 3 shots | 4 | 4 | 4 |" in text
    lines = evaluation_lines(results)
    columns = "shots head draws queries accuracy, % SE draws SE queries log-loss Brier ECE, %"
    assert lines[0].split() == columns.split()
    assert [line.split()[:4] for line in lines[1:7]] == [
        [shots, head, "2", "12"] for shots in ("1", "3") for head in ("auto", "zip", "zip-f")
    ]
    assert [line.split(" (")[0].split(":")[0].strip() for line in lines[8:12]] == ["1 shot"] * 2 + ["3 shots"] * 2
    assert max(map(len, lines)) <= 100
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    plot_evaluation(results, tmp_path / "a.png")
    plot_reliability(results, tmp_path / "b.png")
    import cv2

    for name in ("a.png", "b.png"):
        assert cv2.imread(str(tmp_path / name)).shape[0] > 300


def test_a_class_without_queries_has_no_share() -> None:
    given = data()
    labels = np.where(given.query_labels == 2, 0, given.query_labels)  # type: ignore[arg-type]
    (result,) = evaluate_heads(
        EvaluationSet(NAMES, given.support, given.support_labels, given.query, labels),
        Protocol(shots=(1,), draws=1, heads=("zip",)),
    )
    assert np.isnan(result.per_class[2])
    without = result.to_dict(NAMES)["per_class"]["stain"]
    assert without == {
        "labelled": 6,
        "queries": 0,
        "answers": 0,
        "right": 0,
        "accuracy": None,
        "interval_95": None,
    }
    assert "| stain | 1 of 6 | 0 | - | - | - |" in evaluation_markdown(evaluation(result), "x")
    assert any(line.split() == ["stain", "1", "of", "6", "0", "-", "-", "-"] for line in class_lines(result, NAMES))


def test_a_query_of_several_draws_counts_once() -> None:
    given = data()
    own = Protocol(shots=(2,), draws=3, heads=("zip",))
    (result,) = evaluate_heads(given, own)
    assert result.confusion.sum() == 3 * 12
    assert result.queries.tolist() == [4, 4, 4]
    # Of six instances two are drawn each time, so three draws classify all six, twice on average.
    (rest,) = evaluate_heads(EvaluationSet(NAMES, given.support, given.support_labels), own)
    assert rest.confusion.sum() == 3 * 12
    drawn = [set(sample_shots(given.support_labels.tolist(), 2, seed)) for seed in range(3)]
    classified = {place for place in range(18) if any(place not in each for each in drawn)}
    assert rest.queries.sum() == len(classified)
    assert rest.overall.answers == 3 * 12
    assert rest.overall.right == np.diag(rest.confusion).sum() == sum(each.right for each in rest.classes)
    assert rest.overall.accuracy == pytest.approx(rest.mean)
    # The interval goes by the different queries, however often the draws repeat them.
    assert rest.overall.interval == wilson_interval(rest.overall.accuracy * len(classified), len(classified))
    assert rest.labelled.tolist() == [6, 6, 6]


def test_the_largest_confusions_are_named() -> None:
    # Two draws of four queries of each class.
    labels = [0] * 4 + [1] * 4 + [2] * 4
    first = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 0]
    second = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 1]
    result = HeadResult("zip", 2, answered(labels, [first, second], 3), np.array([9, 9, 9]), ("zip",) * 2)
    np.testing.assert_array_equal(result.confusion, [[6, 2, 0], [0, 8, 0], [1, 3, 4]])
    assert [(each.label, each.read_as, each.wrong, each.answers) for each in result.most_confused()] == [
        (2, 1, 3, 8),
        (0, 1, 2, 8),
        (2, 0, 1, 8),
    ]
    lines = class_lines(result, ("a", "b", "c"))
    assert lines[-1] == (
        "read wrongly most often: c as b, 3 of 8 answers; a as b, 2 of 8 answers; c as a, 1 of 8 answers"
    )
    assert lines[2].split() == ["a", "2", "of", "9", "4", "6", "of", "8", "75.0", "30", "to", "95"]
    assert lines[5].split()[:9] == ["all", "6", "of", "27", "12", "18", "of", "24", "75.0"]
    right = HeadResult("zip", 2, answered([0] * 4 + [1] * 4, [[0] * 4 + [1] * 4]), np.array([9, 9]), ("zip",))
    assert not any("wrongly" in line for line in class_lines(right, ("a", "b")))


def test_draws_of_different_sizes_weigh_by_their_answers_in_the_sum() -> None:
    # One right of two, then eight of eight.
    first = [0, *[NOT_ASKED] * 4, 0, *[NOT_ASKED] * 4]
    second = [NOT_ASKED, 0, 0, 0, 0, NOT_ASKED, 1, 1, 1, 1]
    result = HeadResult("zip", 1, answered([0] * 5 + [1] * 5, [first, second]), np.array([9, 9]), ("", ""))
    assert result.accuracies == (0.5, 1.0)
    assert result.mean == 0.75
    assert result.queries.tolist() == [5, 5]
    assert (result.overall.right, result.overall.answers, result.overall.accuracy) == (9, 10, 0.9)


def on_images(*, images: list[int], queries: bool = False) -> EvaluationSet:
    """Three classes of six instances each, on images."""
    given = data(per_class=6)
    alone = EvaluationSet(NAMES, given.support, given.support_labels, support_images=np.array(images))
    if not queries:
        return alone
    query_images = np.array([0, 0, 0, 50, 50, 50, 51, 52, 53, 54, 55, 56])
    return dataclasses.replace(alone, query=given.query, query_labels=given.query_labels, query_images=query_images)


# Two instances of a class on each image, and image 0 has one of each class.
PAIRS = [0, 1, 1, 2, 2, 3, 0, 4, 4, 5, 5, 6, 0, 7, 7, 8, 8, 9]


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_an_image_is_on_one_side_only(shots: int) -> None:
    given = on_images(images=PAIRS)
    images = np.array(PAIRS)
    for seed in range(5):
        each = draw(given, shots, seed, "image")
        assert np.bincount(given.support_labels[each.drawn]).tolist() == [shots] * 3
        assert not set(images[each.drawn]) & set(images[each.places])
        # All that is on no image drawn is classified.
        assert set(each.places) == set(np.flatnonzero(~np.isin(images, images[each.drawn])))
        np.testing.assert_array_equal(each.queries, given.support[each.places])
        np.testing.assert_array_equal(each.labels, given.support_labels[each.places])
        assert each.cache.image_groups.max() + 1 == len(set(images[each.drawn]))


def test_queries_on_an_image_that_was_drawn_are_left_out() -> None:
    given = on_images(images=PAIRS, queries=True)
    sizes = {len(draw(given, 2, seed, "image").places) for seed in range(8)}
    assert sizes == {9, 12}
    assert {len(draw(given, 2, seed).places) for seed in range(8)} == {12}


def test_with_one_instance_an_image_both_splits_are_the_same() -> None:
    given = on_images(images=list(range(100, 118)))
    for seed in range(5):
        by_region, by_image = (draw(given, 3, seed, split) for split in ("region", "image"))
        np.testing.assert_array_equal(by_region.drawn, by_image.drawn)
        np.testing.assert_array_equal(by_region.places, by_image.places)
    plain = dataclasses.replace(given, support_images=None)
    for name in ("region", "image"):
        protocol = dataclasses.replace(QUICK, split=name)
        found = [result.to_dict(NAMES) for result in evaluate_heads(given, protocol)]
        assert found == [result.to_dict(NAMES) for result in evaluate_heads(plain, QUICK)]


def test_a_split_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no split 'folder'.*region, image"):
        Protocol(split="folder")
    by_image = Protocol(shots=(1,), heads=("zip",), split="image")
    with pytest.raises(UsageError, match="these features do not say"):
        evaluate_heads(data(), by_image)
    with pytest.raises(UsageError, match="these features do not say"):
        evaluate_heads(dataclasses.replace(on_images(images=PAIRS, queries=True), query_images=None), by_image)
    with pytest.raises(InputError, match=r"with 1 shot drawn by image \(seed 0\) every image would be drawn"):
        evaluate_heads(on_images(images=[0] * 18), by_image)


def test_few_queries_and_images_on_both_sides_are_cautioned_of() -> None:
    given = on_images(images=PAIRS)
    protocol = Protocol(shots=(2,), draws=1, heads=("zip",))
    few, shared = cautions(given, protocol, evaluate_heads(given, protocol))
    assert few.startswith("fewer than 20 queries of crack (4), dent|x (4), stain (4)")
    assert "images have regions both among the shots and among the queries" in shared
    assert "--split image" in shared
    by_image = dataclasses.replace(protocol, split="image")
    assert len(cautions(given, by_image, evaluate_heads(given, by_image))) == 1
    many = data(per_class=3, queries=20)
    assert cautions(many, protocol, evaluate_heads(many, protocol)) == ()


def test_a_head_that_trains_has_fewer_draws_and_says_so() -> None:
    protocol = Protocol(shots=(2,), draws=4, heads=("zip", "zip-f"), tuning=FineTuning(steps=3), trained_draws=3)
    seen: list[int] = []
    rest = dataclasses.replace(data(), query=None, query_labels=None)
    results = evaluate_heads(rest, protocol, seen.append)
    assert sum(seen) == 4 + 3
    assert [len(result.accuracies) for result in results] == [4, 3]
    assert [len(result.chosen) for result in results] == [4, 3]
    # Its draws are the first ones.
    (alone,) = evaluate_heads(rest, dataclasses.replace(protocol, draws=3, heads=("zip-f",)))
    assert results[1].to_dict(NAMES) == alone.to_dict(NAMES)
    lines = evaluation_lines(evaluation(*results))
    assert "zip-f is trained anew in each draw, so it has the first 3 of the 4 draws (--trained-draws)" in lines
    assert "\n\nzip-f is trained anew in each draw" in evaluation_markdown(evaluation(*results), "x")
    # Both heads are compared on the draws that both have.
    (difference,) = evaluation(*results).directions[0].differences
    assert difference.draws == 3
    assert difference.difference == pytest.approx(results[1].mean - np.mean(results[0].accuracies[:3]))


def test_each_class_of_a_range_has_its_own_number_of_shots() -> None:
    protocol = Protocol(shots=(1,), draws=6, heads=("zip",), shot_ranges=(ShotRange(2, 4),))
    given = data()
    results = evaluate_heads(given, protocol)
    assert [result.shots for result in results] == [1, ShotRange(2, 4)]
    counts = [np.bincount(given.support_labels[draw(given, ShotRange(2, 4), seed).drawn]) for seed in range(6)]
    assert {int(count) for each in counts for count in each} == {2, 3, 4}
    assert results[1].to_dict(NAMES)["shots"] == "2-4"
    text = evaluation_markdown(evaluation(*results), "x")
    assert "## Each class, zip, 2-4 shots" in text
    assert "| crack | 2-4 of 6 | 4 |" in text
    assert "| all | 6-12 of 18 | 12 |" in text
    # The most that may be drawn is what a class needs.
    with pytest.raises(SupportError, match="'crack' has 6 instances, fewer than 7 shots"):
        evaluate_heads(given, dataclasses.replace(protocol, shot_ranges=(ShotRange(1, 7),)))


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
    images = {"support_images": np.array([7, 7, 8, 9]), "query_images": np.array([7, 10], np.int32)}
    known = read_features(save(tmp_path / "c", **FEATURES, **images)).places
    assert known.support_images is not None
    assert known.query_images is not None
    assert (known.support_images.tolist(), known.query_images.tolist()) == ([7, 7, 8, 9], [7, 10])


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
        ({"support_images": np.array([0, 1])}, "'support_images' must be 4 whole numbers"),
        ({"support_images": np.arange(4)}, "lacks 'support_images' or 'query_images'"),
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
        ({"heads": ("auto",), "aggregate": "mean"}, "has neither beta nor aggregation"),
        ({"trained_draws": 0}, "at least one"),
        ({"trained_draws": 2.0}, "the number of draws of a trained head must be a whole number"),
    ],
)
def test_a_protocol_that_cannot_be_run_is_refused_when_it_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol(**settings)
