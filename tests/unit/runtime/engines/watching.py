"""Files that change under an engine, for the tests of every engine that maps its weights."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, Engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError

__all__ = ["check_forked", "check_watched"]


def check_watched(bundle: Bundle, open_engine: Callable[[Bundle], Engine]) -> None:
    """Asserts that a bundle may be replaced by rename while it is used, and that nothing comes of one written into."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "b"
        shutil.copytree(bundle.path, copy, copy_function=shutil.copyfile)
        loaded = Bundle.load(copy)
        size = bundle.architecture.image_size
        views = np.random.default_rng(0).integers(0, 256, (3, size, size, 4), dtype=np.uint8)
        with open_engine(loaded) as engine:
            weights = copy / bundle.manifest.graph(engine.precision).weights
            data = weights.read_bytes()
            wanted = engine.encode(views)
            other = bytearray(data)
            other[: len(other) // 2] = bytes(len(other) // 2)
            weights.with_name("new").write_bytes(other)
            weights.with_name("new").replace(weights)
            for _ in range(2):
                np.testing.assert_array_equal(engine.encode(views), wanted)
        weights.write_bytes(data)
        with open_engine(loaded) as engine:
            # As `cp` does it: the file is empty for a while.
            weights.write_bytes(data)
            for _ in range(2):
                with pytest.raises(IntegrityError, match="was changed or exchanged"):
                    engine.encode(views)
        weights.write_bytes(other)
        with pytest.raises(IntegrityError, match="was changed after it was exported"):
            open_engine(loaded)


def check_forked(engine: Engine) -> None:
    """Asserts that a forked child is told that it cannot encode, and ends."""
    views = np.zeros((1, engine.image_size, engine.image_size, 4), np.uint8)
    wanted = engine.encode(views)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with pytest.raises(EnvironmentUnfitError, match="was opened before this process was forked"):
                engine.encode(views)
            engine.close()
            code = 0
        except BaseException:  # noqa: BLE001, RUF100 (a child must never go on as if it were the test)
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(engine.encode(views), wanted)
