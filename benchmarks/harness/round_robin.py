"""The run itself: every case in turn, round after round, the order turned around each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from mvrec_edge.bench.budget import BenchCase, Budget, Samples
from mvrec_edge.bench.process import Worker
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["RoundRobin", "in_turn"]

# Embeddings that are compared between candidates, to see that they compute the same.
_COMPARED = 3
_LEAST_ROUNDS = 3
# The ceiling is the best of the products of a visit: of a few, right after a start, it was up to a sixth too low.
_PRODUCTS_S, _LEAST_PRODUCTS = 1.0, 3
# A larger matrix is tried where its product should take no longer than this.
_LONGEST_PRODUCT_S = 0.5
# A cell this slow is not worth a run that only brings its data back into the processor's caches.
_LONGEST_REFRESH_S = 1.0


def in_turn(cases: Sequence[BenchCase], number: int) -> tuple[BenchCase, ...]:
    """The order of round `number`: as given, then turned around, and so on.

    So none always follows the same one, and a machine that slows down little by little favours none.
    """
    return tuple(reversed(cases)) if number % 2 else tuple(cases)


class RoundRobin:
    """Measures cases side by side; only one of them computes at a time.

    Args:
        cases: What is measured.
        budget: How long.
        side_by_side: Whether all workers live at once. Otherwise each one is started anew for its turn.

    Attributes:
        samples: What came out, by case name.
    """

    def __init__(self, cases: Sequence[BenchCase], budget: Budget, *, side_by_side: bool = True) -> None:
        self.cases = tuple(cases)
        self.budget = budget
        self.side_by_side = side_by_side
        self.samples = {case.name: Samples() for case in self.cases}
        self._workers: dict[str, Worker] = {}
        self._sides: dict[str, int] = {}

    @property
    def visits(self) -> int:
        """Steps that `run` reports, fewer where cases fail."""
        return len(self.cases) * (self.budget.starts + self.budget.rounds * len(self._groups()))

    def _groups(self) -> list[tuple[int, ...]]:
        """The batch sizes of a turn: one, so that what is compared lies close together; all where a start is dear."""
        return [(batch,) for batch in self.budget.batches] if self.side_by_side else [self.budget.batches]

    def run(self, progress: Callable[[int], None] = lambda _count: None) -> None:
        """Starts, warms up and measures; a case that fails is left out from there on.

        Args:
            progress: Called with a number of steps done, `visits` in all.
        """
        with self:
            for number in range(self.budget.starts):
                for case in in_turn(self._alive(), number):
                    self._guard(case, self._start)
                    if not (self.side_by_side and number == self.budget.starts - 1):
                        self._end(case)
                    progress(1)
            for number in range(self.budget.rounds):
                for group in self._groups():
                    for case in in_turn(self._alive(), number):
                        self._guard(case, partial(self._visit, number=number, batches=group))
                        if not self.side_by_side:
                            self._end(case)
                        progress(1)

    def __enter__(self) -> RoundRobin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for case in self.cases:
            self._end(case)

    def _alive(self) -> tuple[BenchCase, ...]:
        return tuple(case for case in self.cases if self.samples[case.name].error is None)

    def _guard(self, case: BenchCase, action: Callable[[BenchCase], None]) -> None:
        try:
            action(case)
        except EnvironmentUnfitError as error:
            self.samples[case.name].error = str(error)
            self._end(case)

    def _start(self, case: BenchCase) -> None:
        """Starts a worker up to its first result, and keeps what that took."""
        samples, budget = self.samples[case.name], self.budget
        self._end(case)
        worker = Worker(case.module, dict(case.setup), threads=budget.threads)
        self._workers[case.name] = worker
        samples.device, samples.opened = worker.device, True
        samples.opened_peak = max(samples.opened_peak or 0, worker.peak or 0) or None
        if case.candidate is None:
            return
        first = worker.run("encode", min(budget.batches))
        total = time.monotonic() - worker.started
        samples.starts.append({**worker.times, "first": first[0], "total": total})
        if samples.embeddings is None:
            answer = worker.ask({"do": "embed", "amount": min(_COMPARED, max(budget.batches))})
            samples.embeddings = answer["embeddings"]

    def _visit(self, case: BenchCase, number: int, batches: tuple[int, ...]) -> None:
        if case.name not in self._workers:
            self._start(case)
        # A library's threads keep a core busy for a while after their work is done, as Intel's do for 0.2 s.
        time.sleep(self.budget.settle_s)
        if case.candidate is not None:
            for batch in batches:
                self._cell(case, "encode", batch, number)
        elif case.dtype:
            self._product(case, number)
        elif batches[0] == self.budget.batches[0]:
            for part in case.parts:
                self._cell(case, part, 1, number)
        samples = self.samples[case.name]
        # Answered between the visits, so that asking disturbs nobody.
        samples.peak = max(samples.peak or 0, self._workers[case.name].memory() or 0) or None

    def _cell(self, case: BenchCase, part: str, amount: int, number: int) -> None:
        worker, budget = self._workers[case.name], self.budget
        rounds = self.samples[case.name].times.setdefault((part, amount), {})
        spent = sum(sum(times) for times in rounds.values())
        if len(rounds) >= _LEAST_ROUNDS and spent >= budget.seconds:
            return
        if not rounds or not self.side_by_side:
            estimate = self._warm_up(worker, part, amount)
        else:
            estimate = min(min(times) for times in rounds.values())
            if estimate < _LONGEST_REFRESH_S:
                worker.run(part, amount)
        rounds[number] = worker.run(part, amount, budget.runs_per_visit(estimate))

    def _warm_up(self, worker: Worker, part: str, amount: int) -> float:
        """Runs a cell before it counts; seconds of the last run."""
        seconds = 0.0
        for _ in range(self.budget.warm_up):
            seconds = worker.run(part, amount)[0]
            # A second run of a minute would warm nothing that the first has not.
            if seconds > self.budget.seconds / _LEAST_ROUNDS:
                break
        return seconds

    def _product(self, case: BenchCase, number: int) -> None:
        """The best of a second of matrix products, or of a cell's time, of the size that is fastest."""
        worker = self._workers[case.name]
        if case.name not in self._sides:
            self._sides[case.name] = self._fastest_side(worker)
        side = self._sides[case.name]
        best = self._best_product(worker, side)
        self.samples[case.name].times.setdefault(("product", side), {}).setdefault(number, []).append(best)

    def _fastest_side(self, worker: Worker) -> int:
        found: dict[int, float] = {}
        longest = min(_LONGEST_PRODUCT_S, self.budget.seconds / self.budget.rounds)
        for side in self.budget.sides:
            if found:
                known, seconds = list(found.items())[-1]
                if seconds * (side / known) ** 3 > longest:
                    break
            found[side] = self._best_product(worker, side)
        return max(found, key=lambda side: side**3 / found[side])

    def _best_product(self, worker: Worker, side: int) -> float:
        first = worker.run("product", side, _LEAST_PRODUCTS)
        if sum(first) >= self.budget.seconds:
            return min(first)
        more = int(min(_PRODUCTS_S, self.budget.seconds) / min(first))
        return min(*first, *worker.run("product", side, max(_LEAST_PRODUCTS, more)))

    def _end(self, case: BenchCase) -> None:
        worker = self._workers.pop(case.name, None)
        if worker is not None:
            worker.close()
