"""A bundle that changes while `classify` runs: one clear line, and nothing that was done is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import write_bundle
from mvrec_edge.runtime.wording import counted
from tests.e2e.commands import run

onnxruntime = pytest.importorskip("onnxruntime")

WEIGHTS = "encoder.fp32.weights"


@pytest.fixture
def arguments(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> tuple[object, ...]:
    bundle = shutil.copytree(tiny_bundle_path, tmp_path / "b", copy_function=shutil.copyfile)
    # A batch for each region, so that records are written while others are still to come.
    words = ("--engine", "onnxruntime", "--batch", 27, "--out", tmp_path / "r.jsonl")
    return ("classify", bundle, line / "line.safetensors", line / "parts", *words)


@pytest.fixture
def before_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Does something before a run of ONNX Runtime, given by its number."""
    ran = onnxruntime.InferenceSession.run

    def install(number: int, do: Callable[[], object]) -> None:
        runs = iter(range(1, 1000))

        def run_and_do(session: Any, *arguments: Any) -> Any:
            if next(runs) == number:
                do()
            return ran(session, *arguments)

        monkeypatch.setattr(onnxruntime.InferenceSession, "run", run_and_do)

    return install


def _answers(out: Path) -> list[Any]:
    records = [json.loads(record) for record in out.read_text().splitlines()]
    return [(record["image"], record["source"], record["label"], record["probabilities"]) for record in records]


def _images(answers: list[Any]) -> str:
    return counted(len({image for image, *_ in answers}), "image")


def _write_into(weights: Path) -> None:
    with weights.open("r+b") as stream:
        stream.seek(-4096, os.SEEK_END)
        stream.write(np.random.default_rng(0).bytes(4096))


def test_weights_that_are_written_into_end_the_run_and_it_goes_on(
    arguments: tuple[object, ...], tmp_path: Path, before_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, weights = tmp_path / "r.jsonl", tmp_path / "b" / WEIGHTS
    run(*arguments)
    whole, data = _answers(out), weights.read_bytes()
    with monkeypatch.context() as patched:
        # As on a file system without leases; with them, the one who writes would wait for the batch that he is part of.
        patched.delattr("fcntl.F_SETLEASE", raising=False)
        before_run(5, lambda: _write_into(weights))
        kept, said = run(*arguments, "--overwrite", code=4).stderr.splitlines()[-2:]
    assert f"error: {weights}: was changed or exchanged while it was in use (start again; replace a bundle by" in said
    done = _answers(out)
    again = "when the cause is mended, the same command with --resume goes on"
    assert kept == f"ended by an error: {_images(done)} kept in {out}; {again}"
    assert done == whole[: len(done)]
    assert 0 < len(done) < len(whole)
    kept_still, said = run(*arguments, "--resume", code=4).stderr.splitlines()[-2:]
    assert kept_still == kept
    assert "its hash differs from the manifest's" in said
    weights.write_bytes(data)
    before_run(0, lambda: None)
    run(*arguments, "--resume")
    assert _answers(out) == whole


@pytest.mark.parametrize(
    ("error", "code"),
    [(MemoryError(), 5), (RuntimeError("x"), 70), (OSError(errno.ENOSPC, "No space left on device"), 6)],
)
def test_whatever_error_ends_a_run_it_says_what_is_kept_and_goes_on(
    arguments: tuple[object, ...], tmp_path: Path, before_run: Any, error: Exception, code: int
) -> None:
    out = tmp_path / "r.jsonl"

    def fail() -> None:
        raise error

    before_run(4, fail)
    kept, said = run(*arguments, code=code).stderr.splitlines()[-2:]
    done = _answers(out)
    assert kept.startswith(f"ended by an error: {_images(done)} kept in {out}; ")
    assert said.startswith("error: ")
    before_run(0, lambda: None)
    assert f"{out} in all: " in run(*arguments, "--resume").stderr
    assert _answers(out)[: len(done)] == done


def test_where_nothing_is_kept_the_error_is_all_that_is_said(
    arguments: tuple[object, ...], tmp_path: Path, before_run: Any
) -> None:
    def fail() -> None:
        raise MemoryError

    before_run(1, fail)
    assert "kept in" not in run(*arguments, code=5).stderr
    assert not (tmp_path / "r.jsonl").exists()


def test_a_bundle_that_is_replaced_is_used_to_the_end(
    arguments: tuple[object, ...], tmp_path: Path, before_run: Any
) -> None:
    out, bundle = tmp_path / "r.jsonl", tmp_path / "b"
    run(*arguments)
    whole = _answers(out)
    shipped = Bundle.load(bundle)

    def replace() -> None:
        with write_bundle(bundle, overwrite=True) as draft:
            for record in shipped.manifest.files:
                shutil.copyfile(shipped.path / record.name, draft.folder / record.name)
            _write_into(draft.folder / WEIGHTS)
            draft.finish(
                created_by="test",
                architecture=shipped.architecture,
                weights=shipped.weights,
                graphs=shipped.manifest.graphs,
            )

    before_run(3, replace)
    run(*arguments, "--overwrite")
    assert _answers(out) == whole
    assert Bundle.load(bundle).fingerprint() != shipped.fingerprint()
