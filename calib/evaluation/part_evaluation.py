"""Several parts in one support cache, by the paper's protocol: with the part given, chosen, and each part alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.protocol import Draw, EvaluationSet, Protocol, check_set, draw
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.part_fitting import fit_parts
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import part_of, parts_as_classes

__all__ = ["PartResult", "evaluate_parts"]


@dataclass(frozen=True)
class PartResult:
    """How the queries of one part are classified; shares of all its queries, one for each draw, 0 to 1.

    Attributes:
        part: The part.
        head: The head of each part, as it was named.
        shots: Instances drawn for each class.
        own: Classified rightly with the part's own cache.
        given: With the cache of all parts, the part given.
        chosen: With the cache of all parts, the part chosen by the embedding: part and class right.
        part_chosen: Of these, with the right part.
        without: With one head over the classes of all parts, which knows nothing of parts: part and class right.
        queries: Queries of the part in each draw.
    """

    part: str
    head: str
    shots: int
    own: tuple[float, ...]
    given: tuple[float, ...]
    chosen: tuple[float, ...]
    part_chosen: tuple[float, ...]
    without: tuple[float, ...]
    queries: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types; accuracies in %, means over the draws and the draws themselves."""
        shares = {name: getattr(self, name) for name in ("own", "given", "chosen", "part_chosen", "without")}
        return {
            "part": self.part,
            "head": self.head,
            "shots": self.shots,
            "queries": list(self.queries),
            **{name: round(100 * float(np.mean(values)), 2) for name, values in shares.items()},
            "draws": {name: [round(100 * value, 3) for value in values] for name, values in shares.items()},
        }


def evaluate_parts(
    sets: Mapping[str, EvaluationSet], protocol: Protocol, progress: Callable[[int], None] = lambda _: None
) -> list[PartResult]:
    """Evaluates one support cache of several parts against the caches of the parts alone.

    For each number of shots, head and seed, instances of each part are drawn as for that part alone. The caches that
    they give are joined, and each part's queries are classified by its own cache, by the joined one with the part given
    and with the part chosen, and by one head over all classes.

    Args:
        sets: Labelled embeddings of each part, at least two, of one encoder and one view plan.
        protocol: Shots, draws and heads; a head that trains goes with no parts.
        progress: Called with 1 after each draw of each head.

    Returns:
        One result for each number of shots, head and part, in that order.

    Raises:
        SupportError: There are fewer than two parts, a class has fewer instances than shots, or a head is trained.
        InputError: There is no query, or an embedding is not finite.
    """
    if len(sets) < 2:
        raise SupportError("there are fewer than two parts to tell apart", fix="give at least two")
    for data in sets.values():
        check_set(data, protocol)
    results = []
    for shots in protocol.shots:
        for head in protocol.heads:
            found: dict[str, list[_Shares]] = {name: [] for name in sets}
            for seed in range(protocol.draws):
                draws = {name: draw(data, shots, seed, protocol.split) for name, data in sets.items()}
                for name, shares in _one_draw(draws, head, protocol).items():
                    found[name].append(shares)
                progress(1)
            for name, rows in found.items():
                own, given, chosen, right, without = zip(*(row.shares for row in rows), strict=True)
                queries = tuple(row.queries for row in rows)
                results.append(PartResult(name, head, shots, own, given, chosen, right, without, queries))
    return results


@dataclass(frozen=True)
class _Shares:
    """The shares of a part's queries in one draw, in the order of `PartResult`, and their number."""

    shares: tuple[float, float, float, float, float]
    queries: int


def _one_draw(draws: Mapping[str, Draw], head: str, protocol: Protocol) -> dict[str, _Shares]:
    def fitted(cache: SupportCache) -> SupportCache:
        return fit_head(cache, head, aggregate=protocol.aggregate, tuning=protocol.tuning).cache

    caches = {name: fitted(_with_images_of(name, each.cache)) for name, each in draws.items()}
    joined = fit_parts(caches)
    chooser, names = open_head(parts_as_classes(joined)), joined.part_names
    heads = {name: open_head(part_of(joined, name)) for name in names}
    everything = open_head(fitted(_without_parts(joined)))
    found = {}
    for name, each in draws.items():
        own = open_head(caches[name]).logits(each.queries).argmax(axis=1) == each.labels
        given = heads[name].logits(each.queries).argmax(axis=1) == each.labels
        right = chooser.logits(each.queries).argmax(axis=1) == names.index(name)
        # Where the part is right, its own head decides as if it had been given; a wrong part has not the class.
        without = everything.logits(each.queries).argmax(axis=1) == _places(joined, name)[each.labels]
        own_share, given_share = float(own.mean()), float(given.mean())
        chosen = (float((given & right).mean()), float(right.mean()))
        found[name] = _Shares((own_share, given_share, *chosen, float(without.mean())), len(each.labels))
    return found


def _with_images_of(part: str, cache: SupportCache) -> SupportCache:
    """The cache with images that are not taken for those of another part, which are numbered from 0 as well."""
    return cache.changed(images=[f"{part}/{image}" for image in cache.images])


def _places(joined: SupportCache, part: str) -> npt.NDArray[np.int64]:
    """The places of a part's classes among all, int64 `[N]`."""
    return np.array([place for place, of in enumerate(joined.class_parts) if of == part], np.int64)


def _without_parts(joined: SupportCache) -> SupportCache:
    """The same instances in a cache that knows nothing of parts; classes of one name stay apart."""
    return joined.changed(class_names=joined.class_titles, parts=(), part_fits=None)
