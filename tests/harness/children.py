"""A trial in a forked child, which may die or hang without taking the campaign along."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["in_a_child"]


def in_a_child(work: Callable[[], Any], seconds: float = 30.0) -> tuple[Any, str | None]:
    """Does something in a forked child.

    Args:
        work: What is done; returns plain JSON types.
        seconds: How long it may take.

    Returns:
        What it returned, and None; or None, and how the child ended, in words.
    """
    out, into = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(out)
            answer = json.dumps(work()).encode()
            while answer:
                answer = answer[os.write(into, answer) :]
            code = 0
        except BaseException:
            os.write(into, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(code)
    os.close(into)
    hangs = True
    try:
        said, hangs = _read(out, seconds)
    finally:
        os.close(out)
        if hangs:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if hangs:
        return None, f"hangs for {seconds:.0f} s"
    if os.WIFSIGNALED(status):
        return None, f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if os.WEXITSTATUS(status):
        return None, "raised " + " ".join(said.decode(errors="replace").split())[-600:]
    return json.loads(said), None


def _read(handle: int, seconds: float) -> tuple[bytes, bool]:
    said = b""
    while select.select([handle], [], [], seconds)[0]:
        chunk = os.read(handle, 1 << 16)
        if not chunk:
            return said, False
        said += chunk
    return said, True
