"""How much of the package does `mvrec-edge classify` of one image load?

The command runs as it is in a process of its own, and afterwards the package's modules are counted there, with the
lines of their files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _machine import write_result

_CLASSIFY = """
import atexit, json, sys
from pathlib import Path

counted = Path(sys.argv.pop())

def count():
    found = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "mvrec_edge"}
    lines = {name: len(Path(file).read_text().splitlines()) for name, file in found.items() if file}
    counted.write_text(json.dumps(lines))

atexit.register(count)
from mvrec_edge.cli.main import main
main()
"""


def main() -> None:
    """Counts, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("image", type=Path, help="an image with its mask beside it")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "loaded.json")
    arguments = parser.parse_args()
    lines = _lines_by_module(
        ["classify", str(arguments.bundle), str(arguments.cache), str(arguments.image), "--engine", arguments.engine]
    )
    rooms: dict[str, dict[str, int]] = {}
    for name, count in lines.items():
        # The rooms of the runtime each, and every other part as a whole.
        pieces = name.split(".")
        room = rooms.setdefault(
            "/".join(pieces[1 : 3 if pieces[1:2] == ["runtime"] else 2]), {"modules": 0, "lines": 0}
        )
        room["modules"] += 1
        room["lines"] += count
    figures = {
        "engine": arguments.engine,
        "modules": len(lines),
        "lines": sum(lines.values()),
        "rooms": dict(sorted(rooms.items())),
        "longest": dict(sorted(lines.items(), key=lambda item: -item[1])[:10]),
    }
    print(json.dumps(figures, indent=2))
    write_result(arguments.out, "Modules of the package that classify of one image loads, and their lines", figures)


def _lines_by_module(words: list[str]) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "lines.json"
        subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-c", _CLASSIFY, *words, "--out", str(Path(folder) / "results.jsonl"), str(counted)],
            check=True,
        )
        return dict(json.loads(counted.read_text()))


if __name__ == "__main__":
    main()
