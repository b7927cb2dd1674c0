"""The support cache: a round trip, and nothing from outside is trusted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.errors import InputError, IntegrityError, MvrecEdgeError, OutputError, SupportError
from mvrec_edge.runtime.files.json_documents import signed_json
from mvrec_edge.runtime.support.cache import Adapter, check_words
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.review_limits import ReviewLimits

SCHEDULE = {"groups": [list(range(27))], "widening": [1.0, 1.5], "left_out": 0, "stopped": 0, "differed": 0}


def make(**changes: object) -> SupportCache:
    arguments: dict[str, object] = {
        "embeddings": np.random.default_rng(0).standard_normal((6, 27, 8)).astype(np.float32),
        "labels": [0, 1, 0, 1, 0, 1],
        "class_names": ["crack", "Delle"],
        "sources": [f"{index}.jpg#0" for index in range(6)],
        "view_plan": ViewPlan.mso(size=56),
        "encoder": "ab" * 32,
        "encoder_name": "tiny",
        "random_weights": True,
        "head": HeadSettings(beta=8.0, aggregate="mean"),
        "shots": 3,
        "seed": 4,
    }
    arguments.update(changes)
    return SupportCache.from_embeddings(**arguments)  # type: ignore[arg-type]


def same(first: SupportCache, second: SupportCache) -> bool:
    fields = [name for name in first.__dataclass_fields__ if name not in ("embeddings", "labels")]
    return (
        np.array_equal(first.embeddings, second.embeddings)
        and np.array_equal(first.labels, second.labels)
        and all(getattr(first, name) == getattr(second, name) for name in fields)
    )


def test_round_trip(tmp_path: Path) -> None:
    cache = make()
    cache.save(tmp_path / "a.safetensors")
    assert same(SupportCache.load(tmp_path / "a.safetensors"), cache)


def test_round_trip_of_the_images_of_the_instances(tmp_path: Path) -> None:
    images = ("x", "x", "", "y", "y", "")
    cache = make(images=images)
    cache.save(tmp_path / "a.safetensors")
    loaded = SupportCache.load(tmp_path / "a.safetensors")
    assert loaded.images == images
    np.testing.assert_array_equal(loaded.image_groups, [0, 0, 1, 2, 2, 3])
    assert loaded.can_be_left_out.all()
    assert loaded.subset([1, 2, 3]).images == ("x", "", "y")
    # Two of one image, and no other of their class.
    assert make(labels=[0, 0, 1, 1, 1, 1], images=images).can_be_left_out.tolist() == [False] * 2 + [True] * 4


def test_a_cache_without_images_is_the_file_of_earlier_versions() -> None:
    assert make(images=[""] * 6).to_bytes() == make().to_bytes()
    assert b"images" not in make().to_bytes()
    with pytest.raises(SupportError, match="6 instances but 5 images"):
        make(images=["x"] * 5)


LEFT_OUT = np.linspace(0, 2, 6, dtype=np.float32)


@pytest.mark.parametrize("rate", [None, 0.05])
def test_round_trip_of_what_says_unknown(tmp_path: Path, rate: float | None) -> None:
    labels = [0, 1, 0, 1, 0, 2]
    left_out = LEFT_OUT.copy()
    left_out[5] = np.nan
    cache = make(labels=labels, class_names=["a", "b", "c"], novelty=NoveltyCalibration(left_out, rate))
    cache.save(tmp_path / "a")
    loaded = SupportCache.load(tmp_path / "a").novelty
    assert loaded is not None
    np.testing.assert_array_equal(loaded.left_out, left_out)
    assert loaded.reject_rate == rate
    assert cache.subset([0, 1, 5]).novelty is None


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        (LEFT_OUT[:5], 0.05),
        (LEFT_OUT.astype(np.float64), 0.05),
        (LEFT_OUT * 2, 0.05),
        (-LEFT_OUT, 0.05),
        (np.where(LEFT_OUT == 0, np.float32(np.nan), LEFT_OUT), 0.05),
        (LEFT_OUT, 0.0),
        (LEFT_OUT, 0.6),
        (LEFT_OUT, float("nan")),
    ],
)
def test_what_says_unknown_is_checked(tmp_path: Path, values: np.ndarray, rate: float) -> None:
    with pytest.raises(SupportError):
        make(novelty=NoveltyCalibration(values, rate))
    # Written by something that does not check, with a digest that fits.
    forged = dataclasses.replace(make(), novelty=NoveltyCalibration(values, rate))
    if np.isnan(rate):
        return
    (tmp_path / "a").write_bytes(forged.to_bytes())
    with pytest.raises(IntegrityError):
        SupportCache.load(tmp_path / "a")


WHITENED = np.stack([LEFT_OUT, LEFT_OUT - 1], axis=1)


def test_round_trip_of_the_whitened_measures(tmp_path: Path) -> None:
    without = make(novelty=NoveltyCalibration(LEFT_OUT, 0.05))
    whitened = WHITENED.copy()
    whitened[2] = np.nan
    cache = make(novelty=NoveltyCalibration(LEFT_OUT, 0.05, whitened))
    cache.save(tmp_path / "a")
    loaded = SupportCache.load(tmp_path / "a").novelty
    assert loaded is not None
    assert loaded.left_out_whitened is not None
    np.testing.assert_array_equal(loaded.left_out_whitened, whitened)
    # A cache of an earlier version has none, and stays the same file.
    assert b"whitened" not in without.to_bytes()
    without.save(tmp_path / "b")
    older = SupportCache.load(tmp_path / "b").novelty
    assert older is not None
    assert older.left_out_whitened is None


@pytest.mark.parametrize(
    "values",
    [
        WHITENED[:5],
        WHITENED[:, :1],
        WHITENED.astype(np.float64),
        -WHITENED,
        np.where(WHITENED == 0, np.float32(np.nan), WHITENED),
        WHITENED * np.float32([1, 1e6]),
        WHITENED * np.float32([1, np.inf]),
        np.full((6, 2), np.nan, np.float32),
    ],
)
def test_whitened_measures_are_checked(tmp_path: Path, values: np.ndarray) -> None:
    novelty = NoveltyCalibration(LEFT_OUT, 0.05, values)
    with pytest.raises(SupportError, match="whitened measures must be"):
        make(novelty=novelty)
    (tmp_path / "a").write_bytes(dataclasses.replace(make(), novelty=novelty).to_bytes())
    with pytest.raises(IntegrityError):
        SupportCache.load(tmp_path / "a")


def test_whitened_measures_of_an_only_instance_are_refused() -> None:
    labels, names = [0, 1, 0, 1, 0, 2], ["a", "b", "c"]
    left_out = LEFT_OUT.copy()
    left_out[5] = np.nan
    with pytest.raises(SupportError, match="none of an instance that cannot be left out"):
        make(labels=labels, class_names=names, novelty=NoveltyCalibration(left_out, 0.05, WHITENED))


def test_distances_of_a_class_with_one_instance_are_refused() -> None:
    with pytest.raises(SupportError, match="only instance"):
        make(labels=[0, 1, 0, 1, 0, 2], class_names=["a", "b", "c"], novelty=NoveltyCalibration(LEFT_OUT))


def test_half_of_what_says_unknown_is_refused(tmp_path: Path) -> None:
    make(novelty=NoveltyCalibration(LEFT_OUT, 0.05, WHITENED)).save(tmp_path / "a")
    tensors = safetensors.numpy.load_file(tmp_path / "a")
    del tensors["novelty.left_out"]
    with safetensors.safe_open(tmp_path / "a", "np") as file:
        description = json.loads(file.metadata()["mvrec_edge"])
    text = signed_json(description, (tensors[name].tobytes() for name in sorted(tensors))).decode()
    (tmp_path / "b").write_bytes(safetensors.numpy.save(tensors, metadata={"mvrec_edge": text}))
    with pytest.raises(IntegrityError, match="not complete"):
        SupportCache.load(tmp_path / "b")


REVIEW = ReviewLimits(0.95, 0.9, (0.8125, None), (True, False), 60, 52, 11)


def test_round_trip_of_what_a_human_looks_at(tmp_path: Path) -> None:
    cache = make(review=REVIEW)
    cache.save(tmp_path / "a")
    loaded = SupportCache.load(tmp_path / "a")
    assert loaded.review == REVIEW
    assert cache.subset([0, 1]).review is None
    assert not REVIEW.wants_review(0, 0.8125)
    assert REVIEW.wants_review(0, 0.8124)
    assert REVIEW.wants_review(0, float("nan"))
    assert REVIEW.wants_review(1, 1.0)
    assert not REVIEW.all_to_review


def test_a_cache_without_a_limit_is_the_file_of_earlier_versions() -> None:
    assert make(review=None).to_bytes() == make().to_bytes()
    assert b"review" not in make().to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"right_at_least": 0.3},
        {"right_at_least": 1.0},
        {"confidence": 0.5},
        {"confidence": 1.0},
        {"limits": (0.5,)},
        {"limits": (0.5, 1.5)},
        {"limits": (0.5, True)},
        {"limits": (0.5, "0.5")},
        {"own": (True,)},
        {"own": (True, 1)},
        {"instances": 51},
        {"to_review": 61},
        {"independent": -1},
    ],
)
def test_what_a_human_looks_at_is_checked(tmp_path: Path, change: dict[str, object]) -> None:
    broken = dataclasses.replace(REVIEW, **change)  # type: ignore[arg-type]
    with pytest.raises(SupportError):
        make(review=broken)
    (tmp_path / "a").write_bytes(dataclasses.replace(make(), review=broken).to_bytes())
    with pytest.raises(IntegrityError):
        SupportCache.load(tmp_path / "a")


@pytest.mark.parametrize("kind", ["mask", "box", "full", "mixed", ""])
def test_round_trip_of_what_the_regions_were(tmp_path: Path, kind: str) -> None:
    cache = make(region_input=kind)
    cache.save(tmp_path / "a.safetensors")
    assert same(SupportCache.load(tmp_path / "a.safetensors"), cache)
    assert cache.fingerprint == make().fingerprint
    # A file of an earlier version says nothing of it, and is the same as one where it is not known.
    assert (cache.to_bytes() == make().to_bytes()) == (kind == "")


def test_the_same_cache_gives_the_same_bytes(tmp_path: Path) -> None:
    make().save(tmp_path / "a")
    make().save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": HeadSettings(beta=1e300)}, "'beta' is not a number from 1e-06"),
        ({"head": HeadSettings(temperature=float("nan"))}, "not JSON compliant"),
        ({"shots": 1 << 21}, "'shots' is not a whole number"),
        ({"seed": 1 << 64}, "'seed' is not a whole number"),
        ({"class_names": ["crack", "D" * 5000]}, "'class_names' is not a list of texts"),
        ({"encoder_name": "t" * 5000}, "'encoder_name' is not a text"),
    ],
)
def test_what_nothing_could_read_is_not_written(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(SupportError, match=f"is not written, since nothing could read it: .*{said}"):
        make(**changes).save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "sources", "said"),
    [
        (["a", "b" * 4097], ["x"], "the class name 'b{40}...' has 4097 characters"),
        (["a", "b"], ["x", "y" * 5000], "the name of an instance 'y{40}...' has 5000 characters"),
        (["a", "b"], ["y" * 4000] * 5000, "cannot hold the names of 5000 instances"),
    ],
)
def test_words_that_no_cache_holds_are_refused_before_encoding(names: list[str], sources: list[str], said: str) -> None:
    with pytest.raises(SupportError, match=said):
        check_words(names, sources)


def test_words_that_just_fit_are_read_back(tmp_path: Path) -> None:
    # A quotation mark takes four bytes in a text in a text.
    sources = [f"{place:04}" + '"' * 4092 for place in range(1000)]
    check_words(["crack", "Delle"], sources)
    embeddings = np.random.default_rng(0).standard_normal((len(sources), 1, 2)).astype(np.float32)
    labels = [place % 2 for place in range(len(sources))]
    make(embeddings=embeddings, labels=labels, sources=sources, view_plan=None).save(tmp_path / "a")
    assert SupportCache.load(tmp_path / "a").sources == tuple(sources)


@pytest.mark.parametrize("value", [3e38, np.inf, np.nan])
def test_a_tuned_value_whose_square_is_infinite_is_refused(value: float) -> None:
    tuned = Adapter(np.full((8, 8), value, np.float32), np.zeros(8, np.float32), np.zeros((6, 8), np.float32))
    with pytest.raises(SupportError, match="the adapter's weight must be float32"):
        make(adapter=tuned)


def test_without_plan_or_draw(tmp_path: Path) -> None:
    cache = make(view_plan=None, shots=None, seed=None, sources=None)
    cache.save(tmp_path / "a")
    assert same(SupportCache.load(tmp_path / "a"), cache)
    assert cache.sources[3] == "3"


def test_the_fingerprint_holds_encoder_plan_and_resampling() -> None:
    prints = {
        make().fingerprint,
        make(encoder="cd" * 32).fingerprint,
        make(view_plan=ViewPlan.mso(size=56, resample="fast")).fingerprint,
        make(view_plan=ViewPlan.mso(size=28)).fingerprint,
    }
    assert len(prints) == 4
    assert make(seed=1).fingerprint in prints


def test_counts_and_keys() -> None:
    cache = make()
    assert cache.counts == {"crack": 3, "Delle": 3}
    np.testing.assert_allclose(cache.keys[2], cache.embeddings[2].astype(np.float64).mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": np.ones((6, 8), np.float32)}, "must be floats"),
        ({"embeddings": np.ones((6, 27, 8), np.int64)}, "must be floats"),
        ({"embeddings": np.ones((0, 27, 8), np.float32), "labels": []}, "must be floats"),
        ({"embeddings": np.full((6, 27, 8), np.nan, np.float32)}, "not finite"),
        ({"embeddings": np.full((6, 27, 8), 1e6, np.float32)}, "too large"),
        ({"embeddings": np.zeros((6, 27, 8), np.float32)}, "no direction"),
        ({"labels": [0, 1, 0]}, "labels must be"),
        ({"labels": [0.0, 1, 0, 1, 0, 1]}, "labels must be"),
        ({"labels": [0, 1, 0, 1, 0, 2]}, "outside"),
        ({"labels": [0, 1, 0, 1, 0, -1]}, "outside"),
        ({"labels": [0] * 6}, "'Delle' has no instance"),
        ({"labels": [0] * 6, "class_names": ["crack"]}, "only one class"),
        ({"class_names": ["crack", "crack"]}, "twice"),
        ({"sources": ["a"]}, "but 1 source"),
        ({"view_plan": ViewPlan.by_name("ms", size=56)}, "the view plan has 3 views"),
        ({"region_input": "outline"}, "no region input"),
    ],
)
def test_what_cannot_classify_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        make(**changes)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make().save(path)
    original = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in {*range(400), *rng.integers(0, len(original), 400).tolist()}:
        changed = bytearray(original)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(MvrecEdgeError) as caught:
            SupportCache.load(path)
        assert caught.value.exit_code in (3, 4)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make().save(path)
    original = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(original) // 2, len(original) - 1):
        path.write_bytes(original[:length])
        with pytest.raises(InputError):
            SupportCache.load(path)


@pytest.mark.parametrize("data", [b"\x80\x04pickle", b"PK\x03\x04", struct.pack("<Q", 1 << 60) + b"{}", b"{}" * 50])
def test_what_is_no_cache_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match="not a support cache"):
        SupportCache.load(tmp_path / "a")


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"weight": np.ones(3, np.float32)}, tmp_path / "a")
    with pytest.raises(InputError, match="not a support cache"):
        SupportCache.load(tmp_path / "a")


def _forge(path: Path, tensors: dict[str, np.ndarray], **changes: object) -> None:
    """A cache whose digest is right and whose fields are not."""
    make().save(path)
    with safetensors.safe_open(path, "np") as file:
        description = json.loads(file.metadata()["mvrec_edge"])
    text = signed_json(description | changes, (tensors[name].tobytes() for name in sorted(tensors))).decode()
    safetensors.numpy.save_file(tensors, path, metadata={"mvrec_edge": text})


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "mvrec-edge/support-cache/99"},
        {"head": {"name": 7, "beta": 1, "aggregate": "mean"}},
        {"head": {"name": "zip", "beta": -1, "aggregate": "mean"}},
        {"head": None},
        {"class_names": "crack"},
        {"class_names": ["crack", "dent", "stain"]},
        {"sources": []},
        {"view_plan": {"name": "mso"}},
        {"view_plan": 7},
        {"shots": "five"},
        {"schedule": 7},
        {"schedule": {}},
        {"schedule": SCHEDULE | {"groups": [[0, 1, 2]]}},
        {"schedule": SCHEDULE | {"groups": [list(range(26)), [25]]}},
        {"schedule": SCHEDULE | {"groups": [list(range(27)), []]}},
        {"schedule": SCHEDULE | {"groups": [[0.0, True], list(range(2, 27))]}},
        {"schedule": SCHEDULE | {"groups": [[10**30], list(range(1, 27))]}},
        {"schedule": SCHEDULE | {"groups": "all"}},
        {"schedule": SCHEDULE | {"widening": [0]}},
        {"schedule": SCHEDULE | {"widening": 1.5}},
        {"schedule": SCHEDULE | {"widening": [10**400]}},
        {"schedule": SCHEDULE | {"widening": [True]}},
        {"schedule": SCHEDULE | {"stopped": 3}},
        {"schedule": SCHEDULE | {"use": 28}},
        {"schedule": SCHEDULE | {"use": ["auto"]}},
        {"region_input": "outline"},
        {"region_input": ""},
        {"region_input": None},
        {"review": None},
        {"review": {}},
        {"review": REVIEW.to_dict() | {"limits": 0.5}},
        {"review": REVIEW.to_dict() | {"own": None}},
        {"review": REVIEW.to_dict() | {"instances": 1.5}},
    ],
)
def test_forged_fields_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    cache = make()
    _forge(tmp_path / "a", {"embeddings": cache.embeddings, "labels": cache.labels}, **changes)
    with pytest.raises(IntegrityError):
        SupportCache.load(tmp_path / "a")


def test_forged_labels_are_refused(tmp_path: Path) -> None:
    cache = make()
    _forge(tmp_path / "a", {"embeddings": cache.embeddings, "labels": cache.labels + 1})
    with pytest.raises(IntegrityError, match="outside"):
        SupportCache.load(tmp_path / "a")


def test_missing_and_unwritable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        SupportCache.load(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read"):
        SupportCache.load(tmp_path)
    with pytest.raises(OutputError):
        make().save(tmp_path / "none" / "a")


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    made = make()
    made.save(tmp_path / "a.safetensors")
    digest = hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest()
    assert made.digest == SupportCache.load(tmp_path / "a.safetensors").digest == digest
    assert made.changed(seed=7).digest != digest
    assert made.subset(range(len(made.labels))).digest == made.digest
