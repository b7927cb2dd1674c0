"""Several parts evaluated at once: within a part as alone, and worse only where the part is chosen wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib import EvaluationSet, Protocol, evaluate_heads
from mvrec_edge.calib.evaluation.part_evaluation import evaluate_parts
from mvrec_edge.runtime.errors import InputError, SupportError


def _set(draw: int, *, spread: float = 1.0, names: tuple[str, ...] = ("dent", "scratch")) -> EvaluationSet:
    rng = np.random.default_rng(draw)
    labels = np.arange(8 * len(names)) % len(names)
    centres = 3 * np.eye(12)[[draw % 12]] + rng.standard_normal((len(names), 12))
    rows = centres[labels][:, None] + spread * rng.standard_normal((len(labels), 3, 12))
    return EvaluationSet(names, rows, labels.astype(np.int64), support_images=np.arange(len(labels)))


@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_a_part_that_is_given_is_as_good_as_its_own_cache(spread: float) -> None:
    sets = {"tile": _set(1, spread=spread), "knob": _set(2, spread=spread, names=("dent", "burr", "pit"))}
    protocol = Protocol((1, 3), 3, ("auto",))
    steps: list[int] = []
    results = evaluate_parts(sets, protocol, steps.append)
    assert len(steps) == 6
    assert [(each.shots, each.part) for each in results] == [(1, "tile"), (1, "knob"), (3, "tile"), (3, "knob")]
    for result in results:
        assert result.own == result.given
        alone = evaluate_heads(sets[result.part], Protocol((result.shots,), 3, ("auto",)))
        assert result.own == pytest.approx(alone[0].accuracies)
        for given, chosen, right in zip(result.given, result.chosen, result.part_chosen, strict=True):
            assert chosen <= min(given, right)
            assert chosen >= given + right - 1 - 1e-9
        described = result.to_dict()
        assert described["given"] == pytest.approx(100 * np.mean(result.given), abs=0.01)
        assert set(described["draws"]) == {"own", "given", "chosen", "part_chosen", "without"}


def test_parts_that_lie_apart_are_told_apart() -> None:
    results = evaluate_parts({"tile": _set(1, spread=0.1), "knob": _set(5, spread=0.1)}, Protocol((3,), 2, ("zip-w",)))
    assert all(result.part_chosen == (1.0, 1.0) and result.chosen == result.given for result in results)


def test_what_cannot_be_evaluated() -> None:
    with pytest.raises(SupportError, match="fewer than two parts"):
        evaluate_parts({"tile": _set(1)}, Protocol((1,), 1, ("auto",)))
    with pytest.raises(InputError, match="every instance would be drawn"):
        evaluate_parts({"tile": _set(1), "knob": _set(2)}, Protocol((8,), 1, ("auto",)))
    with pytest.raises(SupportError, match="trained head zip-f"):
        evaluate_parts({"tile": _set(1), "knob": _set(2)}, Protocol((2,), 1, ("zip-f",)))
