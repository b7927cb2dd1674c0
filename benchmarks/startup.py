"""How long until the command answers, and until the runtime is imported?

Whole processes, taken in turn; an empty Python process and one that imports numpy and OpenCV are the baselines.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _machine import write_result

PROCESSES = {
    "python, nothing imported": [sys.executable, "-c", "pass"],
    "import numpy, cv2": [sys.executable, "-c", "import numpy, cv2"],
    "import mvrec_edge.runtime": [sys.executable, "-c", "import mvrec_edge.runtime"],
    "mvrec-edge --help": [str(Path(sys.executable).with_name("mvrec-edge")), "--help"],
    "mvrec-edge classify --help": [str(Path(sys.executable).with_name("mvrec-edge")), "classify", "--help"],
}


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for turn in range(arguments.rounds + 1):
        for name, command in PROCESSES.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own commands)
            if turn:
                times[name].append(time.perf_counter() - start)
    empty = statistics.median(times["python, nothing imported"])
    rows = [
        {
            "process": name,
            "median_s": round(statistics.median(seen), 4),
            "min_s": round(min(seen), 4),
            "ratio_to_empty_python": round(statistics.median(seen) / empty, 2),
        }
        for name, seen in times.items()
    ]
    for row in rows:
        print(row)
    write_result(arguments.out, "Seconds of a whole process until it has answered", {"rows": rows})


if __name__ == "__main__":
    main()
