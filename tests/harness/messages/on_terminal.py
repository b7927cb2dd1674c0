"""Runs commands on a pseudo-terminal, each in a child of a process that has loaded the libraries and started no thread.

    python -m tests.harness.messages.on_terminal FOLDER FIRST LAST

Prints one JSON line for each command: its number, its exit code, and what the terminal got, as Latin-1.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import shutil
import signal
import struct
import sys
import termios
import traceback
from fcntl import ioctl
from pathlib import Path

import cv2
import numpy as np

from tests.harness.messages.triggers import write_line

__all__ = ["COMMANDS", "FORBIDDEN", "HOSTILE"]

#: What a terminal obeys: a title, a bell, a cleared screen, colours in 7 and 8 bits, a step back, writing turned round.
HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x1b[31mb\x9b32mc\x08\u202ed\x1bce"
#: The bytes of it that nothing of our own ever writes; colours and moves of the cursor are ours as well.
FORBIDDEN = {
    "a title": b"\x1b]",
    "a bell": b"\x07",
    "a cleared screen": b"\x1b[2J",
    "a colour of 8 bits": b"\xc2\x9b",
    "a step back": b"\x08",
    "writing turned round": "\u202e".encode(),
    "a reset": b"\x1bc",
}
_FAST = ("--engine", "onnxruntime", "--threads", "1")
_VIEWS = ("--view-recipe", "none", "--resample", "fast")
_CLASSIFY = ("classify", "b.bundle", "h.safetensors")
_NAME = f"{HOSTILE}.jpg"
_SECONDS = 60
_BUG = 70

#: Every command that prints what comes from outside, with names and labels that are `HOSTILE`.
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("calibrate", "b.bundle", "set", "--out", "new.safetensors", *_VIEWS, *_FAST),
    ("calibrate", "b.bundle", "set", "--out", f"{HOSTILE}.safetensors", "--shots", "9", *_VIEWS, *_FAST),
    ("calibrate", "b.bundle", "set", "--out", "tuned.safetensors", "--tune", *_VIEWS, *_FAST),
    ("evaluate", "b.bundle", "set", "--shots", "1", "--draws", "1", "--no-keep", *_VIEWS, *_FAST),
    ("evaluate", "b.bundle", "set", "--shots", "9", "--no-keep", *_VIEWS, *_FAST),
    ("evaluate", "b.bundle", "set", "--query", HOSTILE, "--shots", "1"),
    ("evaluate", "--features", HOSTILE),
    (*_CLASSIFY, "hin", "--table", *_FAST),
    (*_CLASSIFY, "hin", *_FAST),
    (*_CLASSIFY, "hin", "--jsonl", *_FAST),
    (*_CLASSIFY, "hin", "--out", HOSTILE, "--csv", f"{HOSTILE}.csv", "--report", f"{HOSTILE}.html", *_FAST),
    (*_CLASSIFY, "hin", "--overlay", f"{HOSTILE}-pictures", "--out", "o.jsonl", *_FAST),
    (*_CLASSIFY, f"hin/{_NAME}#7", *_FAST),
    (*_CLASSIFY, "hin", HOSTILE, "bad.csv", "bad.json", "bad.xml", "bad.jsonl", *_FAST),
    (*_CLASSIFY, "yolo", *_FAST),
    (*_CLASSIFY, "hin", "--views", HOSTILE),
    (*_CLASSIFY, "hin", "--format", HOSTILE),
    (*_CLASSIFY, "hin", "--engine", HOSTILE),
    (*_CLASSIFY, "hin", "--precision", HOSTILE),
    (*_CLASSIFY, "hin", "--threads", HOSTILE),
    (*_CLASSIFY, "hin", f"--{HOSTILE}"),
    (*_CLASSIFY, "hin", "--config", "bad.toml"),
    (*_CLASSIFY, "hin", "--config", HOSTILE),
    ("classify", HOSTILE, "h.safetensors", "hin"),
    ("classify", "b.bundle", HOSTILE, "hin"),
    ("inspect", "h.safetensors"),
    ("inspect", "h.safetensors", "--json"),
    ("inspect", HOSTILE),
    ("inspect", "bad.bundle"),
    ("verify", "bad.bundle"),
    ("support", "list", "h.safetensors", "--check"),
    ("support", "list", "h.safetensors", "--json"),
    ("support", "history", "h.safetensors"),
    ("support", "rename", "h.safetensors", HOSTILE, f"{HOSTILE}x"),
    ("support", "rename", "h.safetensors", f"{HOSTILE}y", "x"),
    ("support", "remove", "h.safetensors", HOSTILE),
    ("support", "remove", "h.safetensors", f"{HOSTILE}/0.png#0", "--dry-run", "--force"),
    ("support", "remove", "h.safetensors", f"{HOSTILE}/0.png#0", "--force"),
    ("support", "merge", "h.safetensors", HOSTILE, "pit", "--into", HOSTILE),
    ("support", "add", "h.safetensors", "hin", "--bundle", "b.bundle", "--label", HOSTILE, *_FAST),
    ("support", "add", "h.safetensors", "hin", "--bundle", "b.bundle", "--label", f"{HOSTILE}z", *_FAST),
    ("support", "rollback", "h.safetensors", "--to", HOSTILE),
    ("report", "h.jsonl", "--out", f"{HOSTILE}.html"),
    ("report", "h.jsonl", "--images", HOSTILE),
    ("report", "bad.jsonl", "--cache", "h.safetensors", "--out", "a.html"),
    ("init", HOSTILE),
    ("init", f"{HOSTILE}/{HOSTILE}", "--examples"),
    ("export", HOSTILE, "--out", "e"),
    ("export", "pocket", "--out", HOSTILE),
    ("export", "bad.pth", "--out", "e"),
    ("build", "b.bundle", "--precision", HOSTILE),
    ("bench", HOSTILE),
    (HOSTILE,),
)


def write_hostile(folder: Path) -> None:
    """Adds sets, a cache, records and broken files with hostile names to what `write_line` made."""
    shutil.copytree("labelled/dent", f"set/{HOSTILE}")
    shutil.copytree("labelled/pit", "set/pit")
    _draw(Path("hin", _NAME))
    Path("hin", "odd\x1b]0;x\x07.jpg").write_bytes(b"no image")
    shutil.copy(f"hin/{HOSTILE}.png", "hin/odd\x1b]0;x\x07.png")
    _run("calibrate", "b.bundle", "set", "--out", "h.safetensors", *_VIEWS, *_FAST)
    Path("bad.csv").write_text(f"image,x1,y1,x2,y2,label\n{HOSTILE},1,2,3,4,{HOSTILE}\nhin/{_NAME},{HOSTILE},1,2,3,a\n")
    shapes = [{"label": HOSTILE, "points": [[1, 2]], "shape_type": HOSTILE}]
    Path("bad.json").write_text(json.dumps({"imagePath": f"hin/{_NAME}", "shapes": shapes, HOSTILE: 1}))
    Path("bad.xml").write_text(
        "<annotation><filename>\u202e.jpg</filename><object><name>\u202e</name></object></annotation>"
    )
    Path("bad.jsonl").write_text(json.dumps({"image": HOSTILE, "label": HOSTILE, "box": HOSTILE}) + "\n{\n")
    Path("yolo/labels").mkdir(parents=True)
    Path("yolo/images").mkdir()
    shutil.copy(f"hin/{_NAME}", f"yolo/images/{_NAME}")
    Path("yolo/labels", f"{HOSTILE}.txt").write_text(f"0 .5 .5 .2 .2\n{HOSTILE} .5 .5 .2 .2\n9 .5 .5 .2 .2\n")
    Path("yolo/classes.txt").write_text("\u202edent\n")
    Path("bad.toml").write_text('[classify]\n"\\u001b[2J\\u0007" = 3\n')
    Path("bad.pth").write_bytes(HOSTILE.encode())
    Path("bad.bundle").mkdir()
    Path("bad.bundle/manifest.json").write_text(json.dumps({"schema": HOSTILE, "digest": HOSTILE}))
    Path("bad.bundle", HOSTILE).write_text("")
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    changed = [line | {"image": _NAME, "label": HOSTILE, "source": HOSTILE} for line in lines]
    Path("h.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))


def _draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((48, 64, 3), 90, np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:26, 8:24] = 255
    image[mask > 0] = 200
    path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    path.with_suffix(".png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def _run(*words: str) -> None:
    got, code = on_terminal(words)
    if code:
        raise RuntimeError(f"{words[0]} ended with {code}: {got!r}")


def on_terminal(words: tuple[str, ...]) -> tuple[bytes, int]:
    """Runs a command in a child on a terminal of 100 columns; returns what the terminal got, and the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        signal.alarm(_SECONDS)
        _become(words)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    got, status = b"", None
    while status is None:
        # Asked before the last look: what was written before the end is still to be read.
        ended, code = os.waitpid(child, os.WNOHANG)
        status = code if ended else None
        # Linux says by an error that nobody has the other side open any more.
        with contextlib.suppress(OSError):
            while select.select([terminal], [], [], 0.05)[0] and (piece := os.read(terminal, 65536)):
                got += piece
    os.close(terminal)
    return got, os.waitstatus_to_exitcode(status)


def _become(words: tuple[str, ...]) -> None:
    code = _BUG
    try:
        from mvrec_edge.cli.main import main

        # Those of the parent may stand for files, and believe that they can be told where to begin.
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
        sys.argv = ["mvrec-edge", *words]
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


def _all(folder: Path, first: int, last: int) -> None:
    # Loaded once for all children.
    import onnxruntime  # noqa: F401

    import mvrec_edge.calib
    import mvrec_edge.cli.main
    import mvrec_edge.runtime  # noqa: F401

    cv2.setNumThreads(1)
    template = folder / "template"
    template.mkdir()
    os.chdir(template)
    write_line(template, _run)
    write_hostile(template)
    for number in range(first, last):
        place = folder / str(number)
        shutil.copytree(template, place, symlinks=True)
        os.chdir(place)
        got, code = on_terminal(COMMANDS[number])
        os.chdir(folder)
        shutil.rmtree(place)
        sys.__stdout__.write(json.dumps([number, code, got.decode("latin-1")]) + "\n")


if __name__ == "__main__":
    _all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
