"""How the command line ends."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.cli import main
from mvrec_edge.cli.console import say
from mvrec_edge.cli.standard_streams import give_up_what_stderr_does_not_take
from mvrec_edge.runtime.errors import MvrecEdgeError

MVREC_EDGE = Path(sys.executable).with_name("mvrec-edge")


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"], ["settings"], ["settings", "--markdown"]])
def test_a_reader_that_has_gone_ends_a_command_quietly(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([MVREC_EDGE, *words], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["no\x1b[31m"], "No such command 'no\\x1b[31m'."),
        (["init", "--no\u202e"], "No such option: --no\\u202e"),
        (["init", "a", "\x9bb"], "\\x9bb"),
        (["inspect", "a\x85b\udcff"], "error: a b\\xff: "),
    ],
)
def test_errors_of_usage_are_escaped(
    words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["mvrec-edge", *words])
    monkeypatch.setattr(sys.modules["warnings"], "showwarning", None)
    try:
        with pytest.raises(SystemExit):
            main.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().err
    assert shown in said
    assert "\x1b" not in said


def test_a_library_that_wraps_the_end_of_the_process_does_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def traced(**_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit as error:
            raise RuntimeError("tracing failed") from error

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(main, "app", traced)
    monkeypatch.setattr(main._Settings, "told_to_end", False)
    monkeypatch.setattr(sys.modules["warnings"], "showwarning", None)
    try:
        with pytest.raises(SystemExit) as ended:
            main.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143


def test_what_cannot_be_printed_is_said_of_stdout() -> None:
    assert main._explain(OSError(errno.ENOSPC, "No space left on device")) == (
        "stdout: cannot be written: No space left on device",
        6,
    )
    assert main._explain(OSError(errno.ENOSPC, "No space left on device", "r.jsonl"))[0].startswith("r.jsonl: ")
    assert main._explain(OSError("odd")) == ("odd", 6)


@pytest.mark.parametrize(
    ("words", "redirection", "code", "said"),
    [
        ("settings", ">&-", 6, "error: stdout: cannot be written: Bad file descriptor\n"),
        ("settings", ">/dev/full", 6, "error: stdout: cannot be written: No space left on device\n"),
        ("inspect nothing", ">&- 2>&- <&-", 3, ""),
        ("inspect nothing", "2>/dev/full", 3, ""),
        ("init --none", "2>/dev/full", 2, ""),
        ("settings", ">/dev/full 2>/dev/full", 6, ""),
    ],
)
def test_streams_that_are_closed_or_full_end_in_a_code_of_the_list(
    words: str, redirection: str, code: int, said: str
) -> None:
    line = f"{shlex.quote(str(MVREC_EDGE))} {words} {redirection}"
    ended = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    line = f"{shlex.quote(str(MVREC_EDGE))} init {shlex.quote(str(tmp_path / 'line'))} >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False).returncode in (0, 6)
    assert (tmp_path / "line").is_dir()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object: cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[E:onnxruntime] Failed to allocate memory for requested buffer of size 12"),
    ],
)
def test_want_of_memory_is_told_as_what_it_is(error: Exception) -> None:
    line, code = main._explain(error)
    assert (line.partition(" (")[0], code) == ("there is not enough memory", 5)


def test_a_library_that_did_not_load_for_want_of_memory_is_told_so_whatever_was_made_of_it() -> None:
    error = MvrecEdgeError("the library 'x' does not load", fix="pip install x")
    error.__cause__ = ImportError("libx.so: failed to map segment from shared object")
    assert main._explain(error)[1] == 5
    error.__cause__ = ImportError("libx.so: failed to map segment from shared object: Operation not permitted")
    assert main._explain(error) == (str(error), 70)


def test_libraries_that_do_not_fit_into_memory_are_told_in_one_line(tmp_path: Path) -> None:
    most = 220_000 << 10
    ended = subprocess.run(
        [MVREC_EDGE, "inspect", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (5, 1)
    assert ended.stderr.startswith("error: there is not enough memory (close other programs")


@pytest.mark.parametrize("hung_up", ["full", "unread"])
def test_a_stderr_that_takes_nothing_ends_nothing(hung_up: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, unread = os.pipe()
    os.close(reading)
    if hung_up == "full":
        os.close(unread)
        unread = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(unread, "w", encoding="ascii", errors="backslashreplace") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "__stderr__", stream)
        give_up_what_stderr_does_not_take()
        for _ in range(3):
            say("\xe9" * 10_000)
        assert (sys.stderr.fileno(), sys.stderr.encoding, sys.stderr.isatty()) == (unread, "ascii", False)
        assert sys.stderr.errors == "backslashreplace"


def test_a_stderr_of_the_caller_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    own = io.StringIO()
    monkeypatch.setattr(sys, "stderr", own)
    give_up_what_stderr_does_not_take()
    assert sys.stderr is own


def test_a_cache_that_does_not_fit_into_memory_is_told_in_one_line(tmp_path: Path) -> None:
    header = json.dumps({"embeddings": {"dtype": "F16", "shape": [1 << 31], "data_offsets": [0, 1 << 32]}}).encode()
    cache = tmp_path / "a.safetensors"
    with cache.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + (1 << 32))  # sparse: takes no space
    most = 3 << 30
    ended = subprocess.run(
        [MVREC_EDGE, "inspect", cache],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    )
    assert ended.returncode == 5
    assert ended.stderr.startswith("error: there is not enough memory (close other programs")
    assert ended.stderr.count("\n") == 1
