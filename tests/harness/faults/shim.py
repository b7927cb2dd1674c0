"""The shim built, and a process under it that runs commands of mvrec-edge, each in a child that fails where it is told.

python -m tests.harness.faults.shim     answers one request a line, under LD_PRELOAD
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.cli.main import _COMMANDS
from mvrec_edge.runtime.engines import engine_registry
from mvrec_edge.runtime.errors import MvrecEdgeError

__all__ = ["Ended", "Runner", "Upset", "compiler", "runner"]

#: What happens at a call, as in `shim.c`.
FAIL_ONCE, FAIL_EVER, KILL_BEFORE, KILL_AFTER, KILL_HALF, SHORT = range(1, 7)

_REPOSITORY = Path(__file__).resolve().parents[3]
_SOURCE = Path(__file__).with_name("shim.c")
#: Seconds after which a command counts as one that hangs.
_LONGEST = 60
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Upset:
    """What happens to a command, at which of the calls that change the watched folder.

    Attributes:
        number: The call, from 1; 0 for none.
        how: What happens there, as in `shim.c`.
        error: The error that it fails with.
        after_ms: Milliseconds after which the process is killed; None for never.
    """

    number: int = 0
    how: int = 0
    error: int = 0
    after_ms: float | None = None


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; negative the signal that ended it.
        calls: How many calls changed the watched folder; 0 where it was killed.
        stdout: What it printed.
        stderr: What it said.
        seconds: How long it ran.
    """

    code: int
    calls: int
    stdout: str
    stderr: str
    seconds: float


class Runner:
    """Runs commands in children of one process, which has loaded the libraries.

    Args:
        process: The process, which answers on its stdout.
        files: An empty folder that nobody watches.
    """

    def __init__(self, process: subprocess.Popen[str], files: Path) -> None:
        self._process = process
        self._files = files

    def run(
        self, arguments: Sequence[object], folder: Path, upset: Upset = Upset(), *, log: Path | None = None
    ) -> Ended:
        """Runs one command.

        Args:
            arguments: The words of the command line after the program's name.
            folder: Where it runs; calls below the folder above count.
            upset: What happens to it.
            log: Where its calls are noted.
        """
        request = {
            "arguments": list(map(str, arguments)),
            "folder": str(folder),
            "upset": [upset.number, upset.how, upset.error],
            "after_ms": upset.after_ms,
            "log": None if log is None else str(log),
            "files": str(self._files),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = ((self._files / name).read_text("utf-8", "replace") for name in ("stdout", "stderr"))
        return Ended(answer["code"], answer["calls"], out, err, answer["seconds"])


def compiler() -> str | None:
    """A C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


@contextlib.contextmanager
def runner(*, under_shim: bool = True) -> Iterator[Runner]:
    """Starts the process, under the shim or without it, where nothing but the time of a kill can be chosen."""
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "COLUMNS": "200", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        if under_shim:
            library = Path(folder, "shim.so")
            built = compiler()
            assert built is not None
            subprocess.run([built, "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
            environment["LD_PRELOAD"] = str(library)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.faults.shim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
            env=environment,
            text=True,
        )
        try:
            yield Runner(process, Path(folder))
        finally:
            process.kill()
            process.communicate()


def _serve() -> None:
    """Answers requests; the libraries are loaded once, and a child does each command."""
    os.environ.pop("LD_PRELOAD", None)
    import cv2

    from mvrec_edge.cli.main import main
    from mvrec_edge.testing import FakeEngine

    cv2.setNumThreads(1)
    # The testing engine: what is tried here is what is written, and a session would take most of the time.
    engine_registry._OPENERS["onnxruntime"] = lambda request: FakeEngine(
        image_size=request.bundle.architecture.image_size, fingerprint=request.bundle.fingerprint("fp32")
    )
    _load_everything(main)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(_child(request, main))
        code = _waited(child, request["after_ms"])
        calls = Path(request["files"], "calls")
        known = int(calls.read_text()) if calls.exists() else 0
        calls.unlink(missing_ok=True)
        answer = {"code": code, "calls": known, "seconds": time.monotonic() - begin}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _load_everything(main: Any) -> None:
    """Loads in this process what else each child would load anew."""
    names = [*_modules(), "safetensors.numpy", "multiprocessing.pool"]
    for name in [*names, "matplotlib.backends.backend_agg", "rich.progress", "rich.table"]:
        with contextlib.suppress(ImportError, MvrecEdgeError):
            importlib.import_module(name)
    for words in (("support", "add"), *((name,) for name in _COMMANDS)):
        sys.argv = ["mvrec-edge", *words, "--help"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main()


def _modules() -> list[str]:
    """The light modules of the package and those of its commands."""
    folders = {name: _REPOSITORY / name for name in ("runtime", "calib", "pocket", "testing", "cli")}
    return [
        ".".join(("mvrec_edge", name, *file.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        for name, folder in folders.items()
        for file in sorted(folder.rglob("*.py"))
        if file.stem != "__main__"
    ]


def _waited(child: int, after_ms: float | None) -> int:
    """Waits for a child, and kills it when its time is up."""
    limit = _LONGEST if after_ms is None else after_ms / 1000
    handle = os.pidfd_open(child)
    import select

    if not select.select([handle], [], [], limit)[0]:
        os.kill(child, signal.SIGKILL if after_ms is not None else signal.SIGALRM)
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child(request: dict[str, Any], main: Any) -> int:
    files, folder = Path(request["files"]), Path(request["folder"])
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(files / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    sys.stdin.close()
    os.environ["MVREC_EDGE_CACHE"] = str(folder / "cache")
    sys.argv = ["mvrec-edge", *request["arguments"]]
    libc = ctypes.CDLL(None)
    armed = hasattr(libc, "shim_arm")
    if armed:
        log = -1
        if request["log"] is not None:
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        number, how, error = request["upset"]
        libc.shim_arm(os.fsencode(folder.parent), ctypes.c_long(number), how, error, log)
    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    if armed:
        libc.shim_disarm()
        libc.shim_count.restype = ctypes.c_long
        (files / "calls").write_text(str(libc.shim_count()))
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    _serve()
