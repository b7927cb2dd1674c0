"""How well unknown defects are told: each class is left out of the support in turn, and its queries are the unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.protocol import Draw, EvaluationSet, Protocol, check_set, draw
from mvrec_edge.calib.evaluation.splitting import check_queries
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.runtime.errors import InputError, SupportError
from mvrec_edge.runtime.heads import CentredZipAdapter, ZipAdapter, open_head
from mvrec_edge.runtime.novelty import NoveltyScorer
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.instance_rows import take_rows
from mvrec_edge.runtime.support.reject_rate import check_rate
from mvrec_edge.runtime.wording import counted

__all__ = ["NOVELTY", "UnknownResult", "auroc", "check_unknown", "check_unknown_set", "evaluate_unknown", "fpr_at_95"]

#: The score that `classify` uses; it is the same for every head.
NOVELTY = "novelty"

_Scores = npt.NDArray[np.float64]
_NAN = float("nan")


@dataclass(frozen=True)
class UnknownResult:
    """One score at one number of shots.

    Every array is float64 `[N, D]`: a left-out class in each row, a draw in each column.

    Attributes:
        score: `"novelty"`; `"centred cosine"` or `"cosine"`, one minus the largest with a support instance; or
            `"confidence of HEAD"`, one minus the largest probability.
        shots: Instances for each class.
        auroc: Probability that an unknown defect scores higher than a known one.
        fpr95: Share of the unknown that is let through by the limit that lets 95% of the known through.
        known_rejected: Share of the known that the calibrated limit calls unknown; NaN where there is none.
        unknown_found: Share of the unknown that it calls unknown; NaN where there is none.
    """

    score: str
    shots: int
    auroc: _Scores
    fpr95: _Scores
    known_rejected: _Scores
    unknown_found: _Scores

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The result in plain JSON types: means over everything, and for each class over the draws."""
        figures = {
            name: getattr(self, name)
            for name in ("auroc", "fpr95", "known_rejected", "unknown_found")
            if not np.isnan(getattr(self, name)).all()
        }
        return {
            "score": self.score,
            "shots": self.shots,
            **{name: round(float(values.mean()), 6) for name, values in figures.items()},
            "left_out": {
                label: {
                    name: {
                        "mean": round(float(values[place].mean()), 6),
                        "draws": [round(float(value), 6) for value in values[place]],
                    }
                    for name, values in figures.items()
                }
                for place, label in enumerate(class_names)
            },
        }


def evaluate_unknown(
    data: EvaluationSet,
    protocol: Protocol,
    reject_rate: float = 0.05,
    progress: Callable[[int], None] = lambda _: None,
) -> list[UnknownResult]:
    """Leaves each class out in turn, for each number of shots and each draw, and scores all queries.

    Instances are drawn as `evaluate_heads` draws them. The support then holds the drawn instances of all classes but
    one; the queries of that one are unknown, all others known.

    Args:
        data: Labelled embeddings of at least three classes.
        protocol: Shots, draws and heads.
        reject_rate: Wanted share of known defects that are called unknown.
        progress: Called with 1 after each draw of each left-out class.

    Returns:
        For each number of shots the novelty, both cosines, and the confidence of each head.

    Raises:
        UsageError: The rate is outside 0.001% to 50%.
        SupportError: A class has fewer instances than shots, or there are fewer than three classes.
        InputError: A class has no query, or an embedding is not finite.
    """
    check_set(data, protocol)
    check_rate(reject_rate)
    check_unknown_set(data, protocol)
    classes = len(data.class_names)
    results = []
    for shots in protocol.shots:
        found: dict[str, dict[str, _Scores]] = {}
        for seed in range(protocol.draws):
            drawn = draw(data, shots, seed, protocol.split)
            for left_out in range(classes):
                unknown = drawn.labels == left_out
                cache = _without(drawn, left_out)
                for name, (scores, flags) in _scores(cache, drawn.queries, protocol, reject_rate).items():
                    figures = _figures(scores, flags, unknown)
                    tables = found.setdefault(name, {key: np.full((classes, protocol.draws), _NAN) for key in figures})
                    for key, value in figures.items():
                        tables[key][left_out, seed] = value
                progress(1)
        results += [UnknownResult(name, shots, **tables) for name, tables in found.items()]
    return results


def check_unknown(support: Mapping[str, int], query: Mapping[str, int] | None, shots: Sequence[int]) -> None:
    """Refuses labels with which no class can be left out; takes no embeddings, so it can be asked before encoding.

    Args:
        support: Instances of each class.
        query: Queries of each class; None where those not drawn are classified.
        shots: Numbers of instances drawn of each class.

    Raises:
        SupportError: There are fewer than three classes.
        InputError: A class has no query, or no other has one.
    """
    if len(support) < 3:
        raise SupportError(
            f"there are {len(support)} classes: with one left out, fewer than two are left to tell apart",
            fix="add labelled instances of another class",
        )
    for count in shots:
        queries = {name: query.get(name, 0) if query is not None else total - count for name, total in support.items()}
        for name, own in queries.items():
            if own < 1 or own == sum(queries.values()):
                raise InputError(
                    f"with {counted(count, 'shot')}, the class '{name}' or all others have no query",
                    fix="ask for fewer shots",
                )


def check_unknown_set(data: EvaluationSet, protocol: Protocol) -> None:
    """Refuses embeddings with which no class can be left out; see `check_unknown`."""
    query = None if data.query_labels is None else _counts(data.query_labels, data.class_names)
    check_unknown(_counts(data.support_labels, data.class_names), query, protocol.shots)
    check_queries(data.places, protocol.shots, protocol.draws, protocol.split, data.class_names)


def auroc(known: npt.NDArray[np.floating], unknown: npt.NDArray[np.floating]) -> float:
    """The area under the receiver operating characteristic: P(unknown > known), ties counting half.

    Args:
        known: Scores of the known, `[K]`, K >= 1.
        unknown: Scores of the unknown, `[U]`, U >= 1.
    """
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left")
    up_to = np.searchsorted(ordered, unknown, "right")
    return float((below + up_to).mean() / 2 / len(known))


def fpr_at_95(known: npt.NDArray[np.floating], unknown: npt.NDArray[np.floating]) -> float:
    """The share of the unknown at or below the smallest limit that at least 95% of the known are at or below.

    Args:
        known: Scores of the known, `[K]`, K >= 1.
        unknown: Scores of the unknown, `[U]`, U >= 1.
    """
    rank = -(-len(known) * 95 // 100)
    return float((unknown <= np.sort(known)[rank - 1]).mean())


def _counts(labels: npt.NDArray[np.int64], class_names: Sequence[str]) -> dict[str, int]:
    totals = np.bincount(labels, minlength=len(class_names))
    return dict(zip(class_names, (int(total) for total in totals), strict=True))


def _without(drawn: Draw, left_out: int) -> SupportCache:
    """The instances drawn of all classes but one."""
    whole = drawn.cache
    kept = whole.labels != left_out
    names = [name for place, name in enumerate(whole.class_names) if place != left_out]
    labels = whole.labels[kept]
    images = take_rows(whole.images, np.flatnonzero(kept))
    return SupportCache.from_embeddings(whole.embeddings[kept], labels - (labels > left_out), names, images=images)


def _scores(
    cache: SupportCache, queries: npt.NDArray[np.floating], protocol: Protocol, reject_rate: float
) -> Mapping[str, tuple[_Scores, npt.NDArray[np.bool_] | None]]:
    """Every score of every query, and what the calibrated limit calls unknown, where there is one."""
    single = not cache.can_be_left_out.any()
    novelties = NoveltyScorer(fit_novelty(cache, None if single else reject_rate)).score(queries)
    flags = None if single else np.array([bool(novelty.unknown) for novelty in novelties])
    found: dict[str, tuple[_Scores, npt.NDArray[np.bool_] | None]] = {
        NOVELTY: (np.array([novelty.score for novelty in novelties]), flags),
        "centred cosine": (_farness(CentredZipAdapter(cache), queries), None),
        "cosine": (_farness(ZipAdapter(cache), queries), None),
    }
    for name in protocol.heads:
        head = open_head(fit_head(cache, name, aggregate=protocol.aggregate, tuning=protocol.tuning).cache)
        found[f"confidence of {name}"] = (1.0 - head.probabilities(queries).max(axis=1).astype(np.float64), None)
    return found


def _farness(head: ZipAdapter | CentredZipAdapter, queries: npt.NDArray[np.floating]) -> _Scores:
    """One minus the largest cosine of the mean embedding with a key."""
    return np.array([1.0 - answer.nearest[0].similarity for answer in head.predict(queries, 1)])


def _figures(scores: _Scores, flags: npt.NDArray[np.bool_] | None, unknown: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {
        "auroc": auroc(scores[~unknown], scores[unknown]),
        "fpr95": fpr_at_95(scores[~unknown], scores[unknown]),
        "known_rejected": _NAN if flags is None else float(flags[~unknown].mean()),
        "unknown_found": _NAN if flags is None else float(flags[unknown].mean()),
    }
