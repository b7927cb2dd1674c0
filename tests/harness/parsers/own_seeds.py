"""Valid files of every kind that this program writes and reads back, small, and how their digests are put right."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.bundle import (
    Certificate,
    CheckRecord,
    FileRecord,
    GraphRecord,
    LabelRecord,
    Manifest,
    TransformerArchitecture,
    VariantRecord,
    WeightsSource,
)
from mvrec_edge.runtime.support.cache import Adapter
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from tests.harness.parsers.mutation import json_text, mutated_bytes, mutated_json

__all__ = [
    "BUNDLE_FILES",
    "ENCODER",
    "VIEW_SIZE",
    "cache",
    "manifest",
    "mutated_tensor_file",
    "result_records",
    "signed",
]

VIEW_SIZE = 28
ENCODER = "ab" * 32
#: The files of the bundle that `manifest` lists; none of them is opened.
BUNDLE_FILES = {
    "encoder.fp32.onnx": b"graph",
    "encoder.fp32.weights": b"weights",
    "encoder.int8.onnx": b"another graph",
    "encoder.int8.weights": b"other weights",
    "encoder.int8.onnxruntime-x86.onnx": b"variant",
    "golden.safetensors": b"golden",
}


def manifest() -> Manifest:
    """A manifest with everything that one may hold."""
    checks = (CheckRecord("seeded noise", 3, 0.9999, 0.99999, 1e-4, 1e-6), CheckRecord("defects", 1, 1.0, 1.0, 0.0))
    certificate = Certificate(checks=checks, judged="defects", labels=LabelRecord(10, 1, 9, 8, 0.01, 0.2))
    held: dict[str, Any] = {name: getattr(certificate, name) for name in certificate.__dataclass_fields__}
    variant = VariantRecord(
        file="encoder.int8.onnxruntime-x86.onnx", target="onnxruntime-x86", summary="18 fused", **held
    )
    return Manifest(
        created_by="mvrec-edge 1.0",
        architecture=TransformerArchitecture(VIEW_SIZE, 14, 64, 2, 8),
        weights=WeightsSource("checkpoint", "part \udcff.pth", "cd" * 32),
        graphs=(
            GraphRecord(file="encoder.fp32.onnx", weights="encoder.fp32.weights", precision="fp32", **held),
            GraphRecord(
                file="encoder.int8.onnx",
                weights="encoder.int8.weights",
                precision="int8",
                calibrated_on="defects",
                variants=(variant,),
                **held,
            ),
        ),
        files=tuple(
            FileRecord(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in BUNDLE_FILES.items()
        ),
    )


def cache() -> SupportCache:
    """A support cache with everything that one may hold."""
    draw = np.random.default_rng(0)
    left_out = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    picture = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    made = SupportCache.from_embeddings(
        draw.standard_normal((4, 9, 8)),
        [0, 1, 0, 1],
        ["crack", "Delle \udcff"],
        sources=[f"part {place}.jpg#0" for place in range(4)],
        images=["a", "b", "c", "d"],
        view_plan=ViewPlan.by_name("mo", size=VIEW_SIZE),
        encoder=ENCODER,
        encoder_name="tiny, fp32",
        head=HeadSettings("zip-f", 8.0, "mean", 1.0),
        shots=2,
        seed=0,
        adapter=Adapter(*(draw.standard_normal(shape).astype(np.float32) for shape in ((8, 8), (8,), (4, 8)))),
        novelty=NoveltyCalibration(left_out, 0.05, np.stack([left_out, left_out - 1], axis=1)),
        review=ReviewLimits(0.95, 0.9, (0.8125, None), (True, False), 60, 52, 11),
        region_input="mask",
        thumbnails=[picture] * 4,
    )
    from mvrec_edge.runtime.views.schedule import default_schedule

    assert made.view_plan is not None
    return made.changed(schedule=default_schedule(made.view_plan))


def result_records() -> list[dict[str, Any]]:
    """What `classify --out` writes: regions of an image, and a failed item."""
    run = {"version": "1.0", "cache": "line.safetensors", "cache_digest": ENCODER, "views": "all", "risk": None}
    region = {
        "image": "incoming/a.png",
        "source": "a.png#0",
        "region": "a.png#0",
        "mask": None,
        "box": [1, 2, 30, 40],
        "area": 99,
        "label": "crack",
        "probability": 0.75,
        "probabilities": {"crack": 0.75, "dent": 0.25},
        "annotated": None,
        "nearest": [{"label": "crack", "source": "part 0.jpg#0", "similarity": 0.9}],
        "nearest_class": "crack",
        "novelty": 0.2,
        "unknown": False,
        "review": True,
        "views": 9,
        "stopped": "all",
        "change_risk": 0.0,
        "ms": {"crop": 1.0, "encode": 2.0, "classify": 0.5},
        "picture": "pictures/a.jpg",
        "time": "2026-01-01T00:00:00+00:00",
        "run": run,
    }
    failed = {"image": "incoming/b.png", "error": {"what": "is empty", "where": "b.png", "fix": "copy it"}, "run": run}
    return [region, {**region, "source": "a.png#1", "region": "a.png#1"}, failed, {**region, "image": "c.png"}]


def signed(tree: Any, covers: Iterable[bytes] = ()) -> bytes:
    """A signed document of a tree that was mutated, with the digest that its reader wants."""
    if not isinstance(tree, dict):
        return json_text(tree).encode("utf-8", "backslashreplace")
    text = json_text({key: value for key, value in tree.items() if key != "digest"}) + "\n"
    data = text.encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(data)
    for part in covers:
        digest.update(part)
    return data.replace(b"{\n", b'{\n  "digest": "' + digest.hexdigest().encode() + b'",\n', 1)


def mutated_tensor_file(data: bytes, source: random.Random) -> bytes:
    """A tensor file whose header, description or values were changed; the digest of a support cache is right again."""
    end = 8 + int.from_bytes(data[:8], "little")
    header, values = json.loads(data[8:end]), data[end:]
    described = header.pop("__metadata__", None)
    draw = source.random()
    if draw < 0.25:
        header = mutated_json(header, source)
    elif draw < 0.45:
        values = _mutated_values(values, source)
    if described is not None:
        text = described["mvrec_edge"]
        tree = json.loads(text)
        if draw >= 0.45:
            tree = mutated_json(tree, source)
        described = {"mvrec_edge": signed(tree, _covered(header, values)).decode("utf-8", "surrogateescape")}
        if isinstance(header, dict):
            header = {"__metadata__": described if draw < 0.97 else mutated_json(described, source), **header}
    written = json_text(header, indent=None).encode("utf-8", "surrogatepass")
    length = len(written) if source.random() < 0.98 else source.choice((0, len(data), 1 << 25, 1 << 63))
    return length.to_bytes(8, "little") + written + values


def _covered(header: Any, values: bytes) -> list[bytes]:
    """The tensors' bytes as their reader hashes them, as far as the header makes sense."""
    try:
        places = {name: header[name]["data_offsets"] for name in sorted(header)}
        return [values[first:last] for first, last in places.values()]
    except (TypeError, KeyError, ValueError):
        return [values]


_PATTERNS: tuple[npt.NDArray[Any], ...] = (
    np.array([np.nan, np.inf, -np.inf, 65504, 6e-8, -0.0], np.float16),
    np.array([np.nan, np.inf, 3e38, 1e-45, -1], np.float32),
    np.array([-1, 2**63 - 1, -(2**63), 2**32, 4], np.int64),
)


def _mutated_values(values: bytes, source: random.Random) -> bytes:
    if source.random() < 0.3:
        return mutated_bytes(values, source)
    if source.random() < 0.1:
        return bytes(len(values))
    pattern = source.choice(_PATTERNS)
    item = pattern[source.randrange(len(pattern)) :][:1].tobytes()
    place = source.randrange(len(values) // len(item)) * len(item)
    return values[:place] + item * source.choice((1, 1, 8)) + values[place + len(item) :]
