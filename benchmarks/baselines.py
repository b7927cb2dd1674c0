"""How accurate are the baselines of the MVREC paper on the same features?

KNN, ProtoNet, linear probe, CLIP-Adapter, Tip-Adapter and Tip-Adapter-F on cached AlphaCLIP embeddings, by the
protocol of the paper (1, 3, 5 shots, five draws of the released sampling, every query). Each with all views, and
with one.

The text tower of CLIP is not part of the encoder here: where a method adds CLIP's zero-shot logits, class prototypes
take their place (CLIP-Adapter) or the term is left out (Tip-Adapter). The settings stand below:
where they come from a release that is said, the others are our own. None is tuned on the queries.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _machine import TRANSISTOR_FEATURES, write_result

from mvrec_edge.calib import read_features, sample_shots

SHOTS, DRAWS = (1, 3, 5), 5

#: Inverse regularisation of CLIP's linear probe (Radford et al. 2021, the released evaluation example).
LINEAR_PROBE_C = 0.316
#: Rate, epsilon and epochs as in Tip-Adapter's release (Zhang et al. 2022); beta is our own choice, not the release's.
TIP_BETA, TIP_RATE, TIP_EPSILON, TIP_EPOCHS = 5.5, 1e-3, 1e-4, 20
#: CLIP-Adapter (Gao et al. 2021): its residual ratio and bottleneck; optimiser, rate and steps are our own.
ADAPTER_RATIO, ADAPTER_REDUCTION, ADAPTER_RATE, ADAPTER_STEPS = 0.2, 4, 1e-3, 100
#: CLIP's own logit scale.
LOGIT_SCALE = 100.0

_Floats = npt.NDArray[np.float32]
_Labels = npt.NDArray[np.int64]
#: Takes support `[NK, V, C]`, its labels, N and queries `[M, V, C]`; gives labels `[M]`.
Baseline = Callable[[_Floats, _Labels, int, _Floats], _Labels]


def unit(rows: _Floats) -> _Floats:
    """Scales the last axis to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def prototypes(support: _Floats, labels: _Labels, classes: int) -> _Floats:
    """The mean embedding of each class, of length 1, float32 `[N, C]`."""
    means = unit(support.mean(axis=1))
    return unit(np.stack([means[labels == label].mean(axis=0) for label in range(classes)]))


def knn(support: _Floats, labels: _Labels, _classes: int, query: _Floats) -> _Labels:
    """The class of the nearest support instance, by cosine."""
    from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped,unused-ignore]

    model = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(support.mean(axis=1), labels)
    return np.asarray(model.predict(query.mean(axis=1)), np.int64)


def protonet(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """The nearest class mean, by cosine (Snell et al. 2017, without episodes: the encoder stays as it is)."""
    return np.asarray((unit(query.mean(axis=1)) @ prototypes(support, labels, classes).T).argmax(axis=1), np.int64)


def linear_probe(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """Logistic regression on all views; a query's views vote with their probabilities."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    views = support.shape[1]
    model = LogisticRegression(C=LINEAR_PROBE_C, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(unit(support).reshape(len(labels) * views, -1), np.repeat(labels, views))
    votes = model.predict_proba(unit(query).reshape(-1, query.shape[2])).reshape(len(query), -1, classes)
    return np.asarray(votes.mean(axis=1).argmax(axis=1), np.int64)


def clip_adapter(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """A bottleneck on the embedding, mixed in with a fixed ratio, in front of class prototypes."""
    import torch

    torch.manual_seed(0)
    channels = support.shape[2]
    layers = torch.nn.Sequential(
        torch.nn.Linear(channels, channels // ADAPTER_REDUCTION, bias=False),
        torch.nn.ReLU(),
        torch.nn.Linear(channels // ADAPTER_REDUCTION, channels, bias=False),
        torch.nn.ReLU(),
    )
    weights = torch.tensor(prototypes(support, labels, classes))
    samples = torch.tensor(unit(support).reshape(-1, channels))
    targets = torch.tensor(np.repeat(labels, support.shape[1]))

    def logits(rows: torch.Tensor) -> torch.Tensor:
        mixed = ADAPTER_RATIO * layers(rows) + (1 - ADAPTER_RATIO) * rows
        return LOGIT_SCALE * torch.nn.functional.normalize(mixed, dim=1) @ weights.T

    optimiser = torch.optim.AdamW(layers.parameters(), lr=ADAPTER_RATE)
    for _ in range(ADAPTER_STEPS):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits(samples), targets).backward()
        optimiser.step()
    with torch.inference_mode():
        votes = logits(torch.tensor(unit(query).reshape(-1, channels))).softmax(dim=1)
    return np.asarray(votes.reshape(len(query), -1, classes).mean(dim=1).argmax(dim=1).numpy(), np.int64)


def tip_adapter(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """The cache term of Tip-Adapter, on mean embeddings; training-free."""
    affinity = np.exp(-TIP_BETA * (1 - unit(query.mean(axis=1)) @ unit(support.mean(axis=1)).T))
    return np.asarray((affinity @ np.eye(classes)[labels]).argmax(axis=1), np.int64)


def tip_adapter_f(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """The cache term with trained keys; the samples are all views."""
    import torch

    channels = support.shape[2]
    keys = torch.tensor(unit(support.mean(axis=1)), requires_grad=True)
    values = torch.nn.functional.one_hot(torch.tensor(labels), classes).float()
    samples = torch.tensor(unit(support).reshape(-1, channels))
    targets = torch.tensor(np.repeat(labels, support.shape[1]))

    def logits(rows: torch.Tensor) -> torch.Tensor:
        return torch.exp(-TIP_BETA * (1 - rows @ keys.T)) @ values

    optimiser = torch.optim.AdamW([keys], lr=TIP_RATE, eps=TIP_EPSILON)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TIP_EPOCHS)
    for _ in range(TIP_EPOCHS):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits(samples), targets).backward()
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        answer = logits(torch.tensor(unit(query.mean(axis=1))))
    return np.asarray(answer.argmax(dim=1).numpy(), np.int64)


BASELINES: dict[str, Baseline] = {
    "KNN": knn,
    "ProtoNet": protonet,
    "linear probe": linear_probe,
    "CLIP-Adapter": clip_adapter,
    "Tip-Adapter": tip_adapter,
    "Tip-Adapter-F": tip_adapter_f,
}
#: Which views support and query keep.
VIEWS = {"all views": slice(None), "first view": slice(0, 1)}


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "baselines_transistor.json")
    arguments = parser.parse_args()
    data = read_features(arguments.features)
    assert data.query is not None and data.query_labels is not None  # noqa: S101, PT018 (the features hold queries)
    support, query = data.support.astype(np.float32), data.query.astype(np.float32)
    rows: list[dict[str, Any]] = []
    for kept, views in VIEWS.items():
        for name, baseline in BASELINES.items():
            cells = {}
            for shots in SHOTS:
                values = []
                for seed in range(DRAWS):
                    drawn = sample_shots(data.support_labels.tolist(), shots, seed)
                    answer = baseline(
                        support[drawn][:, views], data.support_labels[drawn], len(data.class_names), query[:, views]
                    )
                    values.append(100 * float((answer == data.query_labels).mean()))
                cells[str(shots)] = {
                    "mean": round(float(np.mean(values)), 2),
                    "spread": round(float(np.std(values)), 2),
                }
            rows.append({"baseline": name, "views": kept, "shots": cells})
            means = "".join(f"{cell['mean']:>8.2f}" for cell in cells.values())
            print(f"{name:<16}{kept:<14}{means}", file=sys.stderr)
    figures = {"queries": len(data.query_labels), "draws": DRAWS, "rows": rows}
    write_result(arguments.out, "Accuracy in % of the paper's baselines on MVTec-FS transistor features", figures)


if __name__ == "__main__":
    main()
