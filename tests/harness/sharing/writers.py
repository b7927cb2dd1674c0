"""Two processes that write to one place at once; what is there afterwards, and meanwhile, is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.runtime import Bundle, SupportCache
from mvrec_edge.runtime.engines.speeds import SpeedKey, read_speeds, record_speeds
from mvrec_edge.runtime.errors import LockedError, MvrecEdgeError
from mvrec_edge.runtime.support.versions import SupportVersions
from tests.harness.tampering.small_bundle import write_small_bundle

__all__ = ["KINDS"]

_TIMES = 25


def _two(work: Callable[[int], None], beside: Callable[[], None] = lambda: None) -> str:
    """Does something in two children at once, and something beside until both have ended; says which failed."""
    ready, go = os.pipe()
    children = []
    for which in (0, 1):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                # Both begin when the parent lets them.
                os.read(ready, 1)
                work(which)
                code = 0
            except MvrecEdgeError as error:
                os.write(2, f"{error}\n".encode())
            finally:
                os._exit(code)
        children.append(child)
    os.close(ready)
    os.close(go)
    failed = 0
    while children:
        beside()
        for child in list(children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                children.remove(child)
                failed += status != 0
    return f"{failed} of 2 writers failed" if failed else ""


def _cache(seed: int) -> SupportCache:
    draw = np.random.default_rng(seed)
    embeddings = draw.standard_normal((4 + seed % 3, 3, 16)).astype(np.float16)
    return SupportCache.from_embeddings(embeddings, np.arange(len(embeddings)) % 2, ["a", "b"])


def _caches(folder: Path) -> str:
    """The same file, again and again; a reader meets one of the caches that were written, and no other bytes."""
    path = folder / "a.safetensors"
    digests = {_cache(which).digest for which in range(2)}
    _cache(0).save(path)
    strange: list[str] = []

    def read() -> None:
        if SupportCache.load(path).digest not in digests:
            strange.append("a reader met a cache that nobody wrote")

    failed = _two(lambda which: [_cache(which).save(path) for _ in range(_TIMES)] and None, read)
    return failed or "".join(strange[:1]) or _strangers(folder, {path.name})


def _versions(folder: Path) -> str:
    """Changes of one cache, each with the lock: none is lost."""
    path = folder / "a.safetensors"
    versions = SupportVersions(path, keep=1000)
    first = _cache(1000)
    first.save(path)

    def change(which: int) -> None:
        for number in range(_TIMES):
            with versions.change():
                versions.write(_cache(2 * number + which))

    failed = _two(change)
    there = {SupportCache.load(version.path).digest for version in versions.history()}
    missing = {_cache(number).digest for number in range(2 * _TIMES)} | {first.digest}
    return failed or (f"{len(missing - there)} versions are lost" if missing - there else "")


def _store(folder: Path) -> str:
    """The same embeddings, kept twice: each is found whole."""
    keys = [f"{number:064x}" for number in range(_TIMES)]
    values = {key: np.random.default_rng(place).standard_normal((3, 16)).astype("f4") for place, key in enumerate(keys)}
    failed = _two(lambda _: [EmbeddingStore(folder / "store").put(key, values[key]) for key in keys] and None)
    store = EmbeddingStore(folder / "store")
    wrong = [key for key in keys if not np.array_equal(store.get(key, (3, 16)), values[key])]
    return failed or (f"{len(wrong)} embeddings are not found" if wrong else "")


def _speeds(folder: Path) -> str:
    """Measured times of two processes: none is lost."""
    os.environ["MVREC_EDGE_CACHE"] = str(folder / "cache")
    keys = [SpeedKey(f"{number:064x}", "onnxruntime", "", 1) for number in range(2 * _TIMES)]
    failed = _two(lambda which: [record_speeds({key: 1.0}) for key in keys[which::2]] and None)
    lost = len(keys) - len(read_speeds(keys))
    return failed or (f"{lost} of {len(keys)} times are lost" if lost else "")


def _bundle(folder: Path) -> str:
    """A bundle exported to one place by two: a reader meanwhile gets one of both, and nothing lies beside it."""
    place = folder / "b"
    write_small_bundle(place, 0)

    def write(which: int) -> None:
        for _ in range(_TIMES // 5):
            # Whoever comes second is refused, and leaves nothing.
            with contextlib.suppress(LockedError):
                write_small_bundle(place, which, overwrite=True)

    failed = _two(write, lambda: Bundle.load(place) and None)
    Bundle.load(place)
    return failed or _strangers(folder, {place.name})


def _plan(folder: Path) -> str:
    """A plan for RTX that two processes ask for at once: both get it, and it is found by the next."""
    from mvrec_edge.runtime.engines.tensorrt import BatchProfile
    from mvrec_edge.runtime.engines.tensorrt.building import ensure_plan
    from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities

    bundle = write_small_bundle(folder / "b", 0)
    target, profile = Capabilities(), BatchProfile(1, 2, 4)

    def build(which: int) -> None:
        ensure_plan(bundle, "fp32", target, profile, force=True)

    failed = _two(build)
    again = ensure_plan(bundle, "fp32", target, profile)
    return failed or ("it is built a third time" if again.built or not again.data else "")


def _strangers(folder: Path, wanted: set[str]) -> str:
    strangers = {path.name for path in folder.iterdir()} - wanted
    return f"{sorted(strangers)[0]} is left" if strangers else ""


KINDS: dict[str, Callable[[Path], str]] = {
    "support cache": _caches,
    "versions of a support cache": _versions,
    "embedding store": _store,
    "speeds": _speeds,
    "bundle": _bundle,
    "plan": _plan,
}
