"""What one call takes: processor time and memory, held against what a reader of a file may take.

Processor time and not time on the clock, since the machine does other things beside. Memory is the peak of what is
resident beyond what was before; the kernel measures it, so memory of C libraries counts.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mvrec_edge.runtime.errors import MvrecEdgeError

__all__ = ["MB", "SECONDS", "Cost", "Meter", "cost_in_child", "cost_of", "fault"]

#: What reading one file may take, beyond what its result needs.
SECONDS = 2.0
MB = 256.0

#: A child is ended above this, so that nothing takes the whole machine.
_HARD_MB = 1536.0
_HARD_SECONDS = 30
# From here on a meter begins anew.
_MUCH_MB = 32.0
_POLL = 0.01
_PAGE_MB = resource.getpagesize() / 2**20


@dataclass(frozen=True)
class Cost:
    """What a call took and how it ended.

    Attributes:
        seconds: Processor time of all threads.
        megabytes: Peak of the resident memory beyond what was resident before.
        refusal: The message of an error of the project's tree; None where there was none.
        escape: Any other error: its type, message and place; or what ended the process. None where there was none.
    """

    seconds: float
    megabytes: float
    refusal: str | None = None
    escape: str | None = None


def fault(cost: Cost, *, needed_mb: float = 0.0, seconds: float = SECONDS) -> str | None:
    """What is wrong with what a call took, in one line; None where nothing is.

    Args:
        cost: What it took.
        needed_mb: What its result takes in MB, which is granted beside.
        seconds: The time that it may take.
    """
    if cost.escape is not None:
        return cost.escape
    if cost.seconds > seconds:
        return f"took {cost.seconds:.1f} s ({cost.refusal or 'success'})"
    if cost.megabytes > MB + needed_mb:
        return f"took {cost.megabytes:.0f} MB ({cost.refusal or 'success'})"
    return None


def cost_of(call: Callable[[], object]) -> Cost:
    """Runs a call in this process and measures it; no error leaves it but an interruption."""
    return Meter().cost_of(call)


class Meter:
    """Measures many calls in this process, without asking the kernel twice for each.

    The memory of a call is the peak beyond what was resident when the meter was made, or when a call last took much.
    """

    def __init__(self) -> None:
        # What was loaded before is looked through by no collection, which would be charged to the call.
        gc.collect()
        gc.freeze()
        self._begin()

    def _begin(self) -> None:
        with contextlib.suppress(OSError):  # a kernel without it: the peak is then that of the whole process
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        self._resident = _resident_mb()

    def cost_of(self, call: Callable[[], object]) -> Cost:
        """Runs a call and measures it; no error leaves it but an interruption."""
        refusal = escape = None
        begin = time.process_time()
        try:
            call()
        except MvrecEdgeError as error:
            refusal = f"{type(error).__name__}: {error}"
        except Exception as error:
            escape = _told(error)
        seconds = time.process_time() - begin
        megabytes = max(0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self._resident)
        if megabytes > _MUCH_MB:
            self._begin()
        return Cost(seconds, megabytes, refusal, escape)


def cost_in_child(call: Callable[[], object]) -> Cost:
    """The same in a forked child, which is ended where it takes far too much.

    Args:
        call: What is measured. Its result is lost with the child.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(call, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer, _ended(child) as stopped:
        text = answer.read()
    if text:
        cost = Cost(**json.loads(text))
        return replace(cost, megabytes=max(cost.megabytes, *stopped)) if stopped else cost
    if stopped:
        return Cost(0.0, stopped[0], escape=f"was ended at {stopped[0]:.0f} MB")
    return Cost(float(_HARD_SECONDS), 0.0, escape=f"died, or was ended after {_HARD_SECONDS} s")


def _be_the_child(call: Callable[[], object], writing: int) -> None:
    """Runs the call, writes what it took, and ends this process at once, without what runs at its end."""
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (_HARD_SECONDS, _HARD_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(writing, json.dumps(asdict(cost_of(call))).encode("ascii"))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


@contextlib.contextmanager
def _ended(child: int) -> Iterator[list[float]]:
    """Ends a child that takes too much memory; the list then holds how much it had. It is gone when this ends."""
    stopped: list[float] = []
    watcher = os.pidfd_open(child)
    thread = threading.Thread(target=_watch, args=(child, watcher, stopped))
    thread.start()
    try:
        yield stopped
    finally:
        thread.join()
        os.close(watcher)
        os.waitpid(child, 0)


def _watch(child: int, watcher: int, stopped: list[float]) -> None:
    begin = _resident_mb(child)
    while not select.select([watcher], [], [], _POLL)[0]:
        taken = _resident_mb(child) - begin
        if taken > _HARD_MB:
            stopped.append(taken)
            signal.pidfd_send_signal(watcher, signal.SIGKILL)
            return


def _resident_mb(process: int | str = "self") -> float:
    return int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1]) * _PAGE_MB


def _told(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}: {error}"[:300]
