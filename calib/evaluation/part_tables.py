"""An evaluation of several parts as a table for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.calib.evaluation.part_evaluation import PartResult
from mvrec_edge.runtime.files import atomic_write, canonical_json, writing
from mvrec_edge.runtime.files.writing import make_folder

__all__ = ["PARTS_FILE", "part_lines", "write_parts"]

#: The file that an evaluation of parts writes.
PARTS_FILE = "parts.json"

_COLUMNS = {
    "own": "own cache",
    "given": "part given",
    "chosen": "part chosen",
    "part_chosen": "right part",
    "without": "no parts",
}
_WIDTH = 13
_MEANING = (
    "Own cache: each part with a support cache of its own.",
    "Part given, part chosen: one cache of all parts, the part given or chosen by the embedding.",
    "Right part: how often that choice was right.",
    "No parts: one head over all the classes.",
)


def part_lines(results: Sequence[PartResult]) -> list[str]:
    """The accuracies in %, means over the draws: a row for each number of shots, head and part."""
    names = [
        f"{result.head}, {result.shots} shot{'' if result.shots == 1 else 's'}, {result.part}" for result in results
    ]
    width = max(map(len, ["accuracy, %", *names]))
    lines = [f"{'accuracy, %':<{width}}" + "".join(f"{title:>{_WIDTH}}" for title in _COLUMNS.values())]
    for name, result in zip(names, results, strict=True):
        shares = (100 * float(np.mean(getattr(result, column))) for column in _COLUMNS)
        lines.append(f"{name:<{width}}" + "".join(f"{share:>{_WIDTH}.2f}" for share in shares))
    return [*lines, "", *_MEANING]


def write_parts(folder: Path, results: Sequence[PartResult], about: Mapping[str, Any]) -> None:
    """Writes `parts.json`.

    Args:
        folder: The folder, made where it does not exist; a file of this name is replaced.
        results: What `evaluate_parts` returned.
        about: What was evaluated, in plain JSON types, for the record.

    Raises:
        OutputError: The file cannot be written.
    """
    data = canonical_json({**about, "results": [result.to_dict() for result in results]})
    with writing(folder):
        make_folder(folder)
    with atomic_write(folder / PARTS_FILE) as stream:
        stream.write(data)
