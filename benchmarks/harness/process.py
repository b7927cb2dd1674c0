"""The parent's end of a worker process: start it, ask it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["Worker"]

_LONGEST_REPLY = 1 << 24
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
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        if threads is not None:
            environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
        self._limit_s = limit_s
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self.times: dict[str, float] = {}
        self.peak: int | None = None
        self.started = time.monotonic()
        # A session of its own, so that Ctrl-C reaches the parent alone, which ends the workers in order.
        self._process = subprocess.Popen(  # noqa: S603 (our own module in our own interpreter)
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            env=environment,
            start_new_session=True,
        )
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
        assert self._process.stdin is not None  # noqa: S101 (opened as a pipe above)
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error
        answer = self._answer()
        if "error" in answer:
            raise EnvironmentUnfitError(str(answer["error"]))
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        timer = threading.Timer(self._limit_s, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline(_LONGEST_REPLY)
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise self._death()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> EnvironmentUnfitError:
        try:
            code: int | None = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            code = None
        self._messages.seek(0)
        last = self._messages.read()[-_TAIL:].decode(errors="replace").strip()
        if code is not None and code < 0:
            cause = f"by signal {-code}" + (", as when memory runs out or it took too long" if code == -9 else "")
        else:
            cause = f"with exit code {code}"
        return EnvironmentUnfitError(f"the worker process ended {cause}" + (f": {last}" if last else ""))

    def close(self) -> None:
        """Ends the process, gently first."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            # Where it is dead already, what was not sent does not matter.
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_GRACE_S if sys.exc_info()[0] is None else 0.2)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._messages.close()
