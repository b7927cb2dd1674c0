"""A support cache changed on the line: add, remove, rename, merge, back again, and a running classify that follows."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import MVREC_EDGE, run


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("line") / "parts"
    write_dataset(folder, families=("scratch", "stain", "pit"), per_class=4, size=(240, 320), seed=0)
    return folder


@pytest.fixture(scope="module")
def made(parts: Path, tiny_bundle_path: Path) -> Path:
    out = parts.parent / "made.safetensors"
    run(
        "calibrate",
        tiny_bundle_path,
        parts,
        "--shots",
        3,
        "--out",
        out,
        "--engine",
        "onnxruntime",
        "--resample",
        "fast",
    )
    return out


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "line.safetensors"
    path.write_bytes(made.read_bytes())
    return path


def test_add_list_remove_and_back(line: Path, parts: Path, tiny_bundle_path: Path) -> None:
    first = line.read_bytes()
    before = SupportCache.load(line)
    image = parts / "pit" / "Imgs" / "0004.jpg"
    options = ("--bundle", tiny_bundle_path, "--engine", "onnxruntime")
    result = run("support", "add", line, image, *options, "--label", "rust", "--force", "--json")
    assert "added 1 instance of 'rust'" in result.stderr
    assert "the class 'rust' is new" in result.stderr
    assert "before: line.safetensors.1" in result.stderr
    record = json.loads(result.stdout)
    assert (record["written"], record["kept_as"], record["instances"]) == (True, 1, 10)
    after = SupportCache.load(line)
    assert after.class_names == (*before.class_names, "rust")
    np.testing.assert_array_equal(after.embeddings[:9], before.embeddings)
    assert line.with_name("line.safetensors.1").read_bytes() == first

    listed = json.loads(run("support", "list", line, "--json", "--check").stdout)
    assert listed[9] == {"instance": 9, "class": "rust", "source": "0004.png#0", "read_as": None}
    assert "0004.png" in run("support", "list", line).stdout

    run("support", "remove", line, "0004.png#0", code=3)
    assert "the class 'rust' is gone" in run("support", "remove", line, "0004.png#0", "--force").stderr
    np.testing.assert_array_equal(SupportCache.load(line).embeddings, before.embeddings)

    versions = [row["version"] for row in json.loads(run("support", "history", line, "--json").stdout)]
    assert versions == ["1", "2", "present"]
    assert "10 instances" in run("support", "rollback", line).stderr
    back = run("support", "rollback", line, "--to", 1).stderr
    assert "version 1 again: 9 instances" in back
    assert "the version before is kept as line.safetensors.4, and another rollback goes back to it" in back
    assert line.read_bytes() == first
    assert "(versions: 3, 4)" in run("support", "rollback", line, "--to", 1, code=3).stderr
    run("support", "rollback", line)
    assert len(SupportCache.load(line).labels) == 10


def test_a_labelled_set_is_added_and_what_is_there_is_left_out(line: Path, parts: Path, tiny_bundle_path: Path) -> None:
    """Nine of the twelve are there: by image and name before they are encoded, and byte for byte afterwards."""
    options = ("--bundle", tiny_bundle_path, "--engine", "onnxruntime", "--force")
    result = run("support", "add", line, parts, *options, "--dry-run")
    assert "left out 9 defects whose image, source and class" in result.stderr
    assert "added 1 instance of 'pit', 1 of 'scratch', 1 of 'stain'" in result.stderr
    assert not line.with_name("line.safetensors.1").exists()
    result = run("support", "add", line, parts, *options, "--again")
    assert "is the same as instance" in result.stderr
    assert SupportCache.load(line).counts == {"pit": 4, "scratch": 4, "stain": 4}
    assert "nothing to add: all 12 defects" in run("support", "add", line, parts, *options).stderr
    assert "in the cache already" in run("support", "add", line, parts, *options, "--again", code=3).stderr


def test_two_changes_at_once_are_both_there(line: Path) -> None:
    processes = [
        subprocess.Popen([MVREC_EDGE, "support", "rename", line, name, f"new {name}"], stderr=subprocess.PIPE)
        for name in ("pit", "scratch", "stain")
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert SupportCache.load(line).class_names == ("new pit", "new scratch", "new stain")
    assert sorted(path.name for path in line.parent.glob("line.*")) == ["line.safetensors"] + [
        f"line.safetensors.{number}" for number in (1, 2, 3)
    ]


def test_a_regression_is_shown_and_refused_unless_forced(line: Path, tmp_path: Path) -> None:
    """A class four times over under another class's name, each copy nearer to its own than the others of its class."""
    cache = SupportCache.load(line)
    rng = np.random.default_rng(0)
    centres = 4 * rng.standard_normal((3, 1, cache.embeddings.shape[2]))
    # The instances of a class differ as wholes, so that a copy is nearer than they are to one another.
    rows = centres[cache.labels] + 2 * rng.standard_normal((len(cache.labels), 1, cache.embeddings.shape[2]))
    rows = rows + 0.2 * rng.standard_normal(cache.embeddings.shape)
    cache.changed(embeddings=rows.astype(np.float32)).save(line)
    bytes_before = line.read_bytes()
    wrong = cache.labels == 0
    swapped = np.tile(rows[wrong], (4, 1, 1))
    swapped += 0.01 * rng.standard_normal(swapped.shape)
    other = tmp_path / "other.safetensors"
    cache.changed(
        embeddings=np.concatenate([swapped, rows[cache.labels == 2] + 0.01]).astype(np.float32),
        labels=np.repeat([1, 0], [12, 3]),
        class_names=[cache.class_names[2], cache.class_names[1]],
        sources=[f"wrong{n}" for n in range(15)],
        images=(),
        thumbnails=(),
        novelty=None,
    ).save(other)

    result = run("support", "merge", line, other, "--json", code=7)
    record = json.loads(result.stdout)
    assert record["regression"]
    assert not record["written"]
    assert {reading["instance"] for reading in record["newly_misread"]} == {0, 1, 2}
    assert {reading["read_as"] for reading in record["newly_misread"]} == {cache.class_names[1]}
    assert f"now misread: 0 {cache.sources[0]}" in result.stderr
    assert "give --force" in result.stderr
    assert line.read_bytes() == bytes_before
    run("support", "merge", line, other, "--dry-run", code=7)
    run("support", "merge", line, other, "--dry-run", "--force")
    assert line.read_bytes() == bytes_before
    run("support", "merge", line, other, "--force")
    assert len(SupportCache.load(line).labels) == 24
    run("support", "rollback", line)
    assert line.read_bytes() == bytes_before


def test_classes_are_renamed_and_merged(line: Path) -> None:
    first = line.read_bytes()
    assert "no earlier version" in run("support", "rollback", line, code=3).stderr
    run("support", "rename", line, "stain", "oil")
    assert SupportCache.load(line).class_names == ("pit", "scratch", "oil")
    assert "support merge" in run("support", "rename", line, "oil", "pit", code=3).stderr
    assert "one class" in run("support", "merge", line, "pit", "oil", "--into", "hole", "--force").stderr
    assert SupportCache.load(line).counts == {"hole": 6, "scratch": 3}
    run("support", "rollback", line, "--to", 1)
    assert line.read_bytes() == first
    run("support", "rename", line, "oil", "pit", code=3)
    run("support", "list", line.with_name("none"), code=3)


def test_calibrating_again_keeps_the_version_before(line: Path, parts: Path, tiny_bundle_path: Path) -> None:
    first = line.read_bytes()
    options = ("--resample", "fast", "--engine", "onnxruntime", "--shots", 2)
    result = run("calibrate", tiny_bundle_path, parts, *options, "--out", line, "--overwrite")
    assert "before: line.safetensors.1" in result.stderr
    run("support", "rollback", line)
    assert line.read_bytes() == first


def test_a_running_classify_takes_the_change_up(
    line: Path, parts: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """It cannot get far ahead: what it writes fills the pipe, which is read only after the change."""
    process = subprocess.Popen(
        [MVREC_EDGE, "classify", tiny_bundle_path, line, *sorted(parts.glob("*/Imgs/*.jpg")) * 5, "--engine"]
        + ["onnxruntime", "--batch", "9", "--jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
    reader.start()
    lines = [process.stdout.readline()]
    run("support", "rename", line, "stain", "oil")
    process.send_signal(signal.SIGHUP)
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == 0
    reader.join()
    process.stderr.close()
    assert "the support cache was loaded again: 9 instances\n" in errors
    classes = [tuple(json.loads(text)["probabilities"]) for text in lines]
    assert len(classes) == 60
    first = classes.index(("pit", "scratch", "oil"))
    assert first > 0
    assert classes == [("pit", "scratch", "stain")] * first + [("pit", "scratch", "oil")] * (60 - first)


def test_a_hangup_before_the_first_image_does_not_end_it(line: Path, parts: Path, tiny_bundle_path: Path) -> None:
    process = subprocess.Popen(
        [MVREC_EDGE, "classify", tiny_bundle_path, line, parts, "--engine", "onnxruntime", "--jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    # Said when the engine is open, before any image.
    first = process.stderr.readline()
    process.send_signal(signal.SIGHUP)
    out, errors = process.communicate()
    assert process.returncode == 0, first + errors
    assert len(out.splitlines()) == 12
