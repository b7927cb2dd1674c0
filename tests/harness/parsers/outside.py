"""Campaigns: label files, images, features and checkpoints, mutated, through the readers that commands use."""

from __future__ import annotations

import importlib.util
import random
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import cv2

from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.limits import Meter, cost_in_child, cost_of, fault
from tests.harness.parsers.mutation import mutated
from tests.harness.parsers.outside_seeds import (
    OutsideFile,
    image_files,
    label_files,
    prepare,
    repaired,
    tensor_files,
)

__all__ = ["OutsideImages", "OutsideLabels", "OutsideTensors"]


class _Outside(Campaign):
    goal = "a file from outside is read or refused with an error of the tree, within 2 s and 256 MB"
    chunk = 2000
    # A share of files has its checksums put right, or nothing behind them would be tried.
    _REPAIRED: ClassVar[float] = 0.7

    def files(self) -> Sequence[OutsideFile]:
        """The valid files."""
        raise NotImplementedError

    def run(self, trials: range, folder: Path) -> Tally:
        cv2.setNumThreads(1)
        files = self.files()
        others = [file.seed.data for file in files]
        paths = [prepare(folder / str(number), file) for number, file in enumerate(files)]
        # Libraries are loaded and tables made before anything is measured.
        for file, path in zip(files, paths, strict=True):
            cost_of(partial(file.read, path))
        tally, meter = Tally(), Meter()
        for trial in trials:
            source = random.Random(f"{self.name} {trial}")
            number = source.randrange(len(files))
            file, path = files[number], paths[number]
            data = mutated(file.seed, source, others)
            path.write_bytes(repaired(file, data) if source.random() < self._REPAIRED else data)
            self._try(trial, file, partial(file.read, path), meter, tally)
        return tally

    def _try(self, trial: int, file: OutsideFile, call: Callable[[], object], meter: Meter, tally: Tally) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cost = meter.cost_of(call)
            if fault(cost) is not None and cost.escape is None:
                # Whatever else was in memory: once more, in a process of its own.
                cost = cost_in_child(call)
        tally.trials += 1
        tally.counts[file.seed.name] += 1
        tally.counts["refused" if cost.refusal else "read"] += 1
        tally.peak("seconds", cost.seconds)
        tally.peak("MB", cost.megabytes)
        if (wrong := fault(cost)) is not None:
            tally.findings.append(Finding(trial, f"{file.seed.name}: {wrong}"))


class OutsideLabels(_Outside):
    """Label files of every format."""

    name = "outside-labels"
    short = 20_000
    full = 3_000_000

    def files(self) -> Sequence[OutsideFile]:
        return label_files()


class OutsideImages(_Outside):
    """Images and masks of every format."""

    name = "outside-images"
    short = 26_000
    full = 2_000_000

    def files(self) -> Sequence[OutsideFile]:
        return image_files()


class OutsideTensors(_Outside):
    """Features and checkpoints."""

    name = "outside-tensors"
    short = 4_000
    full = 400_000

    def files(self) -> Sequence[OutsideFile]:
        return tensor_files(checkpoints=importlib.util.find_spec("torch") is not None)
