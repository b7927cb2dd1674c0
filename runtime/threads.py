"""CPU threads: how many this process may use, how many a product takes, tasks shared out, and work ahead."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

__all__ = ["Task", "limited_products", "run_in_threads", "usable_cpus", "work_ahead"]

Item = TypeVar("Item")

#: Something to do, without a result.
Task = Callable[[], None]

# The calls of a task are short, and more threads than these wait for the interpreter's lock most of the time.
_MOST_THREADS = 4

_lock = threading.Lock()
_users = 0
_limit: Any = None


def usable_cpus() -> int:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_threads(tasks: Sequence[Task], most: int | None = None) -> None:
    """Runs tasks on the usable CPUs, and returns when all are done.

    Its threads are kept, and so is the memory that tasks keep for each thread. A task must not run tasks itself.

    Args:
        tasks: They must release the interpreter's lock to gain anything, as numpy and OpenCV do.
        most: Threads at most; by default, and in any case, no more than four.

    Raises:
        Exception: What the first failing task raised; the others have ended by then.
    """
    threads = min(len(tasks), usable_cpus(), _MOST_THREADS, most or _MOST_THREADS)
    if threads < 2:
        for task in tasks:
            task()
        return
    left = deque(tasks)

    def work() -> None:
        while True:
            try:
                task = left.popleft()
            except IndexError:
                return
            task()

    futures = [_pool().submit(work) for _ in range(threads)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]


def work_ahead(source: Iterable[Item], most: int) -> Iterator[Item]:
    """Takes items from a source in a thread of its own, while the caller works on those before.

    Args:
        source: Where they come from; it is closed in that thread.
        most: Items that wait for the caller at most, from 1 on; until it takes one, the source makes no more.

    Yields:
        The items, in order.

    Raises:
        Exception: What the source raised, in the place of the item that it did not make.
    """
    # Wakes either side when the other has done something.
    changed = threading.Condition()
    waiting: deque[Item] = deque()
    error: BaseException | None = None
    ended = stopped = False

    def take() -> None:
        iterator = iter(source)
        try:
            for item in iterator:
                with changed:
                    waiting.append(item)
                    changed.notify()
                    changed.wait_for(lambda: len(waiting) < most or stopped)
                    if stopped:
                        return
        finally:
            # A generator has something to close.
            if hasattr(iterator, "close"):
                iterator.close()

    def work() -> None:
        nonlocal error, ended
        try:
            take()
        # Whatever it is, it belongs to the caller.
        except BaseException as raised:
            error = raised
        finally:
            with changed:
                ended = True
                changed.notify()

    threading.Thread(target=work, name="mvrec-edge-ahead", daemon=True).start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    break
                item = waiting.popleft()
                changed.notify()
            yield item
        if error is not None:
            raise error
    finally:
        with changed:
            stopped = True
            changed.notify()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(usable_cpus(), _MOST_THREADS), thread_name_prefix="mvrec-edge")


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextlib.contextmanager
def limited_products(threads: int) -> Iterator[None]:
    """Products of numpy and OpenCV take at most `threads` threads inside, in the whole process; never more than before.

    Several threads may be inside at once; the limit of the first one in holds until the last one is out.

    Where other work keeps the cores busy, the threads of a product wait for one another: 27 views of 128 pixels took
    1570 ms to resize on all cores beside it instead of 42 on one, and fine-tuning many times longer.
    """
    global _users, _limit
    with _lock:
        _users += 1
        if _users == 1:
            products = _products()
            usual = max((library.num_threads or 1 for library in products.lib_controllers), default=1)
            _limit = products.limit(limits=max(1, min(threads, usual)))
            _limit.__enter__()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            # The last one out restores: were each to do so, one would restore what another had set.
            if _users == 0:
                _limit.__exit__(None, None, None)
                _limit = None


@cache
def _products() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
