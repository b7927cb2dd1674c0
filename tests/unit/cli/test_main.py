"""How the command line ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.cli import main

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
    def traced() -> None:
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
