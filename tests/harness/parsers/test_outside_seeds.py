"""The files that are mutated are valid, else nothing behind the first check would be tried."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import MvrecEdgeError
from tests.harness.parsers.outside_seeds import OutsideFile, image_files, label_files, prepare, repaired, tensor_files

_TENSORS = tensor_files(checkpoints=importlib.util.find_spec("torch") is not None)
_FILES = [*label_files(), *image_files(), *_TENSORS]
#: Noise is no mask, and the tiny encoder lacks most tensors: both are read to their last byte before that is said.
_READ_AND_REFUSED = ("it looks like a photo", "values go up to", "without an alpha channel")


@pytest.mark.parametrize("file", _FILES, ids=[file.seed.name for file in _FILES])
def test_it_is_read(file: OutsideFile, tmp_path: Path) -> None:
    path = prepare(tmp_path, file)
    assert repaired(file, file.seed.data) == file.seed.data

    refusal, problems = None, []
    try:
        found = file.read(path)
        readings = found if isinstance(found, list) else []
        problems = [problem.what for reading in readings for problem in reading.problems]
    except MvrecEdgeError as error:
        refusal = error.what

    assert refusal is None or any(words in refusal for words in _READ_AND_REFUSED), refusal
    assert problems == []
