"""Fewer threads for products, however many ask for it at once; and tasks shared out among threads."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from mvrec_edge.runtime import threads
from mvrec_edge.runtime.threads import limited_products, run_in_threads, usable_cpus, work_ahead


def _threads() -> list[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return [library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers]


def test_products_take_one_thread_inside_and_what_they_took_before_outside() -> None:
    before = _threads()
    with limited_products(1):
        assert set(_threads()) == {1}
        with limited_products(1):
            assert set(_threads()) == {1}
        assert set(_threads()) == {1}
    assert _threads() == before


def test_an_error_inside_restores_too() -> None:
    before = _threads()
    try:
        with limited_products(1):
            raise KeyError
    except KeyError:
        pass
    assert _threads() == before


def test_the_last_of_several_threads_restores() -> None:
    before = _threads()
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def first() -> None:
        with limited_products(1):
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with limited_products(1):
            second_in.set()
            first_out.wait(10)
            seen.append(set(_threads()))

    workers = [threading.Thread(target=work) for work in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == [{1}]
    assert _threads() == before


def test_there_are_never_more_threads_than_before() -> None:
    before = _threads()
    with limited_products(10_000):
        assert _threads() == before
    assert _threads() == before


def test_at_least_one_cpu() -> None:
    assert usable_cpus() >= 1


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_every_task_is_done_on_return(monkeypatch: pytest.MonkeyPatch, cpus: int) -> None:
    monkeypatch.setattr(threads, "usable_cpus", lambda: cpus)
    done: list[int] = []
    run_in_threads([partial(done.append, number) for number in range(100)])
    assert sorted(done) == list(range(100))


def test_tasks_run_at_the_same_time_where_there_is_more_than_one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cpus", lambda: 2)
    threads._pool.cache_clear()
    meeting = threading.Barrier(2, timeout=30)

    def meet() -> None:
        meeting.wait()

    run_in_threads([meet, meet])
    assert not meeting.broken
    threads._pool.cache_clear()


def test_a_failing_task_is_raised_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cpus", lambda: 2)
    done: list[int] = []

    def fail() -> None:
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        run_in_threads([fail, *(partial(done.append, number) for number in range(20))])
    assert sorted(done) == list(range(20))


def _share_out(answers: multiprocessing.SimpleQueue[int]) -> None:
    done: list[int] = []
    run_in_threads([partial(done.append, number) for number in range(10)])
    answers.put(len(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cpus", lambda: 2)
    run_in_threads([lambda: None] * 10)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_share_out, args=(answers,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert answers.get() == 10


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_threads_than_asked_for(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(threads, "usable_cpus", lambda: 64)
    seen: set[int] = set()
    run_in_threads([lambda: seen.add(threading.get_ident())] * 200, most)
    assert 1 <= len(seen) <= most
    assert (threading.get_ident() in seen) == (most == 1)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_work_ahead_gives_the_same_items_in_order(items: list[int], most: int) -> None:
    assert list(work_ahead(iter(items), most)) == items


def test_work_ahead_is_done_in_another_thread_and_no_further_than_asked_for() -> None:
    made: list[int] = []
    makers: set[int] = set()
    second = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            makers.add(threading.get_ident())
            made.append(number)
            if number == 2:
                second.set()
            yield number

    ahead = work_ahead(source(), 2)
    assert next(ahead) == 0
    assert second.wait(10)
    assert next(ahead) == 1
    ahead.close()
    assert threading.get_ident() not in makers
    assert len(made) <= 4


def test_an_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    ahead = work_ahead(source(), 1)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(ahead)


def test_what_is_no_source_is_an_error_at_once() -> None:
    with pytest.raises(TypeError):
        next(work_ahead(3, 1))  # type: ignore[arg-type]


def test_a_source_that_is_not_wanted_any_more_is_closed_in_its_thread() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    ahead = work_ahead(source(), 1)
    next(ahead)
    ahead.close()
    assert closed.wait(10)


def test_an_error_while_closing_is_raised_too() -> None:
    class Source:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise KeyError("closing")

    with pytest.raises(KeyError, match="closing"):
        list(work_ahead(Source(), 1))
