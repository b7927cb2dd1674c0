"""A child that answers, one that talks, one that breaks, one that hangs, and one whose parent is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from mvrec_edge.runtime.processes.child_process import ChildProcess, signal_name

_ECHO = """
import json, os, sys
from mvrec_edge.runtime.processes.child_process import answer_stream, send_answer
answers = answer_stream()
print("a library prints")
for line in sys.stdin:
    send_answer(answers, {"got": json.loads(line), "thread": os.environ.get("A_VARIABLE"), "folder": os.getcwd()})
"""


def child(code: str, **options: Any) -> ChildProcess:
    return ChildProcess(["-c", code], **options)


def test_requests_are_answered_in_turn() -> None:
    with child(_ECHO, environment={"A_VARIABLE": "3"}, folder="/") as process:
        for number in range(3):
            process.send({"number": number})
            assert process.receive(60) == {"got": {"number": number}, "thread": "3", "folder": "/"}
        assert "a library prints" in process.said(100)


def test_lines_that_are_no_objects_are_passed_over() -> None:
    code = "print('{no json'); print('[1]'); print('{}'); print('[' * 100_000); print('{\"a\": 1}'); print('{\"b\"')"
    with child(code) as process:
        assert list(process.messages(60)) == [{}, {"a": 1}]
        assert process.wait() == 0
        assert not process.timed_out


def test_how_it_ended_and_its_last_words() -> None:
    with child("import sys; sys.stderr.write('x' * 1000 + 'last words'); sys.exit(3)") as process:
        process.send({"to": "nobody"})
        assert process.receive(60) is None
        assert process.wait(60) == 3
        assert process.said(10) == "last words"
        assert len(process.said(5000)) == 1010


@pytest.mark.parametrize("call", [lambda process: process.receive(0.0), lambda process: process.wait(0.0)])
def test_one_that_hangs_is_killed_with_what_it_started(call: Any) -> None:
    code = """
import subprocess, sys, time
print('{"pid": %d}' % subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""
    with child(code) as process:
        started = process.receive(60)
        assert started is not None
        call(process)
        assert process.timed_out
        assert process.wait() == -signal.SIGKILL
        # Its output was the grandchild's as well: that it ends says that both are gone.
        assert process.receive() is None


def test_a_block_that_fails_ends_the_child() -> None:
    with pytest.raises(KeyboardInterrupt), child("import sys; sys.stdin.read()") as process:
        raise KeyboardInterrupt
    assert process._process.returncode is not None


def test_no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(OSError, match="No such file"):
        child("")


def test_a_child_ends_with_its_parent() -> None:
    code = """
import sys, time
from mvrec_edge.runtime.processes.child_process import end_with_parent
sys.stdin.readline()
end_with_parent()
print("reading", flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("request\n")
    process.stdin.flush()
    assert process.stdout.readline() == "reading\n"
    process.stdin.close()
    assert process.wait(60) == 1
    process.stdout.close()


def test_signals_have_names() -> None:
    assert [signal_name(code) for code in (0, 3, -9, -200)] == [None, None, "SIGKILL", "signal 200"]
