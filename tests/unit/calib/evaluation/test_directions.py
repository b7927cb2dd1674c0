"""Both directions of a set with two splits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.calib import EvaluateSettings, EvaluationSet, Protocol, evaluate_embeddings, evaluate_heads
from mvrec_edge.calib.evaluation.documents import write_evaluation
from mvrec_edge.calib.evaluation.splitting import KnownPlaces
from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_markdown
from mvrec_edge.calib.evaluation.terminal_tables import evaluation_lines
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError

NAMES = ("crack", "dent", "stain")
PROTOCOL = Protocol(shots=(1, 2), draws=3, heads=("zip", "zip-c"))
BOTH = EvaluateSettings(PROTOCOL, swap=True)


def data(*, per_class: int = 5, queries: int = 4) -> EvaluationSet:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((3, 1, 8))
    labels, query_labels = np.repeat(np.arange(3), per_class), np.repeat(np.arange(3), queries)
    return EvaluationSet(
        NAMES,
        centres[labels] + rng.standard_normal((len(labels), 2, 8)),
        labels,
        centres[query_labels] + rng.standard_normal((len(query_labels), 2, 8)),
        query_labels,
        support_images=np.arange(len(labels)) // 2,
        query_images=100 + np.arange(len(query_labels)) // 2,
    )


def test_the_other_direction_is_that_of_the_exchanged_set() -> None:
    given = data()
    found = evaluate_embeddings(given, BOTH)
    assert given.query is not None
    exchanged = EvaluationSet(
        NAMES,
        given.query,
        given.query_labels,  # type: ignore[arg-type]
        given.support,
        given.support_labels,
        given.query_images,
        given.support_images,
    )
    assert found.swapped is not None
    for results, own in ((found.heads, given), (found.swapped.heads, exchanged)):
        wanted = evaluate_heads(own, PROTOCOL)
        assert [each.to_dict(NAMES) for each in results] == [each.to_dict(NAMES) for each in wanted]
    assert [each.overall.queries for each in found.heads] == [12] * 4
    assert [each.overall.queries for each in found.swapped.heads] == [15] * 4
    back = given.exchanged().exchanged()
    for field in dataclasses.fields(EvaluationSet):
        assert getattr(back, field.name) is getattr(given, field.name)
    assert any(line.startswith("query to support: fewer than 20 queries of crack (5)") for line in found.cautions)


def test_the_mean_of_both_directions_weighs_them_alike() -> None:
    found = evaluate_embeddings(data(), BOTH)
    assert found.mean_of_directions is not None
    assert found.swapped is not None
    for mean, one, other in zip(found.mean_of_directions.heads, found.heads, found.swapped.heads, strict=True):
        assert (mean.head, mean.shots) == (one.head, one.shots) == (other.head, other.shots)
        assert mean.mean == pytest.approx((one.mean + other.mean) / 2)
        assert mean.over_queries == pytest.approx(np.hypot(one.over_queries, other.over_queries) / 2)
        assert mean.queries == 27
        losses = [each.probabilities.log_loss.value for each in (one, other)]
        assert mean.log_loss == pytest.approx(np.mean(losses))
    differences = [each.differences for each in found.directions]
    for mean_difference, *each in zip(found.mean_of_directions.differences, *differences, strict=True):
        assert mean_difference.difference == pytest.approx(np.mean([one.difference for one in each]))


def test_each_direction_is_labelled(tmp_path: Path) -> None:
    found = evaluate_embeddings(data(), BOTH)
    document = json.loads(json.dumps(evaluation_json(found, {}), allow_nan=False))
    labels = [each["direction"] for each in document["results"]]
    assert labels == ["support to query"] * 4 + ["query to support"] * 4
    assert [each["direction"] for each in document["differences"]] == labels[1::2]
    assert len(document["mean_of_directions"]["results"]) == 4
    assert [each["sentence"] for each in document["mean_of_directions"]["differences"]]
    text = evaluation_markdown(found, "x")
    for title in ("## Support to query", "## Query to support", "## Mean of both directions"):
        assert title in text
    assert "## Each class, zip, 2 shots, query to support" in text
    lines = evaluation_lines(found)
    assert [line for line in lines if line.endswith((" query:", " support:", " directions:"))] == [
        "support to query:", "query to support:", "mean of both directions:",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 100
    write_evaluation(tmp_path, found, {})
    assert json.loads((tmp_path / "evaluation.json").read_text()) == document


def test_one_direction_has_no_labels() -> None:
    found = evaluate_embeddings(data(), EvaluateSettings(PROTOCOL))
    assert found.swapped is None
    assert found.mean_of_directions is None
    document = evaluation_json(found, {})
    assert "mean_of_directions" not in document
    assert not any("direction" in each for each in (*document["results"], *document["differences"]))


def test_what_has_no_other_direction_is_refused() -> None:
    alone = dataclasses.replace(data(), query=None, query_labels=None, query_images=None)
    with pytest.raises(UsageError, match="there are no queries of their own"):
        evaluate_embeddings(alone, BOTH)
    with pytest.raises(UsageError, match="there are no queries of their own"):
        KnownPlaces(alone.support_labels).exchanged()
    few = data(queries=1)
    with pytest.raises(SupportError, match=r"the queries, as support \(--swap\).*'crack' has 1 instance, fewer than 2"):
        evaluate_embeddings(few, BOTH)
    none = data()
    of_two = np.where(none.query_labels == 2, 1, none.query_labels)  # type: ignore[arg-type]
    with pytest.raises(SupportError, match="'stain' has 0 instances"):
        evaluate_embeddings(dataclasses.replace(none, query_labels=of_two), BOTH)


def test_unknown_defects_need_a_plain_number_of_shots() -> None:
    from mvrec_edge.calib.evaluation.shot_counts import ShotRange

    ranges = dataclasses.replace(PROTOCOL, shots=(), shot_ranges=(ShotRange(1, 2),))
    with pytest.raises(UsageError, match="there are only ranges"):
        EvaluateSettings(ranges, unknown=True)
    mixed = dataclasses.replace(PROTOCOL, shots=(1,), shot_ranges=(ShotRange(1, 2),))
    found = evaluate_embeddings(data(), EvaluateSettings(mixed, unknown=True))
    assert found.unknown is not None
    assert {each.shots for each in found.unknown} == {1}
    assert len(found.heads) == 4


def test_the_same_region_on_both_sides_is_left_out_in_both_directions() -> None:
    given = data(queries=5)
    same = dataclasses.replace(
        given,
        query=given.support,
        query_labels=given.support_labels,
        query_images=given.support_images,
        support_regions=np.arange(15),
        query_regions=np.arange(15),
    )
    found = evaluate_embeddings(same, BOTH)
    assert found.swapped is not None
    for one, other in zip(found.heads, found.swapped.heads, strict=True):
        assert one.to_dict(NAMES) == other.to_dict(NAMES)
    with pytest.raises(InputError, match="none is left to classify"):
        evaluate_embeddings(same, dataclasses.replace(BOTH, protocol=dataclasses.replace(PROTOCOL, shots=(5,))))
