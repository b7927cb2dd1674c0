"""`make wheelhouse TARGET=...`: a folder with all wheels for a machine that has no network, each with its hash.

uv resolves, since it reads the markers of a requirement for the target, where pip reads them for the machine that it
runs on. pip downloads what uv named, and refuses what has another hash. Nothing is compiled: what has no wheel for the
target is an error. The folder takes the place of an earlier one of the same target when it is whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
#: Beside the wheels; the messages of the installed package read the record (runtime/installing.py).
RECORD, REQUIREMENTS, README = "wheelhouse.json", "requirements.txt", "README.md"
SCHEMA = "mvrec-edge/wheelhouse/1"
_OLDEST_PYTHON = 10
#: For each processor the oldest glibc 2.x that wheels name, and what they were named before they named it.
_NAMES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "x86_64": (5, ("manylinux2014", "manylinux2010", "manylinux1")),
    "aarch64": (17, ("manylinux2014",)),
}
_NO_WHEEL = re.compile(r"\b([A-Za-z0-9][\w.-]*?)(?:\[[^\]]*\])?(?:[<>=!~][^\s]*)? (?:has|have) no (?:usable )?wheels")
_NO_SUCH_EXTRA = re.compile(r"[Rr]equested extras? not found: (.+)|invalid value '(.*?)' for '--extra")
_RESOLVED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)
#: Wheels of the same module, which overwrite each other's files.
_NEVER_BOTH = ("onnxruntime", "onnxruntime-gpu")
_NOT_REACHED = ("error sending request", "failed to fetch", "dns error", "timed out", "connection", "network")


#: The extras that need a GPU of NVIDIA, and the engine that each is for.
_ENGINES: Mapping[str, str] = {
    "tensorrt-rtx": "tensorrt-rtx",
    "tensorrt": "tensorrt",
    "tensorrt-cu12": "tensorrt",
    "gpu": "onnxruntime:cuda",
}


class WheelhouseError(Exception):
    """What stands in the way, and what to do about it, in one line."""


@dataclass(frozen=True)
class Target:
    """What a wheelhouse is for.

    Attributes:
        name: Its name on the command line.
        machine: The processor, as wheels name it.
        glibc: The wheels run on glibc 2.x from this one on.
        extras: The extras of mvrec-edge whose wheels are in it.
        python: The version of CPython, such as `"3.10"`.
        jetpack: The version of JetPack, which brings one Python, and TensorRT for that one alone; None elsewhere.
    """

    name: str
    machine: str
    glibc: int
    extras: tuple[str, ...]
    python: str = f"3.{sys.version_info.minor}"
    jetpack: int | None = None

    @property
    def words(self) -> str:
        """What the wheels run on."""
        return f"CPython {self.python}, {self.machine}, glibc 2.{self.glibc} or newer"

    @property
    def needs(self) -> str:
        """What the machine must have before."""
        if self.jetpack is not None:
            return f"JetPack {self.jetpack} with its TensorRT, and the package python3-venv"
        # `python3` is another one where the system's default is not this one; Debian and Ubuntu name both packages so.
        needs = [f"Python {self.python}", f"on Debian and Ubuntu the package python{self.python}-venv"]
        if {*self.extras} & {*_ENGINES}:
            needs.append("NVIDIA's driver, " + ("535" if "tensorrt-cu12" in self.extras else "580") + " or newer")
        return f"{', '.join(needs[:-1])} and {needs[-1]}"

    @property
    def engine(self) -> str | None:
        """The engine that the machine is for, as `verify` takes it; None where it is chosen there."""
        if self.jetpack is not None:
            return "tensorrt"
        return next((engine for extra, engine in _ENGINES.items() if extra in self.extras), None)

    @property
    def platforms(self) -> list[str]:
        """The platforms of wheels that run there, the newest first."""
        oldest, names = _NAMES[self.machine]
        dated = [f"manylinux_2_{minor}" for minor in range(self.glibc, oldest - 1, -1)]
        return [f"{name}_{self.machine}" for name in (*dated, *names)]


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("x86-cpu", "x86_64", 28, ("cpu", "openvino", "plot")),
        # Its ONNX Runtime runs on the CPU as well.
        Target("x86-cuda", "x86_64", 28, ("gpu", "plot")),
        # ONNX Runtime is what is left where the driver is not as it should be.
        Target("x86-rtx", "x86_64", 28, ("tensorrt-rtx", "cpu", "plot")),
        Target("jetson6", "aarch64", 35, ("jetson6",), "3.10", jetpack=6),
        Target("jetson7", "aarch64", 39, ("jetson7",), "3.12", jetpack=7),
    )
}


def main() -> int:
    """Makes the folder, and says in one line what stands in the way."""
    parser = argparse.ArgumentParser(prog="make wheelhouse", description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help=f"what it is for: {', '.join(TARGETS)}")
    parser.add_argument("--python-version", default="", help="of CPython there; by default that of this machine")
    parser.add_argument("--extras", default="", help="the extras, with commas between; by default those of the target")
    parser.add_argument("--tools", type=Path, required=True, help="the folder of uv and pip")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "wheelhouse", help="where the folder is made")
    options = parser.parse_args()
    try:
        target = chosen(options.target, options.python_version, options.extras)
        folder = make(target, options.tools, options.out)
    except WheelhouseError as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 1
    wheels = list(folder.glob("*.whl"))
    size = sum(file.stat().st_size for file in wheels) / 1e6
    print(f"{folder}: {len(wheels)} wheels, {size:.0f} MB, for {target.words}; {README} in it says how to install them")
    return 0


def chosen(name: str, python: str = "", extras: str = "") -> Target:
    """The target that is asked for.

    Args:
        name: Its name.
        python: The version of CPython; empty for the target's own.
        extras: The extras, with commas between; empty for the target's own.

    Raises:
        WheelhouseError: There is no such target, or it has no such Python.
    """
    target = TARGETS.get(name)
    if target is None:
        asked = f"there is no target '{name}'" if name else "no target is given"
        raise WheelhouseError(f"{asked} (TARGET= one of {', '.join(TARGETS)})")
    if python and python != target.python:
        minor = re.fullmatch(r"3\.(\d{1,2})", python)
        if minor is None or int(minor[1]) < _OLDEST_PYTHON:
            raise WheelhouseError(f"'{python}' is no Python that mvrec-edge runs on (PYTHON_VERSION=3.10 or newer)")
        if target.jetpack is not None:
            raise WheelhouseError(
                f"JetPack {target.jetpack} has Python {target.python}, and TensorRT for that one alone "
                "(leave out PYTHON_VERSION)"
            )
        target = replace(target, python=python)
    wanted = tuple(dict.fromkeys(word.strip() for word in extras.split(",") if word.strip()))
    return replace(target, extras=wanted) if wanted else target


def make(target: Target, tools: Path, out: Path) -> Path:
    """Makes the folder of a target, and puts it in the place of an earlier one.

    Args:
        target: What it is for.
        tools: The folder of uv and pip.
        out: Where the folder is made.

    Returns:
        The folder.

    Raises:
        WheelhouseError: Something has no wheel for the target, two wheels overwrite each other, the index is not
            reached, or what stands in the folder's place is no wheelhouse.
    """
    folder = out / target.name
    if folder.exists() and not (folder / RECORD).is_file():
        raise WheelhouseError(f"{folder} is there and is no wheelhouse (move it away)")
    if folder.exists():
        print(f"{folder} is there, with {_held(folder)}; it is replaced when the new one is whole", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=out) as made:
        new = Path(made, target.name)
        new.mkdir()
        locked = Path(made, "locked.txt")
        resolve(target, tools, locked)
        download(target, tools, locked, new)
        write_records(target, new, build_own(tools, Path(made, "own"), new))
        _exchange(folder, new, Path(made, "old"))
    return folder


def _held(folder: Path) -> str:
    """What an earlier wheelhouse holds, in words."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        return f"the extras {', '.join(record['extras'])} for CPython {record['python']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"a {RECORD} that cannot be read"


def _exchange(folder: Path, new: Path, old: Path) -> None:
    """Puts a new folder in the place of an earlier one, which comes back where that fails."""
    replaced = folder.exists()
    if replaced:
        folder.replace(old)
    try:
        new.replace(folder)
    except BaseException:
        if replaced:
            old.replace(folder)
        raise


def resolve(target: Target, tools: Path, locked: Path) -> None:
    """Writes what the target's extras need, each with the hashes of the index.

    The versions are those of `line.lock` where they fit the target, and else the newest.

    Args:
        target: What it is for.
        tools: The folder of uv.
        locked: The file to write.

    Raises:
        WheelhouseError: Something has no wheel for the target, two wheels overwrite each other, or the index is not
            reached.
    """
    shutil.copyfile(REPOSITORY / "supply" / "line.lock", locked)
    words = [
        "pip",
        "compile",
        "--quiet",
        "pyproject.toml",
        "--only-binary",
        ":all:",
        "--generate-hashes",
        "--no-header",
    ]
    words += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--output-file", str(locked)]
    words += ["--python-version", target.python, "--python-platform", f"{target.machine}-manylinux_2_{target.glibc}"]
    words += [word for extra in target.extras for word in ("--extra", extra)]
    print(f"resolving {', '.join(target.extras)} for {target.words}", flush=True)
    ended = _run([tools / "uv", *words])
    if ended.returncode:
        raise WheelhouseError(why_unresolved(ended.stderr, target))
    if {*_NEVER_BOTH} <= {*_RESOLVED.findall(locked.read_text("utf-8"))}:
        raise WheelhouseError(
            f"the extras {', '.join(target.extras)} bring {' and '.join(_NEVER_BOTH)}, which overwrite each other "
            "(give EXTRAS with 'gpu' or with what needs the other one, such as 'cpu' or 'export')"
        )


def why_unresolved(said: str, target: Target) -> str:
    """What uv says of a resolution that failed, in one line with what to do about it.

    Args:
        said: What it printed.
        target: What was resolved for.
    """
    # Without the lines and arrows that it draws.
    text = " ".join(said.encode("ascii", "ignore").decode().split())
    if named := list(dict.fromkeys(_NO_WHEEL.findall(text))):
        what = " and ".join(named)
        return f"{what}: no wheel for {target.words} (give EXTRAS without what needs it, or another PYTHON_VERSION)"
    if unknown := _NO_SUCH_EXTRA.search(text):
        return f"mvrec-edge has no extra '{unknown[1] or unknown[2]}' (pyproject.toml lists them)"
    if any(words in text.lower() for words in _NOT_REACHED):
        return f"the package index is not reached (a wheelhouse is made where there is a network): {text[:300]}"
    return f"no versions fit together for {target.words}: {text[:600]}"


def download(target: Target, tools: Path, locked: Path, folder: Path) -> None:
    """Downloads the wheels that were resolved, each checked against the hashes of the index.

    Args:
        target: What they are for.
        tools: The folder of pip.
        locked: What `resolve` wrote.
        folder: Where they go.

    Raises:
        WheelhouseError: One cannot be had.
    """
    words = ["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += ["--python-version", target.python, "--implementation", "cp", "--dest", str(folder)]
    words += [word for platform in target.platforms for word in ("--platform", platform)]
    print("downloading", flush=True)
    ended = _run([tools / "python", *words, "--requirement", str(locked)])
    if ended.returncode:
        errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ended.stderr.splitlines()
        raise WheelhouseError(f"a wheel cannot be downloaded (run it again): {' '.join(errors[-1:])[:400]}")


def build_own(tools: Path, workshop: Path, folder: Path) -> Path:
    """Builds the wheel of mvrec-edge, from a copy of the sources, and moves it to the others.

    Args:
        tools: The folder of uv.
        workshop: A folder to build in, which is not there yet.
        folder: Where the wheel goes.

    Raises:
        WheelhouseError: It cannot be built.
    """
    print("building mvrec-edge", flush=True)
    # With both kinds, the wheel is built from what the source distribution holds: nothing that an earlier build left.
    ended = _run([tools / "uv", "build", "--quiet", "--out-dir", str(workshop), "."])
    if ended.returncode:
        raise WheelhouseError(f"the wheel of mvrec-edge cannot be built: {' '.join(ended.stderr.split())[-400:]}")
    (wheel,) = workshop.glob("*.whl")
    return Path(shutil.move(wheel, folder / wheel.name))


def write_records(target: Target, folder: Path, own: Path) -> None:
    """Writes the requirements with the hash of each wheel, the record, and how to install them.

    Args:
        target: What the wheels are for.
        folder: The folder of the wheels.
        own: The wheel of mvrec-edge.
    """
    lines = [
        f"# {target.name}: {target.words}; written by make wheelhouse.",
        *("--no-index", "--find-links .", "--only-binary :all:", "--require-hashes"),
        # By its place, so that pip notes where it came from and messages can name it.
        f"./{own.name}[{','.join(target.extras)}] --hash=sha256:{_sha256(own)}",
    ]
    for wheel in sorted(folder.glob("*.whl"), key=lambda file: file.name.lower()):
        if wheel != own:
            name, version = wheel.name.split("-")[:2]
            lines.append(f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{_sha256(wheel)}")
    (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", "utf-8")
    record = {
        "schema": SCHEMA,
        "version": own.name.split("-")[1],
        "target": target.name,
        "python": target.python,
        "machine": target.machine,
        "glibc": f"2.{target.glibc}",
        "extras": list(target.extras),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    (folder / README).write_text(_readme(target, record["version"]), "utf-8")


def _readme(target: Target, version: object) -> str:
    python = "/usr/bin/python3" if target.jetpack else f"python{target.python}"
    option = "--system-site-packages " if target.jetpack else ""
    seen = "The option lets the environment see TensorRT, which comes with JetPack.\n" if target.jetpack else ""
    verified = f" --engine {target.engine}" if target.engine else ""
    # `classify` has an option of its own for the provider.
    taken = verified.replace(":", " --provider ")
    other = "" if target.jetpack else " If it does not, make the wheelhouse for the Python that is there."
    built = _PLAN if target.engine == "tensorrt-rtx" else ""
    return f"""# mvrec-edge {version} for {target.name}

All wheels of mvrec-edge with the extras {", ".join(target.extras)}, for {target.words}.

The machine needs {target.needs}.
Look first: `{python} --version` has to say {target.python}.{other}
Copy this folder to the machine, to a place where it may stay. In the folder:

```
{python} -m venv {option}~/line
~/line/bin/pip install -r {REQUIREMENTS}
~/line/bin/mvrec-edge doctor
```

{seen}pip asks no index, and refuses a wheel whose SHA-256 is not the one in {REQUIREMENTS}.

Then copy the bundle and the support cache to the machine, here `encoder.bundle` and `line.safetensors`.
See that the bundle gives the right answers there, and classify:

```
~/line/bin/mvrec-edge verify encoder.bundle{verified}
~/line/bin/mvrec-edge classify encoder.bundle line.safetensors incoming/ --out results.jsonl{taken}
```
{built}"""


_PLAN = """
The first start builds the plan, where the bundle holds none. `mvrec-edge build encoder.bundle --for rtx --into-bundle`
stores it in the bundle beforehand, on a workstation with the same release of the library as in this folder.
"""


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _run(words: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Runs a program in the repository; uv has certificates of its own, and is given those of pip."""
    certificates = os.environ.get("PIP_CERT")
    environment = {**os.environ, **({"SSL_CERT_FILE": certificates} if certificates else {})}
    return subprocess.run(
        [str(word) for word in words], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
