"""The everyday way to change a bundle under a running program: `cp` over its files."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np

from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.held_file import HeldFile
from mvrec_edge.runtime.files.write_lease import WriteLease
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.children import in_a_child

__all__ = ["CopiedOver"]

_ENGINES = ("onnxruntime", "openvino")
_WEIGHTS = "encoder.fp32.weights"
_LONGEST_S = 0.2


class CopiedOver(Campaign):
    """Each trial copies other weights over those that an engine computes from, at a moment that nobody chose."""

    name = "copied-over"
    goal = "cp over the weights of a running engine ends in an IntegrityError, and no other embedding comes out"
    short = 20
    full = 500
    chunk = 50

    def run(self, trials: range, folder: Path) -> Tally:
        """Counts for each engine how it ends; without leases in the folder, SIGBUS is counted and no finding."""
        tally, harmless = Tally(), {"refused"}
        shutil.copytree(POCKET_BUNDLE, folder / "b", copy_function=shutil.copyfile)
        data = (folder / "b" / _WEIGHTS).read_bytes()
        (folder / "other").write_bytes(bytes(reversed(data)))
        if not _leases(folder / "other"):
            harmless.add("ended by SIGBUS")
        for trial in trials:
            name = _ENGINES[trial % len(_ENGINES)]
            wait = float(np.random.default_rng(trial).uniform(0, _LONGEST_S))
            found, ended = in_a_child(lambda name=name, wait=wait: _encode_meanwhile(name, folder, wait))
            outcome = ended or found
            tally.trials += 1
            tally.counts[f"{name}: {outcome}"] += 1
            if outcome not in harmless:
                tally.findings.append(Finding(trial, f"{name}, after {wait:.3f} s: {outcome}"))
            (folder / "b" / _WEIGHTS).write_bytes(data)
        return tally


def _leases(file: Path) -> bool:
    with contextlib.closing(HeldFile(file)) as held:
        lease = WriteLease([held.handle])
        found = lease.held
        lease.give_back()
    return found


def _encode_meanwhile(name: str, folder: Path, wait: float) -> str:
    draw = np.random.default_rng(0)
    with open_engine(name, Bundle.load(folder / "b"), threads=1) as engine:
        views = draw.integers(0, 256, (3, engine.image_size, engine.image_size, 4), dtype=np.uint8)
        wanted = engine.encode(views)
        copied = threading.Event()

        def copy() -> None:
            copied.wait(wait)
            subprocess.run(["cp", folder / "other", folder / "b" / _WEIGHTS], check=True)
            copied.set()

        threading.Thread(target=copy).start()
        try:
            while True:
                after = copied.is_set()
                if not np.array_equal(engine.encode(views), wanted):
                    return "another embedding came out"
                if after:
                    return "nothing was said"
        except IntegrityError:
            copied.wait(60)
            return "refused"
