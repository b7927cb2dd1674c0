"""How is the last feature map of EfficientNet-Lite0 best averaged?

Supports are drawn from the magnetic tiles, the largest region of each image, and each of their instances is left out in
turn; no other instance is looked at. The heads are `zip-c` and the nearest mean of a class, on unit embeddings. The
feature maps are kept in a folder that git ignores.

    python benchmarks/lite_pooling.py

Needs the extras export and lite.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _machine import SHARED_DATA, write_result
from pocket_trials import TILES_LARGEST, largest_of_each_image

from mvrec_edge.calib import read_labelled
from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.runtime import SupportCache, ViewPlan, open_source, read_image
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.views import crop_views

Values = npt.NDArray[np.float32]
#: Pools features `[V, C, P]` by the mask's shares `[V, P]` to `[V, C]`.
Pooling = Callable[[Values, Values], Values]

FLOORS = (0.001, 0.01, 0.05, 0.2, 1.0)


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", default="3,5,10", help="instances of each class")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--shared", type=Path, default=SHARED_DATA, help="folder of magnetic_tile")
    parser.add_argument("--store", type=Path, default=Path(__file__).parent / ".encoders", help="for feature maps")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "lite_pooling.json")
    arguments = parser.parse_args()
    maps = _maps(arguments.store / "maps.npz", arguments.shared / "magnetic_tile")
    shots = [int(each) for each in arguments.shots.split(",")]
    rows = []
    for name, pool in _poolings().items():
        # One by one: all maps in float32 would take gigabytes.
        pairs = zip(maps["features"], maps["shares"], strict=True)
        embeddings = np.stack([pool(each.astype(np.float32), share) for each, share in pairs])
        for count in shots:
            drawn = list(_draws(maps["labels"], count, arguments.draws))
            found = [_left_out(embeddings[places], maps["labels"][places]) for places in drawn]
            mean, centred = np.mean(found, axis=0)
            rows.append({"pooling": name, "shots": count, "nearest mean": round(mean, 2), "zip-c": round(centred, 2)})
            print(rows[-1], flush=True)
    figures = {"set": TILES_LARGEST, "draws": arguments.draws, "accuracy_left_out": rows}
    write_result(arguments.out, "How is the last feature map of EfficientNet-Lite0 best averaged?", figures)


def _poolings() -> dict[str, Pooling]:
    weighted = {f"share + {floor:g}": _weighted(lambda share, floor=floor: share + floor) for floor in FLOORS}  # type: ignore[misc]
    beside = weighted["share + 0.01"]
    return {
        "plain mean": lambda features, _: features.mean(axis=2),
        **weighted,
        "root of the share + 0.05": _weighted(lambda share: np.sqrt(share) + 0.05),
        "share of the largest share + 0.05": _weighted(
            lambda share: share / np.maximum(share.max(axis=1, keepdims=True), 1e-6) + 0.05
        ),
        "maximum": lambda features, _: features.max(axis=2),
        "share + 0.01, beside it the plain mean": lambda features, share: np.concatenate(
            [_unit(beside(features, share)), _unit(features.mean(axis=2))], axis=1
        ),
    }


def _weighted(counts: Callable[[Values], Values]) -> Pooling:
    def pool(features: Values, share: Values) -> Values:
        each = counts(share)
        return np.einsum("vcp,vp->vc", features, each / each.sum(axis=1, keepdims=True))

    return pool


def _left_out(embeddings: Values, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Accuracies in % of the nearest mean and of `zip-c`: embeddings `[I, V, C]`, each instance left out."""
    names = [str(each) for each in range(int(labels.max()) + 1)]
    head = head_class("zip-c").settings(None, None)
    cache = SupportCache.from_embeddings(embeddings, labels, names, head=head, view_plan=ViewPlan.mso(size=224))
    answers = leave_one_out(cache, "zip-c", [(head.beta, head.aggregate)])
    centred = float((answers.logits[0].argmax(axis=1) == answers.labels).mean())
    each = _unit(_unit(embeddings).mean(axis=1))
    right = 0
    for place, label in enumerate(labels):
        others = np.arange(len(labels)) != place
        means = np.stack([each[others & (labels == other)].mean(axis=0) for other in range(len(names))])
        right += int((_unit(means) @ each[place]).argmax() == label)
    return 100 * right / len(labels), 100 * centred


def _draws(labels: npt.NDArray[np.int64], shots: int, draws: int) -> Iterator[npt.NDArray[np.intp]]:
    for seed in range(draws):
        random = np.random.default_rng(seed)
        classes = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
        yield np.concatenate([random.choice(places, shots, replace=False) for places in classes])


def _unit(values: Values) -> Values:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def _maps(path: Path, folder: Path) -> Mapping[str, npt.NDArray[np.generic]]:
    """Feature maps float16 `[I, V, C, 49]`, the mask's shares float32 `[I, V, 49]`, labels int64 `[I]`."""
    if not path.exists():
        import torch

        from mvrec_edge.export import read_lite
        from mvrec_edge.export.lite_encoder import LiteViewsEncoder

        module, plan = LiteViewsEncoder(read_lite()), ViewPlan.mso(size=224)
        labelled = read_labelled(open_source(folder))
        found: dict[str, list[npt.NDArray[np.generic]]] = {"features": [], "shares": []}
        labels = []
        for place in largest_of_each_image(labelled):
            instance = labelled.instances[place]
            views = crop_views(read_image(instance.image), instance.region, plan)
            with torch.inference_mode():
                features = module.features(torch.from_numpy(views[..., :3]).permute(0, 3, 1, 2).float())
            found["features"].append(features.flatten(2).half().numpy())
            shares = views[..., 3].reshape(len(views), 7, 32, 7, 32).mean(axis=(2, 4)) / 255
            found["shares"].append(shares.reshape(len(views), 49).astype(np.float32))
            labels.append(labelled.class_names.index(instance.label))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, labels=np.array(labels, np.int64), **{name: np.stack(each) for name, each in found.items()})
    return np.load(path)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
