"""`mvrec-edge bench` as a user types it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.speeds import SpeedKey, read_speeds
from tests.e2e.commands import MVREC_EDGE
from tests.e2e.commands import run as run_command

QUICK = ("--batch", "1,2", "--seconds", "0.01", "--rounds", "1", "--repeats", "1", "--warm-up", "1", "--starts", "1")


def run(cache: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    with pytest.MonkeyPatch.context() as own:
        own.setenv("MVREC_EDGE_CACHE", str(cache))
        own.setenv("CXX", "no-such-compiler")
        return run_command("bench", *arguments, code=code, columns=220)


def test_measures_writes_and_keeps(tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in ("bench.json", "bench.md", "bench.html")]
    options = [text for pair in zip(("--json", "--markdown", "--plot"), files, strict=True) for text in pair]
    result = run(tmp_path / "cache", tiny_bundle_path, *QUICK, "--engine", "onnxruntime/fp32", "--threads", 1, *options)
    record = json.loads(files[0].read_text())
    assert [row["candidate"] for row in record["candidates"]] == [
        "torch:eager/fp32",
        "torch:autocast/bf16",
        "onnxruntime/fp32",
    ]
    assert record["reference"] == "torch:eager/fp32"
    assert all(row["worst_cosine"] > 0.999 for row in record["candidates"])
    assert all([cell["batch"] for cell in row["cells"]] == [1, 2] for row in record["candidates"])
    assert {row["dtype"] for row in record["ceilings"]["rows"]} == {"fp32", "bf16"}
    assert "torch:compile/fp32" in result.stdout
    assert "C++ compiler" in result.stdout
    assert "onnxruntime/fp32" in files[1].read_text()
    assert "<svg" in files[2].read_text()
    bundle = Bundle.load(tiny_bundle_path)
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "cache"))
    key = SpeedKey(bundle.fingerprint(), "onnxruntime", "", 1)
    assert read_speeds([key])[key] > 0
    again = run(tmp_path / "cache", tiny_bundle_path, *QUICK, "--json", files[0], code=6)
    assert "exists already" in again.stderr


def test_what_was_asked_for_and_does_not_open_fails_and_the_rest_is_measured(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    engines = "onnxruntime/fp32,onnxruntime:nowhere/fp16"
    result = run(tmp_path, tiny_bundle_path, *QUICK, "--no-torch", "--no-keep", "--engine", engines, code=1)
    assert "not to the end: onnxruntime:nowhere/fp16" in result.stderr
    assert "Latency and throughput" in result.stdout
    assert not (tmp_path / "speeds.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--engine", "abacus"), 2, "no engine 'abacus'"),
        (("--batch", "nine"), 2, "whole numbers"),
        (("--batch", "0"), 2, "1 to 4096"),
        (("--plot", "bench.gif"), 2, ".png or .html"),
        (("--json", "no/such/folder.json"), 6, "folder does not exist"),
        (("--checkpoint", "weights.pth"), 2, "weights of the bundle are random"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(
    tiny_bundle_path: Path, tmp_path: Path, arguments: tuple[str, str], code: int, message: str
) -> None:
    assert message in run(tmp_path, tiny_bundle_path, *arguments, code=code).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_leaves_no_worker(tiny_bundle_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [MVREC_EDGE, "bench", str(tiny_bundle_path), "--no-torch", "--no-keep", "--starts", "100"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell ignores SIGINT in what it starts in the background, and so would everything below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    workers: set[int] = set()
    tasks = Path(f"/proc/{process.pid}/task")
    try:
        while not workers:
            assert process.poll() is None
            workers = {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "bug in mvrec-edge" not in messages
    # One that was only just being started ends by itself, since its input is closed.
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            ended, _, _ = select.select([handle], [], [], 60)
            os.close(handle)
            assert ended
