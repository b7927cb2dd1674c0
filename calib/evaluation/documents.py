"""An evaluation as files: JSON, Markdown and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mvrec_edge.calib.evaluation.part_tables import PARTS_FILE
from mvrec_edge.calib.evaluation.plots import plot_evaluation, plot_reliability
from mvrec_edge.calib.evaluation.review_tables import review_json, review_markdown
from mvrec_edge.calib.evaluation.set_evaluation import Evaluation
from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_markdown
from mvrec_edge.calib.evaluation.unknown_tables import unknown_json, unknown_markdown
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.runtime.errors import BrokenDependencyError, MissingDependencyError
from mvrec_edge.runtime.files import atomic_write, canonical_json, writing
from mvrec_edge.runtime.files.writing import make_folder

__all__ = ["FILES", "write_evaluation"]

#: The files that an evaluation may write.
FILES = (
    *(f"{name}.{kind}" for name in ("evaluation", "review", "unknown") for kind in ("json", "md", "png")),
    "reliability.png",
    PARTS_FILE,
)


def write_evaluation(
    folder: Path, evaluation: Evaluation, about: Mapping[str, object], *, observer: Observer = SILENT
) -> None:
    """Writes `evaluation.json|md|png` and `reliability.png`; `unknown.json|md`, `review.json|md` where asked for.

    Args:
        folder: The folder, made where it does not exist; files of these names are replaced.
        evaluation: What was found.
        about: What was evaluated, in plain JSON types, for the record.
        observer: Told where matplotlib is not installed or does not load, so that there are no plots.

    Raises:
        OutputError: A file cannot be written.
    """
    names, known = evaluation.class_names, dict(about)
    documents: dict[str, bytes] = {}
    if evaluation.unknown is not None:
        found, rate = evaluation.unknown, evaluation.settings.reject_rate
        fewer = {**known, "draws": found[0].auroc.shape[1]}
        documents["unknown.json"] = canonical_json(unknown_json(found, names, rate, fewer))
        documents["unknown.md"] = unknown_markdown(found, names, rate, "Unknown defects").encode()
    if evaluation.review is not None and (wanted := evaluation.settings.right_at_least) is not None:
        documents["review.json"] = canonical_json(review_json(evaluation.review, wanted, known))
        documents["review.md"] = review_markdown(evaluation.review, wanted, "Review").encode()
    documents["evaluation.json"] = canonical_json(evaluation_json(evaluation, known))
    documents["evaluation.md"] = evaluation_markdown(evaluation, "Evaluation").encode()
    with writing(folder):
        make_folder(folder)
    for name, data in documents.items():
        with atomic_write(folder / name) as stream:
            stream.write(data)
    try:
        plot_evaluation(evaluation, folder / "evaluation.png")
        plot_reliability(evaluation, folder / "reliability.png")
    except (MissingDependencyError, BrokenDependencyError) as error:
        observer.remark(f"no plot: {error}")
