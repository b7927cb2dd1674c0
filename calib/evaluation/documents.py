"""An evaluation as files: JSON, Markdown and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mvrec_edge.calib.evaluation.part_tables import PARTS_FILE
from mvrec_edge.calib.evaluation.set_evaluation import Evaluation
from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_markdown, plot_evaluation
from mvrec_edge.calib.evaluation.unknown_tables import unknown_json, unknown_markdown
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.runtime.errors import BrokenDependencyError, MissingDependencyError
from mvrec_edge.runtime.files import atomic_write, canonical_json, writing
from mvrec_edge.runtime.files.writing import make_folder

__all__ = ["FILES", "write_evaluation"]

#: The files that an evaluation may write.
FILES = (*(f"{name}.{kind}" for name in ("evaluation", "unknown") for kind in ("json", "md", "png")), PARTS_FILE)


def write_evaluation(
    folder: Path, evaluation: Evaluation, about: Mapping[str, object], *, observer: Observer = SILENT
) -> None:
    """Writes `evaluation.json`, `evaluation.md` and `evaluation.png`, and where it was asked for `unknown.json|md`.

    Args:
        folder: The folder, made where it does not exist; files of these names are replaced.
        evaluation: What was found.
        about: What was evaluated, in plain JSON types, for the record.
        observer: Told where matplotlib is not installed or does not load, so that there is no plot.

    Raises:
        OutputError: A file cannot be written.
    """
    names, heads, known = evaluation.class_names, evaluation.heads, dict(about)
    documents: dict[str, bytes] = {}
    if evaluation.unknown is not None:
        found, rate = evaluation.unknown, evaluation.settings.reject_rate
        documents["unknown.json"] = canonical_json(unknown_json(found, names, rate, known))
        documents["unknown.md"] = unknown_markdown(found, names, rate, "Unknown defects").encode()
    documents["evaluation.json"] = canonical_json(evaluation_json(heads, names, known, evaluation.cautions))
    documents["evaluation.md"] = evaluation_markdown(heads, names, "Evaluation", evaluation.cautions).encode()
    with writing(folder):
        make_folder(folder)
    for name, data in documents.items():
        with atomic_write(folder / name) as stream:
            stream.write(data)
    try:
        plot_evaluation(heads, names, folder / "evaluation.png")
    except (MissingDependencyError, BrokenDependencyError) as error:
        observer.remark(f"no plot: {error}")
