"""One thread for small products, however many cut views at once."""

from __future__ import annotations

import threading

import numpy as np
from threadpoolctl import ThreadpoolController

from mvrec_edge.runtime.views.single_thread import single_threaded_products


def _threads() -> list[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return [library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers]


def test_products_take_one_thread_inside_and_what_they_took_before_outside() -> None:
    before = _threads()
    with single_threaded_products():
        assert set(_threads()) == {1}
        with single_threaded_products():
            assert set(_threads()) == {1}
        assert set(_threads()) == {1}
    assert _threads() == before


def test_an_error_inside_restores_too() -> None:
    before = _threads()
    try:
        with single_threaded_products():
            raise KeyError
    except KeyError:
        pass
    assert _threads() == before


def test_the_last_of_several_threads_restores() -> None:
    before = _threads()
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def first() -> None:
        with single_threaded_products():
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with single_threaded_products():
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
