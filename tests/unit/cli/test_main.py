"""How the command line ends."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from mvrec_edge.cli import main


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
