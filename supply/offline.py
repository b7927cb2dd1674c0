"""`make offline`: a wheelhouse installed in a fresh environment without a package index, and tried there.

Where the system lets a process have a network of its own, without a link to the outside, everything here runs in one.
The trial takes one library away again, and runs the command that mvrec-edge then prints: what is printed has to work.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

_ALONE = ("unshare", "--user", "--map-root-user", "--net")
# What may lead pip or uv to an index, a cache of other wheels, or a proxy; and what may lead Python to other packages.
_LEADS = re.compile(r"(?i)(pip|uv)_|.*_proxy$|python(path|home)$|virtual_env$")
_PRINTED = re.compile(r"is not installed \((.+)\)$", re.MULTILINE)


class TrialError(Exception):
    """What went wrong, in one line."""


def main() -> int:
    """Runs the trial, and prints how long each step took."""
    parser = argparse.ArgumentParser(prog="make offline", description=__doc__.partition("\n")[0])
    parser.add_argument("--wheelhouse", type=Path, required=True, help="the folder that make wheelhouse wrote")
    parser.add_argument("--environment", type=Path, required=True, help="the environment to make; replaced if there")
    options = parser.parse_args()
    try:
        _try(options.wheelhouse.resolve(), options.environment.resolve())
    except TrialError as error:
        print(f"offline: {error}", file=sys.stderr)
        return 1
    return 0


def _try(wheelhouse: Path, environment: Path) -> None:
    alone = _ALONE if _succeeds(*_ALONE, "true") else ()
    print(
        f"offline: {'in a network without a link' if alone else 'no index; a network of its own is not permitted here'}"
    )
    python, command = environment / "bin" / "python", environment / "bin" / "mvrec-edge"

    def run(*words: str | Path, cwd: Path = wheelhouse, code: int = 0) -> str:
        started = time.monotonic()
        texts = [str(word) for word in words]
        ended = subprocess.run(
            [*alone, *texts], cwd=cwd, env=environment_of(os.environ), capture_output=True, text=True, check=False
        )
        name = " ".join(texts).replace(f"{environment}/bin/", "")
        if ended.returncode != code:
            said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-12:])
            raise TrialError(f"{name} ended with {ended.returncode}, not {code}:\n{said}")
        print(f"offline: {name[:100]}: {time.monotonic() - started:.1f} s", flush=True)
        return ended.stdout + ended.stderr

    shutil.rmtree(environment, ignore_errors=True)
    run(sys.executable, "-m", "venv", environment)
    run(python, "-m", "pip", "install", "--quiet", "-r", "requirements.txt")
    run(command, "--version")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # One view of each defect, where 27 are usual: the trial is about the installation.
        quick = ("--view-recipe", "none", "--engine", "onnxruntime")
        run(command, "init", "line", "--examples", cwd=place)
        run(command, "export", "pocket", "--out", "pocket.bundle", cwd=place)
        run(command, "calibrate", "pocket.bundle", "line/labelled", "--out", "line.safetensors", *quick, cwd=place)
        run(command, "classify", "pocket.bundle", "line.safetensors", "line/incoming", "--out", "a.jsonl", cwd=place)
        verify = (command, "verify", "pocket.bundle", "--engine", "openvino")
        run(python, "-m", "pip", "uninstall", "--quiet", "-y", "openvino", cwd=place)
        refused = run(*verify, cwd=place, code=5)
        printed = _PRINTED.search(refused)
        if printed is None:
            raise TrialError(f"no command was printed for a library that is missing: {refused.strip()[-300:]}")
        run("sh", "-c", printed[1], cwd=place)
        run(*verify, cwd=place)


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without what may lead to an index or to other packages."""
    kept = {name: value for name, value in variables.items() if not _LEADS.match(name)}
    # Compiling what is never loaded would take half of the trial.
    quick = {"PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **quick}


def _succeeds(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
