"""How accurate are the baselines of the MVREC paper on the same features?

KNN, ProtoNet, linear probe, CLIP-Adapter, Tip-Adapter and Tip-Adapter-F on cached AlphaCLIP embeddings, by the
protocol of the paper (1, 3, 5 shots, the released sampling, every query), in both directions as `heads.py` has them.
Each with all views, and with one. Beside them a linear probe and a ridge classifier on centred views, which is what a
programmer would try next. 20 draws; five of what is trained with PyTorch, which takes most of the time. The first five
draws of all are the released ones.

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
from head_rows import accuracy_cell, accuracy_row

from mvrec_edge.calib import EvaluationSet, read_features
from mvrec_edge.calib.evaluation.directions import BACKWARD, FORWARD
from mvrec_edge.calib.evaluation.protocol import draw

SHOTS, DRAWS, TRAINED_DRAWS = (1, 3, 5), 20, 5

#: Inverse regularisation of CLIP's linear probe (Radford et al. 2021, the released evaluation example).
LINEAR_PROBE_C = 0.316
#: Weight of the ridge classifier's penalty, scikit-learn's own.
RIDGE_ALPHA = 1.0
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
    return _logistic_votes(unit(support), labels, classes, unit(query))


def centred_linear_probe(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """The linear probe on centred views, with the same penalty."""
    return _logistic_votes(*centred(support, query, labels, classes))


def centred_ridge(support: _Floats, labels: _Labels, classes: int, query: _Floats) -> _Labels:
    """Ridge regression of -1 and 1 for each class on centred views; the scores of a query's views are averaged."""
    from sklearn.linear_model import RidgeClassifier  # type: ignore[import-untyped,unused-ignore]

    samples, labels, classes, queries = centred(support, query, labels, classes)
    views, channels = samples.shape[1:]
    model = RidgeClassifier(alpha=RIDGE_ALPHA).fit(samples.reshape(-1, channels), np.repeat(labels, views))
    scores = model.decision_function(queries.reshape(-1, channels))
    # Of two classes there is one score.
    scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    return np.asarray(scores.reshape(len(queries), -1, classes).mean(axis=1).argmax(axis=1), np.int64)


def centred(support: _Floats, query: _Floats, labels: _Labels, classes: int) -> tuple[_Floats, _Labels, int, _Floats]:
    """Views of length 1 less the mean of the support's views, again of length 1: support, labels, N, query."""
    centre = unit(support).mean(axis=(0, 1))
    return unit(unit(support) - centre), labels, classes, unit(unit(query) - centre)


def _logistic_votes(samples: _Floats, labels: _Labels, classes: int, queries: _Floats) -> _Labels:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    views, channels = samples.shape[1:]
    model = LogisticRegression(C=LINEAR_PROBE_C, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(samples.reshape(-1, channels), np.repeat(labels, views))
    votes = model.predict_proba(queries.reshape(-1, channels)).reshape(len(queries), -1, classes)
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
        torch.nn.functional.cross_entropy(logits(samples), targets).backward()  # type: ignore[no-untyped-call,unused-ignore]
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
        torch.nn.functional.cross_entropy(logits(samples), targets).backward()  # type: ignore[no-untyped-call,unused-ignore]
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
    "centred linear probe": centred_linear_probe,
    "centred ridge": centred_ridge,
}
#: Trained with PyTorch, so with fewer draws.
TRAINED = ("CLIP-Adapter", "Tip-Adapter-F")
#: Which views support and query keep.
VIEWS = {"all views": slice(None), "first view": slice(0, 1)}


def measured(data: EvaluationSet, direction: str) -> list[dict[str, Any]]:
    """Rows of one direction, of every baseline with every choice of views."""
    rows = []
    classes = len(data.class_names)
    for kept, views in VIEWS.items():
        for name, baseline in BASELINES.items():
            for shots in SHOTS:
                values = []
                for seed in range(TRAINED_DRAWS if name in TRAINED else DRAWS):
                    each = draw(data, shots, seed)
                    support, query = (
                        part.astype(np.float32)[:, views] for part in (each.cache.embeddings, each.queries)
                    )
                    answer = baseline(support, each.cache.labels, classes, query)
                    values.append(float((answer == each.labels).mean()))
                rows.append(accuracy_row(values, direction=direction, baseline=f"{name}, {kept}", shots=shots))
                print(f"{direction}: {name}, {kept}, {shots}: {accuracy_cell(rows[-1])}", file=sys.stderr)
    return rows


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "baselines_transistor.json")
    arguments = parser.parse_args()
    data = read_features(arguments.features)
    rows = measured(data, FORWARD) + measured(data.exchanged(), BACKWARD)
    figures = {"draws": DRAWS, "draws_of_trained": TRAINED_DRAWS, "rows": rows}
    write_result(arguments.out, "Accuracy in % of the paper's baselines on MVTec-FS transistor features", figures)


if __name__ == "__main__":
    main()
