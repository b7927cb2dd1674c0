"""Files of the program's own that are not what they seem, given to the commands as a user would."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mvrec_edge.pocket.finished import POCKET_BUNDLE
from mvrec_edge.runtime.files.json_documents import signed_json
from tests.e2e.commands import error_line, run
from tests.harness.parsers.own_seeds import cache, result_records


def _words(place: Path, file: Path) -> dict[str, list[object]]:
    """Commands that read a file of the program's own; `file` is in its place."""
    whole = place / "whole.safetensors"
    return {
        "inspect": ["inspect", file],
        "bundle": ["verify", file],
        "cache": ["classify", POCKET_BUNDLE, file, place],
        "cache of a report": ["report", place / "results.jsonl", "--cache", file, "--out", place / "r.html"],
        "cache to rebase": ["calibrate", POCKET_BUNDLE, place, "--rebase", file, "--out", place / "new"],
        "list": ["support", "list", file],
        "history": ["support", "history", file],
        "rollback": ["support", "rollback", file],
        "merge": ["support", "merge", whole, file],
        "rename": ["support", "rename", file, "a", "b"],
        "add": ["support", "add", file, place / "a.png", "--bundle", POCKET_BUNDLE, "--label", "a"],
        "features": ["evaluate", "--features", file],
        "config": ["inspect", "--config", file, whole],
        "results": ["report", file, "--cache", whole, "--out", place / "r.html"],
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a support cache and a results file that are whole."""
    folder = tmp_path_factory.mktemp("own")
    cache().save(folder / "whole.safetensors")
    (folder / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in result_records()))
    return folder


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _link_to_a_device])
@pytest.mark.parametrize("use", _words(Path(), Path()))
def test_a_pipe_a_folder_or_a_device_ends_in_one_line(
    place: Path, tmp_path: Path, use: str, make: Callable[[Path], object]
) -> None:
    file = tmp_path / "file"
    make(file)
    assert "error: " in run(*_words(place, file)[use], code=3).stderr


def _manifest(**changes: object) -> bytes:
    payload = json.loads((POCKET_BUNDLE / "manifest.json").read_bytes())
    return signed_json(payload | changes)


@pytest.mark.parametrize(
    "manifest",
    [
        _manifest()[:-100],
        b"[" * 1_000_000,
        _manifest(more=json.loads("[" * 200 + "]" * 200)),
        _manifest().replace(b'"seed": null', b'"seed": NaN'),
        _manifest(architecture={"image_size": 10**400}),
        _manifest(files=[{"name": "\ud800", "size": 1, "sha256": ""}]),
        _manifest(graphs={}),
        signed_json({"schema": "mvrec-edge/bundle/2", "weights": 10**300}),
        b'{"schema":"mvrec-edge/bundle/2","digest":"","x":1e999}',
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    shutil.copytree(POCKET_BUNDLE, tmp_path / "b", copy_function=os.link)
    (tmp_path / "b" / "manifest.json").unlink()
    (tmp_path / "b" / "manifest.json").write_bytes(manifest)
    assert " (" in error_line(run("inspect", tmp_path / "b", code=4))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--head", "zip", "--beta", "1e300"], "beta must be from 1e-06 to 1e+06, not 1e+300"),
        (["--head", "zip", "--beta", "nan"], "beta must be a finite number"),
        (["--shots", 1 << 21], "at most 1048576 shots can be drawn of each class"),
        (["--seed", 10**30], "a seed is at most 9223372036854775808"),
        (["--triplet", "inf"], "'triplet' of fine-tuning must be a finite number"),
    ],
)
def test_calibrate_refuses_at_once_what_no_cache_holds(tmp_path: Path, options: list[object], said: str) -> None:
    ended = run("calibrate", POCKET_BUNDLE, tmp_path, "--out", tmp_path / "c", *options, code=2)
    assert said in error_line(ended)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _link_to_a_device])
def test_calibrate_refuses_at_once_to_write_over_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "a")
    ended = run("calibrate", POCKET_BUNDLE, tmp_path, "--out", tmp_path / "a", "--overwrite", code=6)
    assert "is no file, so it is not replaced" in error_line(ended)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three defects of two classes each."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("own") / "parts"
    write_dataset(folder, families=("scratch", "stain"), per_class=3, size=(64, 64), seed=0)
    return folder


_QUICK = ("--view-recipe", "none", "--engine", "onnxruntime", "--threads", 1)


def test_calibrate_says_that_there_are_fewer_than_it_was_asked_for(parts: Path, tmp_path: Path) -> None:
    words = ["calibrate", POCKET_BUNDLE, parts, "--shots", 100, "--out", tmp_path / "a", *_QUICK]
    assert run(*words).stderr.count("has fewer than 100 instances; all of them are used") == 2


def test_a_stored_embedding_that_is_damaged_is_encoded_again(parts: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = ["evaluate", POCKET_BUNDLE, parts, "--shots", 1, "--draws", 1, "--store", store, *_QUICK]
    before = run(*words).stdout
    entries = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert len(entries) == 6
    for place, (entry, data) in enumerate(entries.items()):
        entry.unlink()
        if place == 0:
            os.mkfifo(entry)
        else:
            changed = bytearray(data)
            changed[place * 137 % len(data)] ^= 1 << place
            entry.write_bytes(changed)
    assert run(*words).stdout == before
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == entries
