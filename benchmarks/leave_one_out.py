"""What does it cost to check a change of a support cache, and to choose a head, over the number of instances?

27 views of 768 channels. Leaving an instance out by computing the keys once is compared, for each head and in the same
run, with making a cache without the instance, which is done for a few of them; and so is what the view schedule is
fitted on, the evidence of each group of views.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _machine import write_result

from mvrec_edge.calib.changes import add_instances, compare, propose
from mvrec_edge.calib.fitting.around_head import fit_around_head
from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.calib.fitting.left_out_views import left_out_views
from mvrec_edge.calib.fitting.schedule_fitting import fit_schedule
from mvrec_edge.calib.fitting.selection import select_head
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.heads.evidence import UnseenViews
from mvrec_edge.runtime.views.schedule import ViewSchedule

VIEWS, CHANNELS, CLASSES = 27, 768, 5
CHOICE = [(8.0, "uncertainty")]
SAMPLE, SCHEDULE_SAMPLE, LEFT_OUT = 20, 4, 60
# Of so many only the view schedule is measured.
LARGE = 2000


def seconds(action: Callable[[], object], rounds: int = 3) -> float:
    """The least of a few times: other work on the machine only ever adds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def made_anew(cache: SupportCache, head: str) -> None:
    """Leaves a few instances out by making a cache without each."""
    everyone = np.arange(len(cache.labels))
    for left_out in np.linspace(0, len(everyone) - 1, SAMPLE).astype(int):
        others = head_class(head)(cache.subset(everyone[everyone != left_out]))
        others.logits_for(cache.embeddings[left_out : left_out + 1].astype(np.float32), CHOICE)


def views_made_anew(cache: SupportCache, schedule: ViewSchedule) -> None:
    """Classifies a few instances group by group of their views, each with a cache made without it."""
    everyone = np.arange(len(cache.labels))
    for left_out in np.linspace(0, len(everyone) - 1, SCHEDULE_SAMPLE).astype(int):
        unseen = UnseenViews(head_class(cache.head.name)(cache.subset(everyone[everyone != left_out])))
        views = cache.embeddings[left_out].astype(np.float32)
        for stop in range(1, len(schedule.groups)):
            seen = np.sort(np.concatenate([np.array(group) for group in schedule.groups[:stop]]))
            unseen.margins(views[seen], seen)
        unseen.head.logits(views[None])


def schedule_costs(cache: SupportCache) -> dict[str, float]:
    """Seconds of fitting the view schedule, and what leaving out all at once gains."""
    whole = seconds(lambda: fit_schedule(cache))
    schedule = fit_schedule(cache)
    left_out = np.linspace(0, len(cache.labels) - 1, min(len(cache.labels), LEFT_OUT)).astype(int)
    once = seconds(lambda: list(left_out_views(cache, schedule.groups, left_out))) / len(left_out)
    anew = seconds(lambda: views_made_anew(cache, schedule), rounds=2) / SCHEDULE_SAMPLE
    return {
        "view_schedule_s": round(whole, 3),
        "view_evidence_ms_per_instance": round(once * 1e3, 2),
        "view_evidence_times_faster_than_made_anew": round(anew / once, 1),
    }


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "leave_one_out.json")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = []
    for count in (25, 100, 400, LARGE):
        labels = np.arange(count + 1) % CLASSES
        centres = rng.standard_normal((CLASSES, 1, CHANNELS))
        values = centres[labels] + 2 * rng.standard_normal((count + 1, VIEWS, CHANNELS)) + 3
        cache = SupportCache.from_embeddings(
            values[:count].astype(np.float32),
            labels[:count],
            [*"abcde"],
            head=HeadSettings("zip-c", beta=8.0, aggregate="uncertainty"),
            view_plan=ViewPlan.mso(size=224),
        )
        new = EncodedInstances(values[count:].astype(np.float16), ("a",), ("new",))
        row: dict[str, float] = {"instances": count} | schedule_costs(cache)
        rows.append(row)
        if count == LARGE:
            print(row)
            break
        for head in ("zip", "zip-c"):
            once = seconds(lambda cache=cache, head=head: leave_one_out(cache, head, CHOICE)) / count  # type: ignore[misc]
            anew = seconds(lambda cache=cache, head=head: made_anew(cache, head), rounds=2) / SAMPLE  # type: ignore[misc]
            row[f"{head}_ms_per_instance"] = round(once * 1e3, 3)
            row[f"{head}_times_faster_than_made_anew"] = round(anew / once, 1)
        changed = add_instances(cache, new)
        row["compare_an_added_instance_s"] = round(seconds(lambda cache=cache, to=changed: compare(cache, to)), 3)  # type: ignore[misc]
        # As calibration leaves it: the order of views is fitted again as well.
        whole = fit_around_head(cache)
        row["compare_and_refit_s"] = round(seconds(lambda cache=whole, to=changed: propose(cache, to), rounds=2), 2)  # type: ignore[misc]
        row["choose_a_head_s"] = round(seconds(lambda cache=cache: select_head(cache), rounds=1), 2)  # type: ignore[misc]
        print(row)
    write_result(
        arguments.out,
        "Leaving each support instance out: keys computed once against caches made anew, and what needs it",
        {"rows": rows},
    )


if __name__ == "__main__":
    main()
