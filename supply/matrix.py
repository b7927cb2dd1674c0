"""`make matrix`: the light tests on each Python that is here, and with the oldest versions that pyproject.toml allows.

Each has an environment of its own, `.venv-3.10`, `.venv-lowest`, with what a line installs and without PyTorch; tests
that need PyTorch are skipped there. The last lines are a table of what ran, with which libraries, and what was left
out and why. The exit code is 1 where a test failed or the versions that are asked for cannot be installed together.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
#: Those that pyproject.toml names.
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: Newer ones, tried where they are. What fails there is told and is no failure: libraries may have no wheels for them.
NEWER = ("3.14", "3.15")
EXTRAS = ("cpu", "openvino", "plot", "test")
#: The libraries whose versions the table shows.
SHOWN = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "imagecodecs", "tifffile", "typer")
#: Tests that take a fifth of the time and ask for accuracy, which hangs on no version: `make test` runs them once.
HEAVY = (
    "tests/golden/test_transistor_table.py",
    "tests/golden/test_unknown_transistor.py",
    "tests/golden/test_view_schedule_transistor.py",
    "tests/e2e/test_demo.py",
)
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
# What uv says where the packages' index is not reached, and not that there is no such version.
_OUT_OF_REACH = re.compile(r"failed to fetch|error sending request|dns error|connect", re.IGNORECASE)
# The table of a page, which begins with its first column's name.
_TABLE = re.compile(r"\n\| Python \|.*\n(?:\|.*\n)*")
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass(frozen=True)
class Job:
    """One environment.

    Attributes:
        version: The Python, as `3.10`.
        lowest: The oldest versions of the libraries that pyproject.toml allows are installed, and not the newest.
    """

    version: str
    lowest: bool = False

    @property
    def libraries(self) -> str:
        """Which versions are installed, in a word."""
        return "lowest" if self.lowest else "newest"

    @property
    def folder(self) -> Path:
        """The environment."""
        return REPOSITORY / f".venv-{'lowest' if self.lowest else self.version}"


@dataclass(frozen=True)
class Outcome:
    """What came of one environment.

    Attributes:
        job: The environment.
        python: The whole version of the Python, or of the one that was asked for where it is not here.
        why: Why it was left out or could not be installed; empty where the tests ran.
        broken: The tests failed, or the versions cannot be installed together.
        versions: The version of each library in `SHOWN`.
        counts: How many tests passed, failed, and were skipped.
        seconds: How long it took to install and to run.
    """

    job: Job
    python: str
    why: str = ""
    broken: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """The same for a table and a file."""
        return {
            "python": self.python,
            "libraries": self.job.libraries,
            "why": self.why,
            "versions": dict(self.versions),
            **self.counts,
            "seconds": round(self.seconds),
        }


def main() -> int:
    """Runs what is asked for, and prints the table."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--tools", type=Path, required=True, help="the folder of the program uv")
    parser.add_argument("--results", type=Path, help="where the rows go as JSON; by default the table is printed alone")
    parser.add_argument("--page", type=Path, help="the page whose table is replaced by this one")
    parser.add_argument("jobs", nargs="*", type=_job, help="a version such as 3.10, or lowest; by default all")
    options = parser.parse_args()
    outcomes = list(_outcomes(options.tools / "uv", options.jobs))
    rows = [outcome.row() for outcome in outcomes]
    print("\n".join(table(rows)))
    if options.results is not None:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        told = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine, "rows": rows}
        options.results.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if options.page is not None:
        page = options.page.read_text("utf-8")
        options.page.write_text(_TABLE.sub("\n".join(["", *table(rows), ""]), page), "utf-8")
    return 1 if any(each.broken and each.job.version not in {*NEWER} - {*options.jobs} for each in outcomes) else 0


def _job(text: str) -> str:
    version = text.removeprefix("python")
    if version != "lowest" and re.fullmatch(r"3\.\d+", version) is None:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a version such as 3.10 nor lowest")
    return version


def _outcomes(uv: Path, wanted: Sequence[str]) -> Iterator[Outcome]:
    """All environments, or those wanted; on the Python that runs this, `make test` runs all tests anyhow."""
    versions = [each for each in wanted if each != "lowest"] if wanted else [*PYTHONS, *NEWER]
    for version in versions:
        python = interpreter(version)
        if python is None:
            yield Outcome(Job(version), version, why="not on this machine", broken=version in wanted)
        elif version == _OWN and not wanted:
            yield Outcome(Job(version), platform.python_version(), why="left to make test, which runs all tests on it")
        else:
            yield tried(Job(version), uv, python)
    if "lowest" in wanted or not wanted:
        # The oldest versions are at home on the oldest Python; the newest Pythons have no wheels of them.
        found = [(version, python) for version in PYTHONS if (python := interpreter(version)) is not None]
        version, python = found[0] if found else (_OWN, Path(sys.executable))
        yield tried(Job(version, lowest=True), uv, python)


def interpreter(version: str) -> Path | None:
    """A Python of this version that starts: this one, the one on the path, the newest of pyenv; None where none does.

    Args:
        version: Such as `3.10`.
    """
    if version == _OWN:
        return Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    of_pyenv = sorted(folder.glob(f"{version}.*/bin/python{version}"), key=lambda path: _number(path.parents[1].name))
    # pyenv puts a program on the path for each version that it has, which starts only where the version is chosen.
    for path in [*([Path(on_path)] if on_path else []), *reversed(of_pyenv)]:
        told = _called([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        if told.returncode == 0 and told.stdout.strip() == version:
            return path
    return None


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def tried(job: Job, uv: Path, python: Path) -> Outcome:
    """Makes the environment, or brings it up to date, and runs the light tests in it."""
    begun = time.monotonic()
    said = f"Python {job.version}, {job.libraries} libraries"
    print(f"{said}: {job.folder.name}", flush=True)
    own_python = job.folder / "bin" / "python"
    for words in (
        [uv, "venv", "--quiet", "--allow-existing", "--python", python, job.folder],
        [uv, "pip", "install", "--quiet", "--python", own_python, *_asked(job)],
    ):
        ended = _called(words)
        if ended.returncode:
            print(ended.stderr.strip(), flush=True)
            missed = _OUT_OF_REACH.search(ended.stderr) is not None
            why = "the packages' index is not reached" if missed else "cannot be installed"
            return Outcome(job, job.version, why=why, broken=not missed)
    told = _called([own_python, "-c", _ABOUT])
    about = json.loads(told.stdout)
    ended = _called([own_python, "-m", "pytest", *_selected()])
    counts = counted(ended.stdout)
    broken = ended.returncode != 0
    # A thousand dots say nothing; failures are told in full.
    print(ended.stdout + ended.stderr if broken else _last_line(ended.stdout), flush=True)
    versions = {name: about["versions"].get(name, "") for name in SHOWN}
    return Outcome(job, about["python"], "", broken, versions, counts, time.monotonic() - begun)


_ABOUT = (
    "import importlib.metadata as m, json, platform\n"
    "print(json.dumps({'python': platform.python_version(),"
    " 'versions': {d.metadata['Name'].lower(): d.version for d in m.distributions()}}))"
)


def _asked(job: Job) -> list[str]:
    """What uv is asked to install. Wheels alone: what has to be compiled is not what a line gets."""
    words = ["--upgrade", "--only-binary", ":all:", "--no-binary", "mvrec-edge"]
    if job.lowest:
        words += ["--resolution", "lowest-direct"]
    return [*words, "--editable", f".[{','.join(EXTRAS)}]"]


def _selected() -> list[str]:
    """What pytest is asked to run."""
    words = ["-q", "-m", "not slow and not harness and not browser", "-p", "no:cacheprovider"]
    words += ["--numprocesses", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    return [*words, *(f"--ignore={name}" for name in HEAVY)]


def _called(words: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    # A thread for each process, as in make test; the certificates of pip for uv, which has others.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    certificates = os.environ.get("PIP_CERT")
    environment = {**os.environ, **threads, **({"SSL_CERT_FILE": certificates} if certificates else {})}
    return subprocess.run(
        [str(word) for word in words], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


def counted(told: str) -> dict[str, int]:
    """How many tests passed, failed, and were skipped, by pytest's last line; an error counts as a failure."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for number, what in _COUNT.findall(_last_line(told)):
        counts[what if what in counts else "failed"] += int(number)
    return counts


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a table in Markdown: what ran with which libraries, and what was left out and why.

    Args:
        rows: As `Outcome.row` makes them.
    """
    head = ["Python", "libraries", *SHOWN, "passed", "failed", "skipped"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        if row["why"]:
            cells = ["-"] * len(SHOWN) + [row["why"], "-", "-"]
        else:
            cells = [row["versions"][name] or "-" for name in SHOWN]
            cells += [str(row[what]) for what in ("passed", "failed", "skipped")]
        lines.append(_line([row["python"], row["libraries"], *cells]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
