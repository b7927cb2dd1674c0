"""`evaluate --report`: the queries of one draw, one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.calib import EvaluationSet, LabelledSet, Protocol
    from mvrec_edge.calib.evaluation.protocol import Draw
    from mvrec_edge.runtime import Prediction, SupportCache, ViewPlan
    from mvrec_edge.runtime.report import Section

__all__ = ["write_evaluation_report"]


def write_evaluation_report(
    path: Path,
    data: EvaluationSet,
    sets: Sequence[LabelledSet],
    protocol: Protocol,
    plan: ViewPlan,
    *,
    title: str,
    details: Sequence[Section],
    random_weights: bool,
    overwrite: bool,
) -> None:
    """Writes a report of the first draw (seed 0) at the most shots, classified by the first head.

    A region is then in the page once, as it is after `calibrate --shots` and `classify`; the accuracy over all draws is
    in the evaluation's own tables.

    Args:
        path: The HTML file.
        data: The embeddings.
        sets: The support and, where it is given, the query set.
        protocol: Shots and heads.
        plan: The views that were cut.
        title: The page's title.
        details: What to say about the run besides the draw.
        random_weights: Whether the encoder's weights were drawn.
        overwrite: Whether to replace a file that is there.

    Raises:
        OutputError: The file cannot be written.
        ImageError: An image cannot be read any more.
    """
    from mvrec_edge.calib import fit_head
    from mvrec_edge.calib.evaluation.protocol import draw
    from mvrec_edge.calib.evaluation.shot_counts import shots_words
    from mvrec_edge.calib.instances.thumbnails import draw_thumbnails
    from mvrec_edge.cli.report import run_section, say_report, support_section
    from mvrec_edge.runtime.report import ReportWriter

    most = protocol.supports[-1]
    drawn = draw(data, most, seed=0, split=protocol.split)
    shots = sets[0].with_instances(sets[0].instances[place] for place in drawn.drawn)
    head = protocol.heads[0]
    fitted = fit_head(drawn.cache, head, aggregate=protocol.aggregate, tuning=protocol.tuning).cache
    cache = dataclasses.replace(
        fitted,
        sources=tuple(instance.source for instance in shots.instances),
        view_plan=plan,
        random_weights=random_weights,
        thumbnails=draw_thumbnails(shots, data.class_names),
    )
    queries = sets[-1].with_instances(sets[-1].instances[place] for place in drawn.places)
    predictions = _predictions(cache, drawn, queries)
    about = (run_section("evaluate"), *details, support_section(cache, "drawn for this page"))
    with ReportWriter(path, cache, title=title, details=about, overwrite=overwrite) as report:
        report.note(
            f"One draw of the evaluation: {shots_words(most)}, seed 0, head '{head}'. "
            "The accuracy over all draws is in the evaluation's tables."
        )
        for part in sets:
            report.add_problems(part.problems)
        for image, places in queries.places_by_image.items():
            report.add(image, queries.images.read(image), [predictions[place] for place in places])
    say_report(report)


def _predictions(cache: SupportCache, drawn: Draw, queries: LabelledSet) -> list[Prediction]:
    """Predictions as `classify` makes them, without times: the embeddings may come from an earlier run."""
    import numpy as np

    from mvrec_edge.runtime import Prediction, StageTimes, open_head

    answers = open_head(cache).predict(drawn.queries)
    means = drawn.queries.mean(axis=1, dtype=np.float32)
    return [
        Prediction(
            region=instance.region,
            label=answer.label,
            probability=float(answer.probabilities.max()),
            probabilities=dict(zip(cache.class_names, answer.probabilities.tolist(), strict=True)),
            nearest=answer.nearest,
            views=drawn.queries.shape[1],
            milliseconds=StageTimes(0.0, 0.0, 0.0),
            embedding=mean,
        )
        for instance, answer, mean in zip(queries.instances, answers, means, strict=True)
    ]
