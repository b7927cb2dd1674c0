"""How many views do decisions take, how often do they differ from those of all views, and does the time follow?

Three ways to run it:

    views.py                                  decisions, on features of a real category
    views.py --bundle B --labelled F          the same, and on a labelled folder encoded with the bundle
    views.py --bundle B                       time

Decisions: the paper's protocol (3 and 5 shots, five draws) with `--views auto` at several risks and fixed numbers,
heads and stopping rules fitted on the support alone. A labelled folder is a category that nothing was chosen on.

Time: `classify` of rendered defects with all views, with a few and with as many as they take, in turns in one process,
as ratios to all views; and the same for one defect at a time, whose views fill no batch. Ratios are given for the
clock and for the processor's time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _machine import TRANSISTOR_FEATURES, write_result

from mvrec_edge.calib import (
    EvaluateSettings,
    EvaluationSet,
    Protocol,
    encode_sets,
    fit_support,
    read_features,
    read_labelled,
)
from mvrec_edge.calib.evaluation.views import evaluate_views
from mvrec_edge.runtime import (
    Bundle,
    DefectClassifier,
    Engine,
    ImageRegions,
    Region,
    SupportCache,
    ViewPlan,
    ViewUse,
    open_engine,
    open_source,
)
from mvrec_edge.runtime.engines.encoding import encode_images
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, SURFACES, render_defect

SHOTS, DRAWS = (3, 5), 5
HEADS = ("auto", "zip", "zip-c")
USES = (ViewUse("auto", 0.01), ViewUse("auto", 0.001), ViewUse("auto", 0.05), ViewUse(3), ViewUse(9))
_FAMILIES = DEFECT_FAMILIES[:3]
_PER_CLASS = 4


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--labelled", type=Path, action="append", default=[])
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--regions", type=int, default=9, help="rendered defects to time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    bundle = None if arguments.bundle is None else Bundle.load(arguments.bundle)
    with contextlib.ExitStack() as stack:
        engine = None
        if bundle is not None:
            engine = stack.enter_context(open_engine(arguments.engine, bundle, threads=arguments.threads, say=print))
        if bundle is not None and engine is not None and not arguments.labelled:
            made: dict[str, Any] = {
                "encoder": str(bundle.architecture.name),
                "weights": str(bundle.weights),
                "engine": engine.name,
            }
            made |= {"device": engine.device, "precision": engine.precision, "batch": engine.batch}
            made |= times(engine, arguments.regions, arguments.rounds)
            write_text(arguments.out / "views_time.md", time_table(made))
            write_result(arguments.out / "views_time.json", "Time of classify against the views it encodes", made)
            return
        sets = {"transistor, AlphaCLIP ViT-L/14": read_features(arguments.features)}
        if bundle is not None and engine is not None:
            for folder in arguments.labelled:
                sets[f"{folder.name}, {bundle.architecture.name}, {bundle.weights}"] = encoded(engine, folder)
    rows = {name: decisions(data) for name, data in sets.items()}
    write_text(arguments.out / "views.md", decision_table(rows))
    question = "Views that decisions take, and decisions that are not those of all views"
    write_result(arguments.out / "views.json", question, {"shots": SHOTS, "draws": DRAWS, "rows": rows})


def decisions(data: EvaluationSet) -> list[dict[str, Any]]:
    """Each way of using views, with each head."""
    rows = []
    for use in USES:
        for result in evaluate_views(data, Protocol(SHOTS, DRAWS, HEADS), use):
            rows.append({"use": _name(use), **result.to_dict()})
            print(rows[-1])
    return rows


def encoded(engine: Engine, folder: Path) -> EvaluationSet:
    """The embeddings of a labelled folder; what is not drawn is classified."""
    settings = EvaluateSettings(Protocol(SHOTS, DRAWS, HEADS))
    data = encode_sets(engine, read_labelled(open_source(folder)), None, settings)
    # As a support cache keeps them.
    return dataclasses.replace(data, support=data.support.astype(np.float16))


def times(engine: Engine, regions: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a region, together and one by one, in turns; the median round counts."""
    plan = ViewPlan.mso(size=engine.image_size)
    support = _rendered(range(_PER_CLASS), _FAMILIES)
    embeddings = np.concatenate([item.embeddings for item in encode_images(engine, plan, support)])
    cache = SupportCache.from_embeddings(
        embeddings,
        np.repeat(np.arange(len(_FAMILIES)), _PER_CLASS),
        _FAMILIES,
        view_plan=plan,
        encoder=engine.fingerprint,
        random_weights=engine.random_weights,
    )
    cache = fit_support(cache)
    each = -(-regions // len(_FAMILIES))
    items = list(_rendered(range(100, 100 + each), _FAMILIES))[:regions]
    uses = (ViewUse("all"), ViewUse("auto"), ViewUse(3), ViewUse(9))
    classifiers = {_name(use): DefectClassifier(engine, cache, views=use) for use in uses}
    head = classifiers["all"].head

    def without_choice() -> int:
        for item in encode_images(engine, plan, items):
            head.predict(item.embeddings)
        return regions * plan.count

    def together(classifier: DefectClassifier) -> int:
        return sum(found.views for _, predictions in classifier.classify_many(items) for found in predictions)

    def alone(classifier: DefectClassifier) -> int:
        return sum(found.views for item in items for found in classifier.classify(item.image, item.regions))

    result: dict[str, Any] = {"regions": regions, "rounds": rounds}
    for way, run in (("together", together), ("one by one", alone)):
        jobs: dict[str, Callable[[], int]] = {
            name: lambda run=run, classifier=classifier: run(classifier)  # type: ignore[misc]
            for name, classifier in classifiers.items()
        }
        if way == "together":
            jobs["encode_images and predict"] = without_choice
        result[way] = _in_turns(jobs, regions, plan.count, rounds)
    return result


def _in_turns(jobs: dict[str, Callable[[], int]], regions: int, count: int, rounds: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    views = {}
    for turn in range(rounds):
        # Every other round backwards, so that a machine that slows down slows all alike.
        for name in list(jobs)[:: 1 if turn % 2 == 0 else -1]:
            start, start_cpu = time.perf_counter(), time.process_time()
            views[name] = jobs[name]()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    rows = {}
    for name in jobs:
        ratio, cpu_ratio = _ratio(seconds, name), _ratio(cpu, name)
        share = views[name] / (regions * count)
        rows[name] = {
            "views_per_region": round(views[name] / regions, 3),
            "ms_per_region": round(1e3 * statistics.median(seconds[name]) / regions, 2),
            "views_to_all": round(share, 4),
            "time_to_all": round(ratio, 4),
            "cpu_time_to_all": round(cpu_ratio, 4),
            "time_ratio_to_view_ratio": round(ratio / share, 4),
            "cpu_time_ratio_to_view_ratio": round(cpu_ratio / share, 4),
        }
        print(name, rows[name])
    return rows


def _ratio(times: dict[str, list[float]], name: str) -> float:
    """The median over rounds; each against its own time of all views, so that what slows a whole round cancels out."""
    return statistics.median(own / of_all for own, of_all in zip(times[name], times["all"], strict=True))


def _rendered(numbers: Sequence[int], families: Sequence[str]) -> list[ImageRegions[int]]:
    items = []
    for family in families:
        for number in numbers:
            sample = render_defect(family, SURFACES[number % len(SURFACES)], size=(480, 640), seed=number)
            items.append(ImageRegions(number, sample.image, [Region(sample.mask)]))
    return items


def _name(use: ViewUse) -> str:
    return f"auto, risk {use.risk:.1%}" if use.views == "auto" else str(use.views)


def decision_table(tables: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Decisions as Markdown."""
    lines = [
        "# Views that decisions take",
        "",
        f"Mean over {DRAWS} draws. *Differing*: decisions that are not those of all views. *Expected*: what the rule's "
        "own risks add up to; it promises no more than the risk for each decision that stops.",
    ]
    for name, rows in tables.items():
        lines += ["", f"## {name}", ""]
        lines += ["| views | head | shots | views used | accuracy, % | all views, % | differing | expected |"]
        lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
        for row in rows:
            lines.append(
                f"| {row['use']} | {row['head']} | {row['shots']} | {row['views']:.2f} | {100 * row['accuracy']:.2f} | "
                f"{100 * row['accuracy_all_views']:.2f} | {row['differing']} of {row['decisions']} "
                f"({100 * row['differing_share']:.2f}%) | {100 * row['expected_share']:.2f}% |"
            )
    return lines


def time_table(made: dict[str, Any]) -> list[str]:
    """Times as Markdown."""
    lines = [
        f"# Time of classify: {made['encoder']} {made['precision']}, {made['engine']} on {made['device']}",
        "",
        f"{made['regions']} rendered defects, {made['weights']}, median of {made['rounds']} rounds in turns. *Ratio*: "
        "time to that of all views, over views to all views; 1 where the time follows the views.",
        "",
        "| how | views | views a defect | ms a defect | views to all | time to all | ratio | by CPU time |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way in ("together", "one by one"):
        for name, row in made[way].items():
            lines.append(
                f"| {way} | {name} | {row['views_per_region']:.2f} | {row['ms_per_region']:.1f} | "
                f"{row['views_to_all']:.3f} | {row['time_to_all']:.3f} | {row['time_ratio_to_view_ratio']:.3f} | "
                f"{row['cpu_time_ratio_to_view_ratio']:.3f} |"
            )
    return lines


def write_text(path: Path, lines: list[str]) -> None:
    """Writes a table beside the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
