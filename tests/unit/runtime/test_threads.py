"""Fewer threads for products, however many ask for it at once."""

from __future__ import annotations

import threading

import numpy as np
from threadpoolctl import ThreadpoolController

from mvrec_edge.runtime.threads import limited_products, usable_cpus


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
