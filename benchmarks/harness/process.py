"""The parent's end of a worker process: start it, ask it, end it."""

from __future__ import annotations

import sys
import time
from typing import Any

from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.processes.child_process import ChildProcess

__all__ = ["Worker"]

_TAIL = 300
_GRACE_S = 5.0
# Libraries that compute matrix products read one of these when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class Worker:
    """A process that times one workload.

    Args:
        module: What `python -m` runs, such as `mvrec_edge.bench.worker`.
        setup: The `open` request.
        threads: CPU threads of the libraries in it; None for their own choice.
        limit_s: Longest wait for one answer in seconds.

    Attributes:
        times: What starting took, in seconds: `process` (interpreter and imports), `verify`, `open`.
        device: What the workload runs on, in words.
        peak: Bytes of memory held at most up to the last time it was asked; None where not known.

    Raises:
        EnvironmentUnfitError: The workload cannot be opened, or the process died.
    """

    def __init__(
        self, module: str, setup: dict[str, Any], *, threads: int | None = None, limit_s: float = 3600
    ) -> None:
        self._limit_s = limit_s
        self.times: dict[str, float] = {}
        self.peak: int | None = None
        self.started = time.monotonic()
        environment = {} if threads is None else dict.fromkeys(_THREAD_VARIABLES, str(threads))
        self._child = ChildProcess(["-m", module], environment=environment)
        try:
            self._answer()
            self.times["process"] = time.monotonic() - self.started
            answer = self.ask({"do": "open", "threads": threads, **setup})
            self.times |= {"verify": answer["verify_s"], "open": answer["open_s"]}
            self.device = str(answer["device"])
            self.peak = answer["peak"]
        except BaseException:
            self.close()
            raise

    def run(self, part: str, amount: int, times: int = 1) -> list[float]:
        """Runs a part several times; the seconds of each."""
        answer = self.ask({"do": "run", "part": part, "amount": amount, "times": times})
        return [float(value) for value in answer["seconds"]]

    def memory(self) -> int | None:
        """Asks for the most bytes the process has held."""
        self.peak = self.ask({"do": "memory"})["peak"]
        return self.peak

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
            EnvironmentUnfitError: The worker could not do it, took too long, or died.
        """
        self._child.send(request)
        answer = self._answer()
        if "error" in answer:
            raise EnvironmentUnfitError(str(answer["error"]))
        return answer

    def _answer(self) -> dict[str, Any]:
        answer = self._child.receive(self._limit_s)
        if answer is None:
            raise self._death()
        return answer

    def _death(self) -> EnvironmentUnfitError:
        code = self._child.wait(_GRACE_S)
        last = self._child.said(_TAIL).strip()
        if code < 0:
            cause = f"by signal {-code}" + (", as when memory runs out or it took too long" if code == -9 else "")
        else:
            cause = f"with exit code {code}"
        return EnvironmentUnfitError(f"the worker process ended {cause}" + (f": {last}" if last else ""))

    def close(self) -> None:
        """Ends the process, gently first."""
        self._child.close(_GRACE_S if sys.exc_info()[0] is None else 0.2)
