"""The stage `evaluate`: settings that hold together, sets that suffice, and what is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.calib import (
    EvaluateSettings,
    LabelledSet,
    Protocol,
    evaluate_embeddings,
    evaluate_heads,
    evaluate_sets,
    evaluate_unknown,
    read_labelled,
)
from mvrec_edge.calib.evaluation.documents import write_evaluation
from mvrec_edge.calib.evaluation.set_evaluation import encode_sets, known_places
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.testing import FakeEngine
from mvrec_edge.testing.dataset import write_dataset

PROTOCOL = Protocol(shots=(1, 2), draws=2, heads=("zip", "zip-c"))
SETTINGS = EvaluateSettings(PROTOCOL, views="ms", resample="fast")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    folder = tmp_path_factory.mktemp("evaluation") / "parts"
    write_dataset(folder, families=("pit", "scratch", "stain"), per_class=4, size=(96, 128), seed=0)
    return read_labelled(open_source(folder))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(image_size=16)


def of_class(labelled: LabelledSet, *names: str) -> LabelledSet:
    return labelled.with_instances(instance for instance in labelled.instances if instance.label in names)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": "all"}, "no view recipe 'all'"),
        ({"region_input": "depth"}, "no region input 'depth'"),
        ({"reject_rate": 0.9}, "0.9|90"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_when_they_are_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvaluateSettings(**settings)


def test_sets_are_encoded_and_evaluated_as_their_embeddings_are(labelled: LabelledSet, engine: FakeEngine) -> None:
    settings = EvaluateSettings(PROTOCOL, views="ms", resample="fast", unknown=True, reject_rate=0.1)
    found = evaluate_sets(engine, labelled, settings=settings)
    data = encode_sets(engine, labelled, None, settings)
    assert data.support.shape == (len(labelled.instances), 3, 32)
    wanted = evaluate_heads(data, PROTOCOL)
    assert [result.to_dict(data.class_names) for result in found.heads] == [
        result.to_dict(data.class_names) for result in wanted
    ]
    assert found.unknown is not None
    assert [result.to_dict(data.class_names) for result in found.unknown] == [
        result.to_dict(data.class_names) for result in evaluate_unknown(data, PROTOCOL, 0.1)
    ]
    assert evaluate_embeddings(data, SETTINGS).unknown is None


def test_queries_of_their_own_are_classified(labelled: LabelledSet, engine: FakeEngine, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    data = encode_sets(engine, labelled, of_class(labelled, "stain", "pit"), SETTINGS, store=store)
    assert store.found == 8
    assert data.query is not None
    assert data.query_labels is not None
    assert [data.class_names[label] for label in data.query_labels] == ["pit"] * 4 + ["stain"] * 4
    np.testing.assert_array_equal(data.query[:4], data.support[:4])


def test_sets_that_do_not_suffice_are_refused_before_anything_is_encoded(
    labelled: LabelledSet, engine: FakeEngine
) -> None:
    two = of_class(labelled, "pit", "stain")
    unknown = EvaluateSettings(PROTOCOL, views="ms", resample="fast", unknown=True)
    many = EvaluateSettings(Protocol(shots=(5,)), views="ms", resample="fast")
    with pytest.raises(SupportError, match="'pit' has 4 instances, fewer than 5 shots"):
        evaluate_sets(engine, labelled, settings=many)
    with pytest.raises(InputError, match="'scratch' is not a class of the support"):
        evaluate_sets(engine, two, labelled, SETTINGS)
    with pytest.raises(SupportError, match="there are 2 classes"):
        evaluate_sets(engine, two, settings=unknown)
    with pytest.raises(InputError, match="the class 'pit' or all others have no query"):
        evaluate_sets(engine, labelled, of_class(labelled, "stain"), unknown)
    with pytest.raises(InputError, match="with 4 shots"):
        evaluate_sets(engine, labelled, settings=EvaluateSettings(Protocol(shots=(4,)), unknown=True))
    swap = EvaluateSettings(PROTOCOL, views="ms", resample="fast", swap=True)
    with pytest.raises(UsageError, match="--swap exchanges the support with the queries, and there are no queries"):
        evaluate_sets(engine, labelled, settings=swap)
    with pytest.raises(SupportError, match=r"as support \(--swap\): the class 'scratch' has 0 instances, fewer than 2"):
        evaluate_sets(engine, labelled, two, swap)
    with pytest.raises(InputError, match="none is left to classify"):
        four = dataclasses.replace(PROTOCOL, shots=(4,))
        evaluate_sets(engine, labelled, labelled, dataclasses.replace(swap, protocol=four))
    assert engine.batches == []


def test_the_files_hold_what_was_found(labelled: LabelledSet, engine: FakeEngine, tmp_path: Path) -> None:
    unknown = EvaluateSettings(PROTOCOL, views="ms", resample="fast", unknown=True)
    evaluation = evaluate_sets(engine, labelled, settings=unknown)
    write_evaluation(tmp_path / "out", evaluation, {"support": "parts"})
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written - {"evaluation.png", "reliability.png"} == {
        "evaluation.json",
        "evaluation.md",
        "unknown.json",
        "unknown.md",
    }
    payload = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert payload["support"] == "parts"
    assert [row["accuracy"] for row in payload["results"]] == [round(each.mean, 6) for each in evaluation.heads]


def test_images_of_sets_are_told_apart_by_their_content(labelled: LabelledSet, tmp_path: Path) -> None:
    """A query set that holds an image of the support under another name shares that image."""
    copied = tmp_path / "copied.jpg"
    first = labelled.instances[0]
    copied.write_bytes(first.image.read_bytes())
    query = labelled.with_instances([dataclasses.replace(first, image=copied), *of_class(labelled, "stain").instances])
    known = known_places(labelled, query)
    assert known.support_images is not None
    assert known.query_images is not None
    assert known.query_images[0] == known.support_images[0]
    assert known.query_images[1:].tolist() == known.support_images[-4:].tolist()
    assert known.query_labels is not None
    assert known.query_labels.tolist() == [0, 2, 2, 2, 2]


def test_a_split_by_image_that_leaves_no_query_is_refused_before_anything_is_encoded(
    labelled: LabelledSet, engine: FakeEngine, tmp_path: Path
) -> None:
    image = tmp_path / "one.jpg"
    image.write_bytes(labelled.instances[0].image.read_bytes())
    one = labelled.with_instances(dataclasses.replace(each, image=image) for each in labelled.instances)
    settings = EvaluateSettings(dataclasses.replace(PROTOCOL, split="image"), views="ms", resample="fast")
    with pytest.raises(InputError, match="every image would be drawn"):
        evaluate_sets(engine, one, settings=settings)
    unknown = dataclasses.replace(settings, unknown=True)
    three = dataclasses.replace(unknown, protocol=dataclasses.replace(PROTOCOL, shots=(3,), split="image"))
    shared = [dataclasses.replace(each, image=image) for each in labelled.instances[:4]]
    with pytest.raises(InputError, match=r"drawn by image \(seed 0\) the class 'pit' or all others have no query"):
        evaluate_sets(engine, labelled.with_instances([*shared, *labelled.instances[4:]]), settings=three)
    assert engine.batches == []
