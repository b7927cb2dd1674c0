"""A graph in OpenVINO whose weights are a mapping of the file, and not a copy of it."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.runtime.bundle.onnx_file.outline import Outline, outline_with_inputs
from mvrec_edge.runtime.bundle.onnx_file.tensors import DTYPES
from mvrec_edge.runtime.engines.openvino.rewriting import rewrite

__all__ = ["MappedModel"]

# OpenVINO's names by ONNX's numbers. numpy has no bfloat16; two bytes of any kind take its place.
_NAMES = {1: "f32", 2: "u8", 3: "i8", 10: "f16", 16: "bf16"}
_TWO_BYTES = "<u2"
_GIVE_BACK_EVERY_S = 0.02

# OpenVINO reads the mappings without holding them, so they are held here until they are closed.
_open: dict[int, list[Any]] = {}


class MappedModel:
    """Reads a graph, maps its large weights, and puts it into the form that OpenVINO fuses (`rewriting.py`).

    Args:
        library: The module `openvino`.
        core: Its core.
        graph: The ONNX file, screened.

    Attributes:
        model: The model; it and what is compiled from it must not be used after `close`.

    Raises:
        Exception: This version cannot do it; `core.read_model` reads the file itself.
    """

    def __init__(self, library: Any, core: Any, graph: Path) -> None:
        outline = outline_with_inputs(graph)
        with graph.open("rb") as stream:
            self._file = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.model = core.read_model(outline.model)
        kept = _fill(library, self.model, outline, self._file)
        rewrite(library, self.model)
        # Last, so that what fails before is not held for good.
        _open[id(self)] = kept

    @contextlib.contextmanager
    def giving_back(self) -> Iterator[None]:
        """Inside, pages of the file that have been read are given back to the system again and again.

        Compiling and the first run read every weight once, to pack a copy of it; afterwards only the copy is used. A
        page that is read again comes from the page cache.
        """
        done = threading.Event()

        def give_back() -> None:
            while not done.wait(_GIVE_BACK_EVERY_S):
                self._forget()

        helper = threading.Thread(target=give_back, name="mvrec-edge-pages", daemon=True)
        helper.start()
        try:
            yield
        finally:
            done.set()
            helper.join()
            self._forget()

    def _forget(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self._file.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Lets the file go; what was compiled from the model is gone by then."""
        self.model = None
        _open.pop(id(self), None)
        # Where something of the library still looks at it, it is closed with that.
        with contextlib.suppress(BufferError):
            self._file.close()


def _fill(library: Any, model: Any, outline: Outline, file: mmap.mmap) -> list[Any]:
    """Puts constants in the place of the model's inputs that are weights; gives what must be kept for them."""
    kept: list[Any] = [file]
    inputs = {name: parameter for parameter in model.get_parameters() for name in parameter.output(0).get_names()}
    for weight in outline.weights:
        name = _NAMES[weight.kind]
        dtype = DTYPES.get(weight.kind, _TWO_BYTES)
        values: Any = np.ndarray(weight.shape, dtype, buffer=file, offset=weight.begin)
        tensor = library.Tensor(values, library.Shape(weight.shape), getattr(library.Type, name))
        constant = library.op.Constant(tensor, shared_memory=True)
        constant.set_friendly_name(weight.name)
        parameter = inputs[weight.name]
        parameter.output(0).replace(constant.output(0))
        model.remove_parameter(parameter)
        kept += [values, tensor, constant]
    return kept
