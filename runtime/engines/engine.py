"""The engine interface: views in, embeddings out, whatever library computes them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.forked import outlive_forked_children
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError
from mvrec_edge.runtime.views.patches import PatchBatch, PatchLimits, PatchViews, join_patches, part_patches

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle, HeldGraph

__all__ = [
    "CPU_BATCH",
    "GPU_BATCH",
    "CuttingSession",
    "Engine",
    "GraphEngine",
    "Session",
    "encoder_name",
    "first_line",
    "preferred_precision",
]

#: A third of a 27-view region: on a CPU more views at once take memory and gain no speed.
CPU_BATCH = 9
#: Two 27-view regions: a GPU has work for many views at once, and regions of several images share a batch.
GPU_BATCH = 54


class Engine(ABC):
    """Turns views into embeddings.

    `encode` checks what goes in and what comes out, and splits work into batches; an implementation only
    computes one batch. An engine is a context manager that frees its library's memory at the end.

    Several threads may share an engine: batches are computed one after the other, whichever thread they come from. A
    batch takes all cores, or the whole GPU, so two at once would gain nothing; and a library's request or context holds
    one batch. An engine is used in the process that opened it: the threads and the GPU of a library do not live on in a
    forked child.

    Args:
        image_size: Side S of a view in pixels.
        embedding_dim: Channels C of an embedding.
        fingerprint: Identifies the embeddings: those of engines with the same fingerprint may be compared.
        precision: The precision of the graph that is run.
        batch: Most views that are computed at once.
        random_weights: Whether the weights were drawn, so that predictions mean nothing.
        threads: CPU threads at most, of the engine and of what is done for it; None: one for each core.
        encoder_name: The encoder in words, as a support cache records it.

    Attributes:
        name: The engine's name in the registry.
        device: What it really runs on, such as `"cpu, 2 threads"`.
        on_gpu: Whether it leaves the CPU to other work meanwhile.
        cuts_views: Whether it cuts views itself, so that `encode_patches` may be called.
        patch_limits: How much it cuts in one call; no more than `batch` views in any case.
    """

    name: str = ""
    device: str = ""
    on_gpu: bool = False
    cuts_views: bool = False
    patch_limits: PatchLimits = PatchLimits()

    def __init__(
        self,
        *,
        image_size: int,
        embedding_dim: int,
        fingerprint: str,
        precision: str = "fp32",
        batch: int = CPU_BATCH,
        random_weights: bool = False,
        threads: int | None = None,
        encoder_name: str = "",
    ) -> None:
        if batch < 1:
            raise UsageError(f"a batch holds at least 1 view, not {batch}")
        self.image_size = image_size
        self.embedding_dim = embedding_dim
        self.fingerprint = fingerprint
        self.precision = precision
        self.batch = batch
        self.random_weights = random_weights
        self.threads = threads
        self.encoder_name = encoder_name
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        outlive_forked_children(self)

    @final
    def encode(
        self, views: npt.NDArray[np.uint8], progress: Callable[[int], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Computes the embedding of every view.

        Args:
            views: uint8 `[N, S, S, 4]`, red, green, blue and mask, 0 to 255; N may be 0.
            progress: Called with the number of views after each batch.

        Returns:
            float32 `[N, C]`, not normalised.

        Raises:
            UsageError: The views have another shape or dtype.
            EnvironmentUnfitError: The engine is closed, was opened by a process that this one was forked from, or
                answered with something that is not a finite embedding.
            IntegrityError: The files that it computes from were changed.
        """
        expected = (self.image_size, self.image_size, 4)
        if views.dtype != np.uint8 or views.ndim != 4 or views.shape[1:] != expected:
            raise UsageError(
                f"views must be uint8 [N, {self.image_size}, {self.image_size}, 4], "
                f"these are {views.dtype} {list(views.shape)}"
            )
        embeddings = np.empty((len(views), self.embedding_dim), np.float32)
        for start in range(0, len(views), self.batch):
            part = np.ascontiguousarray(views[start : start + self.batch])
            with self._taking_turns():
                answer = self._encode_batch(part)
            self._check_answer(answer, len(part))
            embeddings[start : start + len(part)] = answer
            if progress is not None:
                progress(len(part))
        return embeddings

    @final
    def encode_patches(
        self,
        pieces: Sequence[PatchViews],
        progress: Callable[[int], None] | None = None,
        *,
        cut: npt.NDArray[np.uint8] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Cuts views and computes the embedding of each; the same as `encode` of what `crop_views` cuts.

        Args:
            pieces: Views of regions, N in all; what `cut_patch` gave.
            progress: Called with the number of views after each batch.
            cut: uint8 `[N, S, S, 4]`, filled with the views as they were cut, for whoever compares them.

        Returns:
            float32 `[N, C]`, not normalised.

        Raises:
            UsageError: The engine does not cut views.
            EnvironmentUnfitError: As for `encode`.
            IntegrityError: As for `encode`.
        """
        if not self.cuts_views:
            raise UsageError(
                f"the engine {self.name} on {self.device} does not cut views",
                fix="cut them with crop_views, or export the bundle with --views-in-graph for an engine on a GPU",
            )
        embeddings = np.empty((sum(map(len, pieces)), self.embedding_dim), np.float32)
        done = 0
        limits = dataclasses.replace(self.patch_limits, views=min(self.batch, self.patch_limits.views))
        for some in part_patches(pieces, limits):
            batch = join_patches(some, limits.sides)
            place = slice(done, done + len(batch))
            with self._taking_turns():
                answer = self._encode_patches(batch, None if cut is None else cut[place])
            self._check_answer(answer, len(batch))
            embeddings[place] = answer
            done += len(batch)
            if progress is not None:
                progress(len(batch))
        return embeddings

    @contextlib.contextmanager
    def _taking_turns(self) -> Iterator[None]:
        # Before the lock, which a thread of the parent may have held when the process was forked.
        self._check_process()
        with self._turn:
            if self._closed:
                raise EnvironmentUnfitError("the engine is closed", fix="open it again")
            yield

    def _check_answer(self, answer: npt.NDArray[Any], count: int) -> None:
        if answer.shape != (count, self.embedding_dim) or not np.isfinite(answer).all():
            raise EnvironmentUnfitError(
                f"the engine {self.name} on {self.device} answered {list(answer.shape)} values that are "
                f"not {count} finite embeddings of {self.embedding_dim} channels",
                fix="run the bundle on the engine 'onnxruntime' and report the difference",
            )

    @abstractmethod
    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes one batch: contiguous uint8 `[n, S, S, 4]`, 1 <= n <= batch, to `[n, C]`, memory of its own."""

    def _encode_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        """Cuts and computes one batch to `[n, C]`, memory of its own, and fills `cut` where it is given."""
        raise NotImplementedError

    @final
    def close(self) -> None:
        """Frees what the engine holds, after the batch that another thread may be computing; may be called twice.

        In a forked child it does nothing: what the engine holds is the parent's.
        """
        if os.getpid() != self._process:
            return
        with self._turn:
            if not self._closed:
                self._closed = True
                self._close()

    def _close(self) -> None:  # noqa: B027 (some engines have nothing to free)
        """Frees what the engine holds; called once."""

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise EnvironmentUnfitError(
                f"the engine {self.name} was opened before this process was forked, and does not run in a forked child",
                fix="open an engine in each process that encodes, or share one among threads",
            )

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session(Protocol):
    """A library that holds one graph.

    Attributes:
        device: What it really runs on.
    """

    device: str

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes one batch: contiguous uint8 `[n, S, S, 4]` to `[n, C]`."""
        ...

    def close(self) -> None:
        """Frees what the library holds."""
        ...


class CuttingSession(Protocol):
    """A library that holds one graph which cuts views and encodes them."""

    def run_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        """Computes one batch to `[n, C]`, and fills `cut`, uint8 `[n, S, S, 4]`, where it is given."""
        ...

    def close(self) -> None:
        """Frees what the library holds."""
        ...


class GraphEngine(Engine):
    """An engine that is one session over one graph of a bundle, whose files it keeps open and watches.

    Args:
        bundle: The bundle.
        precision: The graph's precision.
        open_session: Opens the session from the paths of the files it is given.
        batch: Most views that are computed at once.
        threads: CPU threads at most.
        target: The variant that is opened beside the graph of standard operators, where the bundle has it.

    Raises:
        IntegrityError: The files are not those of the bundle, or hold something that must not be run.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: str,
        open_session: Callable[[HeldGraph], Session],
        batch: int,
        threads: int | None = None,
        *,
        target: str | None = None,
    ) -> None:
        super().__init__(
            image_size=bundle.architecture.image_size,
            embedding_dim=bundle.architecture.embedding_dim,
            fingerprint=bundle.fingerprint(precision),
            precision=precision,
            batch=batch,
            random_weights=bundle.weights.is_random,
            threads=threads,
            encoder_name=encoder_name(bundle, precision),
        )
        with contextlib.ExitStack() as opened:
            self._files = bundle.hold(precision, target)
            opened.callback(self._files.close)
            with self._files.opening():
                self._session = open_session(self._files)
            opened.pop_all()
        self.device = self._session.device

        self._cutting: tuple[HeldGraph, CuttingSession] | None = None

    def _open_cutting(
        self,
        bundle: Bundle,
        targets: Sequence[str],
        open_session: Callable[[Path], CuttingSession],
        *,
        required: bool,
    ) -> None:
        """Opens a graph that cuts views beside the one that does not.

        Args:
            bundle: The bundle.
            targets: Of `VIEWS_TARGETS`, the best first. One that the library cannot open is left out, but where
                one is `required`.
            open_session: Opens the session from the path of the graph.
            required: Whether the engine is of no use without.

        Raises:
            IntegrityError: As for the other graph.
            EnvironmentUnfitError: One is required, and the library cannot open it.
            UsageError: One is required, and the bundle has none.
        """
        try:
            for target in targets:
                if self._cutting is None and bundle.manifest.graph(self.precision).variant(target) is not None:
                    self._hold_cutting(bundle, target, open_session, required=required)
            if required and self._cutting is None:
                raise UsageError(
                    f"the bundle has no {self.precision} graph that cuts views",
                    where=bundle.path,
                    fix="export it again with --views-in-graph",
                )
        except BaseException:
            self.close()
            raise

    def _hold_cutting(
        self, bundle: Bundle, target: str, open_session: Callable[[Path], CuttingSession], *, required: bool
    ) -> None:
        with contextlib.ExitStack() as opened:
            files = bundle.hold(self.precision, target)
            opened.callback(files.close)
            graph = files.graph if files.variant is None else files.variant[0]
            try:
                with files.opening():
                    session = open_session(graph)
            except EnvironmentUnfitError:
                if required:
                    raise
                return
            opened.pop_all()
        self._cutting = files, session
        self.cuts_views = True
        self.device += ", views cut in the graph"

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        with self._files.reading():
            return self._session.run(views)

    def _encode_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        if self._cutting is None:
            return super()._encode_patches(batch, cut)
        files, session = self._cutting
        with files.reading():
            return session.run_patches(batch, cut)

    def _close(self) -> None:
        if self._cutting is not None:
            files, session = self._cutting
            session.close()
            files.close()
        self._session.close()
        self._files.close()


def encoder_name(bundle: Bundle, precision: str) -> str:
    """A bundle's encoder at one precision in words, as a support cache records it."""
    return f"{bundle.architecture.name} {precision}, {bundle.weights}"


def preferred_precision(bundle: Bundle, wanted: str | None, able: Sequence[str], engine: str) -> str:
    """Which of a bundle's graphs an engine runs.

    Args:
        bundle: The bundle.
        wanted: What was asked for; None for the first of `able` that the bundle has.
        able: What the engine can run, what it prefers first.
        engine: The engine in words, for messages.

    Raises:
        UsageError: The engine cannot run what was asked for, or the bundle does not have it.
    """
    if wanted is not None:
        bundle.manifest.graph(wanted)
        if wanted not in able:
            raise UsageError(
                f"{engine} cannot run a {wanted} graph, it runs {', '.join(able)}",
                fix="choose another --engine or --precision",
            )
        return wanted
    for precision in able:
        if precision in bundle.precisions:
            return precision
    raise UsageError(
        f"{engine} runs {', '.join(able)}, and the bundle has only {', '.join(bundle.precisions)}",
        fix="choose another --engine, or export the bundle with another --precision",
    )


def first_line(error: BaseException) -> str:
    """The first line of what a library's error says, at most 300 characters, or the error's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
