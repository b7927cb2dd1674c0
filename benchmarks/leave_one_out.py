"""What do calibration, a change of a support cache and a query cost, over heads and the number of instances?

27 views of 768 channels, one thread, the processor's time, which other work on the machine disturbs less than the
clock. Every figure has its baseline in the same run: leaving instances out by computing what they share once has making
a cache without each, done for a few of them; so has the evidence of each group of views, which the view schedule is
fitted on; calibration with `auto` has calibration with `zip`, and a query has the product of its views with the keys.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _machine import write_result
from threadpoolctl import threadpool_limits

from mvrec_edge.calib import CalibrateSettings, fit_support
from mvrec_edge.calib.changes import add_instances, compare, propose
from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.calib.fitting.left_out_views import left_out_views
from mvrec_edge.calib.fitting.schedule_fitting import fit_schedule
from mvrec_edge.calib.fitting.selection import experts_for
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime import SupportCache, ViewPlan
from mvrec_edge.runtime.heads import AveragedHeads, head_class, open_head
from mvrec_edge.runtime.heads.evidence import UnseenViews
from mvrec_edge.runtime.views.schedule import ViewSchedule

VIEWS, CHANNELS, CLASSES = 27, 768, 5
HEADS = ("zip", "zip-c", "zip-w", "zip-vw")
SAMPLE, SCHEDULE_SAMPLE, LEFT_OUT, QUERIES = 20, 4, 60, 50
# Of so many only the view schedule is measured.
LARGE = 2000


def seconds(action: Callable[[], object], rounds: int = 3) -> float:
    """The least processor time of a few rounds: other work on the machine only ever adds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def support(count: int) -> tuple[SupportCache, EncodedInstances]:
    """A support cache of random clusters with the head `average` as it takes part, and one more instance."""
    rng = np.random.default_rng(0)
    labels = np.arange(count + 1) % CLASSES
    centres = rng.standard_normal((CLASSES, 1, CHANNELS))
    values = centres[labels] + 2 * rng.standard_normal((count + 1, VIEWS, CHANNELS)) + 3
    cache = SupportCache.from_embeddings(
        values[:count].astype(np.float32), labels[:count], [*"abcde"], view_plan=ViewPlan.mso(size=224)
    )
    head = dataclasses.replace(AveragedHeads.defaults, experts=experts_for(cache)[0])
    new = EncodedInstances(values[count:].astype(np.float16), ("a",), ("new",))
    return dataclasses.replace(cache, head=head), new


def with_head(cache: SupportCache, head: str) -> SupportCache:
    """The cache with another head at its published parameters."""
    return dataclasses.replace(cache, head=head_class(head).defaults)


def fresh(cache: SupportCache) -> SupportCache:
    """The same cache with nothing derived from its embeddings yet, as calibration has it."""
    return dataclasses.replace(cache, embeddings=cache.embeddings.copy())


def made_anew(cache: SupportCache) -> None:
    """Leaves a few instances out by making a cache without each."""
    everyone = np.arange(len(cache.labels))
    for left_out in np.linspace(0, len(everyone) - 1, SAMPLE).astype(int):
        others = open_head(cache.subset(everyone[everyone != left_out]))
        others.logits(cache.embeddings[left_out : left_out + 1].astype(np.float32))


def views_made_anew(cache: SupportCache, schedule: ViewSchedule) -> None:
    """Classifies a few instances group by group of their views, each with a cache made without it."""
    everyone = np.arange(len(cache.labels))
    for left_out in np.linspace(0, len(everyone) - 1, SCHEDULE_SAMPLE).astype(int):
        unseen = UnseenViews(open_head(cache.subset(everyone[everyone != left_out])))
        views = cache.embeddings[left_out].astype(np.float32)
        for stop in range(1, len(schedule.groups)):
            seen = np.sort(np.concatenate([np.array(group) for group in schedule.groups[:stop]]))
            unseen.margins(views[seen], seen)
        unseen.head.logits(views[None])


def schedule_costs(cache: SupportCache) -> dict[str, float]:
    """Seconds of fitting the view schedule, and what leaving out all at once gains."""
    whole = seconds(lambda: fit_schedule(cache), rounds=1)
    schedule = fit_schedule(cache)
    left_out = np.linspace(0, len(cache.labels) - 1, min(len(cache.labels), LEFT_OUT)).astype(int)
    once = seconds(lambda: list(left_out_views(cache, schedule.groups, left_out)), rounds=2) / len(left_out)
    anew = seconds(lambda: views_made_anew(cache, schedule), rounds=1) / SCHEDULE_SAMPLE
    return {
        "view_schedule_s": round(whole, 3),
        "view_evidence_ms_per_instance": round(once * 1e3, 2),
        "view_evidence_times_faster_than_made_anew": round(anew / once, 1),
    }


def left_out_costs(cache: SupportCache) -> dict[str, float]:
    """Milliseconds of leaving each instance out, for each head, and what doing it for all at once gains."""
    row: dict[str, float] = {}
    for head in HEADS:
        named = with_head(cache, head)
        once = seconds(lambda named=named: leave_one_out(fresh(named)), rounds=1)  # type: ignore[misc]
        anew = seconds(lambda named=named: made_anew(named), rounds=1) / SAMPLE  # type: ignore[misc]
        row[f"{head}_ms_per_instance"] = round(once / len(cache.labels) * 1e3, 3)
        row[f"{head}_times_faster_than_made_anew"] = round(anew / (once / len(cache.labels)), 1)
    return row


def change_costs(cache: SupportCache, new: EncodedInstances) -> dict[str, float]:
    """Seconds of comparing before and after an instance is added, and of the same with all that is fitted again."""
    changed = add_instances(cache, new)
    whole = fit_support(cache)
    again = add_instances(cache, new)
    return {
        "compare_an_added_instance_s": round(seconds(lambda: compare(fresh(cache), changed), rounds=1), 3),
        # As calibration leaves it: the order of views is fitted again as well.
        "compare_and_refit_s": round(seconds(lambda: propose(fresh(whole), again), rounds=1), 2),
    }


def calibration_costs(cache: SupportCache) -> dict[str, float]:
    """Seconds of all that `calibrate` does beside encoding, with `auto` and with `zip`."""
    times = {
        head: seconds(lambda head=head: fit_support(fresh(cache), CalibrateSettings(head=head)), rounds=1)  # type: ignore[misc]
        for head in ("auto", "zip")
    }
    return {
        "calibrate_s": round(times["auto"], 3),
        "calibrate_with_zip_s": round(times["zip"], 3),
        "calibrate_auto_to_zip": round(times["auto"] / times["zip"], 2),
    }


def query_costs(cache: SupportCache) -> dict[str, float]:
    """Milliseconds of one query of all views, for each head, and as a multiple of its product with the keys."""
    query = np.random.default_rng(1).standard_normal((1, VIEWS, CHANNELS)).astype(np.float32)
    keys = np.ascontiguousarray(cache.keys.T)

    def milliseconds(action: Callable[[], object]) -> float:
        action()
        return seconds(lambda: [action() for _ in range(QUERIES)], rounds=5) / QUERIES * 1e3

    product = milliseconds(lambda: query[0] @ keys)
    row = {"query_product_ms": round(product, 4)}
    for name in ("average", *HEADS):
        head = open_head(cache if name == "average" else with_head(cache, name))
        taken = milliseconds(lambda head=head: head.probabilities(query))  # type: ignore[misc]
        row[f"query_{name}_ms"] = round(taken, 3)
        row[f"query_{name}_to_product"] = round(taken / product, 1)
    return row


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "leave_one_out.json")
    parser.add_argument("--instances", type=int, nargs="+", default=[25, 100, 400, LARGE])
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for count in arguments.instances:
            cache, new = support(count)
            row: dict[str, Any] = {"instances": count}
            if count < LARGE:
                row |= query_costs(cache) | calibration_costs(cache) | left_out_costs(cache) | change_costs(cache, new)
            rows.append(row | schedule_costs(cache))
            print(rows[-1])
            # After each, since the last take the longest.
            write_result(
                arguments.out,
                "Processor time on one thread: queries, calibration, instances left out, each with a baseline",
                {"rows": rows},
            )


if __name__ == "__main__":
    main()
