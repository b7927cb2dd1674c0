"""The process in which one candidate is opened and timed; it does what its parent says, in JSON lines.

    parent                                              worker
                                                        {"ready": true}
    {"do": "open", "kind": "engine", ...}               {"device": ..., "verify_s": ..., "open_s": ...}
    {"do": "run", "part": "encode", "amount": 9, ...}   {"seconds": [...]}
    {"do": "embed", "amount": 4}                        {"embeddings": [[...]]}
    {"do": "memory"}                                    {"peak": ...}
                                                        {"error": "..."}, wherever something is not possible

The worker ends when its input does, so none outlives its parent for longer than a run takes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mvrec_edge.bench.candidates import EngineCandidate, open_candidate
from mvrec_edge.bench.workloads import EngineWorkload, NumpyProduct, Workload
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import MvrecEdgeError, UsageError
from mvrec_edge.runtime.processes.child_process import answer_stream, send_answer

__all__ = ["Opener", "candidate_of", "main", "open_subject", "peak_memory", "serve", "serve_parent"]

#: Opens what a request describes; gets a function to call when the bundle is verified.
Opener = Callable[[dict[str, Any], Callable[[], None]], Workload]


def serve(requests: TextIO, replies: TextIO, opener: Opener) -> None:
    """Answers requests until there are no more.

    Args:
        requests: JSON lines.
        replies: Where one JSON line goes for each, and one before them all.
        opener: Opens what an `open` request describes.
    """
    session = _Session(opener)
    send_answer(replies, {"ready": True})
    try:
        for line in requests:
            try:
                send_answer(replies, session.answer(json.loads(line)))
            except MvrecEdgeError as error:
                send_answer(replies, {"error": str(error)})
            except Exception as error:
                # A library's own error is a row in the table, not the end of the run.
                text = " ".join(f"{type(error).__name__}: {error}".split())
                send_answer(replies, {"error": text[:600]})
    finally:
        session.close()


class _Session:
    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._subject: Workload | None = None
        self._prepared: dict[tuple[str, int], Callable[[], object]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        action = request["do"]
        if action == "open":
            return self._open(request)
        if action == "memory":
            return {"peak": peak_memory()}
        if self._subject is None:
            raise UsageError("nothing was opened")
        if action == "run":
            call = self._prepare(request["part"], request["amount"])
            return {"seconds": [_seconds(call) for _ in range(request["times"])]}
        if action == "embed":
            embeddings = np.asarray(self._prepare("encode", request["amount"])())
            return {"embeddings": embeddings.tolist()}
        raise UsageError(f"a worker cannot do '{action}'")

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        marks = [time.perf_counter()]
        self._subject = self._opener(request, lambda: marks.append(time.perf_counter()))
        verified = marks[-1]
        return {
            "device": self._subject.device,
            "verify_s": verified - marks[0],
            "open_s": time.perf_counter() - verified,
            "peak": peak_memory(),
        }

    def _prepare(self, part: str, amount: int) -> Callable[[], object]:
        assert self._subject is not None  # noqa: S101 (answer has looked)
        if (part, amount) not in self._prepared:
            self._prepared[part, amount] = self._subject.prepare(part, amount)
        return self._prepared[part, amount]

    def close(self) -> None:
        self._prepared.clear()
        if self._subject is not None:
            self._subject.close()


def open_subject(request: dict[str, Any], verified: Callable[[], None]) -> Workload:
    """Opens an engine, a matrix product, or the stages around the encoder."""
    kind, threads = request["kind"], request.get("threads")
    if kind == "numpy product":
        return NumpyProduct()
    if kind == "onnxruntime fp8 product":
        from mvrec_edge.bench.float8 import Float8Product

        return Float8Product()
    if kind == "openvino product":
        from mvrec_edge.bench.openvino_product import OpenVinoProduct

        return OpenVinoProduct(request["precision"], threads)
    if kind == "stages":
        from mvrec_edge.bench.stages import StagesWorkload

        return StagesWorkload(
            image_size=request["image_size"],
            embedding_dim=request["embedding_dim"],
            views=request["views"],
            threads=threads,
        )
    # What was asked for alone, as the commands of the line do it.
    bundle = Bundle.load(request["bundle"], graphs=[request["precision"]])
    verified()
    return EngineWorkload(open_candidate(candidate_of(request), bundle, batch=request["batch"], threads=threads))


def candidate_of(request: dict[str, Any]) -> EngineCandidate:
    """The candidate that an `open` request names."""
    return EngineCandidate(request["engine"], request["precision"], request.get("provider"))


def peak_memory() -> int | None:
    """Most bytes of memory this process has held so far; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage would count the parent's memory at the moment of the fork as well.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def serve_parent(opener: Opener) -> None:
    """Serves the process that started this one; what libraries print goes to stderr."""
    serve(sys.stdin, answer_stream(), opener)


def main() -> None:
    """Serves the parent with this package's own workloads."""
    serve_parent(open_subject)


if __name__ == "__main__":
    main()
