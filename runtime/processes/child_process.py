"""A Python process that is sent JSON objects and answers with JSON lines: the parent's end, and the child's.

What it prints on stderr goes to a file without a name and is read when it is wanted, so a child that talks much never
waits for its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

__all__ = ["ChildProcess", "answer_stream", "end_with_parent", "send_answer", "signal_name"]

_LONGEST_LINE = 1 << 24
_GRACE_S = 5.0


class ChildProcess:
    """A child and the pipes to it; `with` ends it, however the block ends.

    It leads a session of its own: Ctrl-C reaches the parent alone, which ends its children in order, and killing it
    takes along what it started.

    Args:
        arguments: What this interpreter is started with, such as `["-m", module]`.
        environment: Variables that differ from this process's own.
        folder: Its working folder; by default that of this process.

    Attributes:
        timed_out: Whether it was killed because an answer or its end took too long.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: str | None = None
    ) -> None:
        self.timed_out = False
        self._notes = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, and code of this package)
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._notes,
                # Not the folder that the user happens to stand in: a file there may be called tensorrt.py.
                env={**os.environ, "PYTHONSAFEPATH": "1", **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            self._notes.close()
            raise

    def send(self, request: Mapping[str, Any]) -> None:
        """Sends one object. Where the child has ended already, how it ended says more, and this does nothing."""
        assert self._process.stdin is not None  # noqa: S101 (opened as a pipe above)
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, limit_s: float | None = None) -> dict[str, Any] | None:
        """Waits for the next object; lines that are none, as libraries print them, are passed over.

        Args:
            limit_s: Longest wait in seconds, after which the child is killed.

        Returns:
            The object; None where the child says no more.
        """
        assert self._process.stdout is not None  # noqa: S101
        with self._killed_after(limit_s):
            while (line := self._process.stdout.readline(_LONGEST_LINE)).endswith(b"\n"):
                with contextlib.suppress(ValueError, RecursionError):
                    message = json.loads(line)
                    if isinstance(message, dict):
                        return message
        return None

    def messages(self, limit_s: float | None = None) -> Iterator[dict[str, Any]]:
        """All objects up to the last; `limit_s` is the time for all of them."""
        end = None if limit_s is None else time.monotonic() + limit_s
        while (message := self.receive(None if end is None else end - time.monotonic())) is not None:
            yield message

    def wait(self, limit_s: float | None = None) -> int:
        """Waits for its end; a child that takes longer is killed.

        Returns:
            Its exit code, negative for the signal that ended it.
        """
        with self._killed_after(limit_s):
            return self._process.wait()

    def said(self, most: int) -> str:
        """The last `most` bytes of what it printed on stderr, as text."""
        handle = self._notes.fileno()
        # Not by seeking: the position is the child's as well.
        start = max(0, os.fstat(handle).st_size - most)
        return os.pread(handle, most, start).decode(errors="replace")

    @contextlib.contextmanager
    def _killed_after(self, limit_s: float | None) -> Iterator[None]:
        if limit_s is None:
            yield
            return

        def end() -> None:
            self.timed_out = True
            self._signal(signal.SIGKILL)

        timer = threading.Timer(max(0.0, limit_s), end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _signal(self, number: signal.Signals) -> None:
        """Signals the whole session while its leader has not been waited for: until then the number is no other's."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def close(self, grace_s: float = 0.0) -> None:
        """Ends it where it runs still: by the end of its input, and after `grace_s` seconds by signals."""
        process = self._process
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        # What was not sent to a process that has ended does not matter.
        with contextlib.suppress(OSError):
            process.stdin.close()
        for wait_s, number in ((grace_s, signal.SIGTERM), (_GRACE_S, signal.SIGKILL)):
            try:
                process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                self._signal(number)
        process.wait()
        process.stdout.close()
        self._notes.close()

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def signal_name(code: int) -> str | None:
    """The name of the signal that an exit code below 0 stands for; None for other codes."""
    if code >= 0:
        return None
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def answer_stream() -> TextIO:
    """In the child: where answers go. Whatever else is printed on stdout goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def send_answer(answers: TextIO, message: Mapping[str, Any]) -> None:
    """In the child: sends one object."""
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def end_with_parent() -> None:
    """In the child, when it has read all requests: ends it, wherever it is, when its parent ends or lets go of it."""

    def watch() -> None:
        # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
