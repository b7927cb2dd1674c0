"""NVIDIA Jetson boards as far as an error message needs them: the release, and whose Python has TensorRT.

CUDA and TensorRT come with JetPack there, TensorRT's Python module for the Python of the system alone. So what helps on
a PC installs nothing on a Jetson, or the wrong thing.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.installing import install_extra, install_libraries

__all__ = [
    "INSTALL_JETPACK",
    "NEWER_JETPACK",
    "OTHER_RUNTIME",
    "SYSTEM",
    "Interpreter",
    "JetsonRelease",
    "missing_on_jetson",
    "read_release",
    "tensorrt_trouble",
]

#: Where `etc`, `proc` and `usr` are; tests give a recorded board.
SYSTEM = Path("/")

#: What brings CUDA, TensorRT and TensorRT's Python module.
INSTALL_JETPACK = "sudo apt install nvidia-jetpack python3-venv"

#: What to do about a board whose TensorRT is too old.
NEWER_JETPACK = (
    "on an Orin, install JetPack 6.1 or newer on the board and use --engine tensorrt; Nano, TX2 and Xavier "
    "cannot have it: use --engine onnxruntime --provider cpu there"
)

#: Instead of the extra for PCs.
OTHER_RUNTIME = (
    "use --engine tensorrt, or install an onnxruntime-gpu that was built for this JetPack; the one on PyPI holds no "
    "code for the GPUs of Jetsons"
)

_JETPACK_OF_L4T = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}
#: The extra with the CUDA bindings, by the major version of JetPack.
_EXTRAS = {6: "jetson6", 7: "jetson7"}
# "# R36 (release), REVISION: 4.3, GCID: ..."
_RELEASE = re.compile(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)")
_MODULES = ("usr/lib/python3*/dist-packages/tensorrt", "usr/local/lib/python3*/dist-packages/tensorrt")
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class JetsonRelease:
    """What runs on a Jetson.

    Attributes:
        l4t: Release of Jetson Linux, such as `"36.4.3"`; None where the board does not say.
    """

    l4t: str | None = None

    @property
    def jetpack(self) -> int | None:
        """Major version of JetPack; None for a release that is not known."""
        return None if self.l4t is None else _JETPACK_OF_L4T.get(int(self.l4t.split(".")[0]))

    @property
    def extra(self) -> str | None:
        """The extra of this package with the CUDA bindings for it; None where none is known to fit."""
        return _EXTRAS.get(self.jetpack or 0)

    @property
    def bindings(self) -> str | None:
        """How to install the CUDA bindings; None where the release does not say which."""
        if self.too_old:
            return NEWER_JETPACK
        return None if self.extra is None else install_extra(self.extra)

    @property
    def too_old(self) -> bool:
        """Whether its TensorRT is older than what the engine needs, which came with JetPack 6.1."""
        if self.l4t is None:
            return False
        return tuple(int(part) for part in self.l4t.split(".") if part)[:2] < (36, 4)


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs this.

    Attributes:
        version: Major and minor version.
        prefix: The folder of its environment.
        base_prefix: The folder of the Python that the environment was made from.
        system_packages: Whether the environment sees the packages of that Python.
    """

    version: tuple[int, int]
    prefix: str
    base_prefix: str
    system_packages: bool

    @classmethod
    def this(cls) -> Interpreter:
        """This process's."""
        prefix, base = sys.prefix, sys.base_prefix
        return cls(sys.version_info[:2], prefix, base, prefix == base or _sees_system(Path(prefix)))

    @property
    def is_system(self) -> bool:
        """Whether it is the Python of the system, or an environment that was made from it."""
        return self.base_prefix == "/usr"


def _sees_system(environment: Path) -> bool:
    text = _read(environment / "pyvenv.cfg") or ""
    return re.search(r"^include-system-site-packages\s*=\s*true\s*$", text, re.IGNORECASE | re.MULTILINE) is not None


def read_release(root: Path | None = None) -> JetsonRelease | None:
    """What runs on this board; None on a machine that is no Jetson.

    Args:
        root: Where `etc` and `proc` are; by default `SYSTEM`.
    """
    root = SYSTEM if root is None else root
    found = _RELEASE.search(_read(root / "etc/nv_tegra_release") or "")
    if found is not None:
        return JetsonRelease(f"{found[1]}.{found[2].strip('.')}")
    model = _read(root / "proc/device-tree/model") or ""
    return JetsonRelease() if "jetson" in model.lower() else None


def missing_on_jetson(library: str, extra: str) -> tuple[str, str] | None:
    """What there is to say of a missing library on a Jetson, where the extra for PCs does not help.

    Args:
        library: The library as the message names it.
        extra: The extra that has it on a PC.

    Returns:
        What stands after "needs the library ...", and what to do; None where the extra helps, as on other machines.
    """
    release = read_release() if extra == "gpu" or extra.startswith("tensorrt") else None
    if release is None:
        return None
    absent = "which is not installed"
    if extra == "gpu":
        return absent, OTHER_RUNTIME
    if extra == "tensorrt-rtx":
        # Where the other engine cannot run either, what helps is the same as for that.
        return "which there is for x86-64 alone", NEWER_JETPACK if release.too_old else "use --engine tensorrt"
    if release.too_old:
        return f"and the TensorRT of L4T {release.l4t} is too old for the engine in any case", NEWER_JETPACK
    if library == "tensorrt":
        reason, fix = tensorrt_trouble()
        return f"and there is a reason why it is not found: {reason}", fix
    return absent, release.bindings or install_libraries("cuda-python")


def tensorrt_trouble(root: Path | None = None, interpreter: Interpreter | None = None) -> tuple[str, str]:
    """Why the module `tensorrt` is not found on a Jetson, and what to do.

    Args:
        root: Where `usr` is; by default `SYSTEM`.
        interpreter: The Python that does not find it; by default this one.

    Returns:
        The reason, and the commands or the advice.
    """
    python = interpreter or Interpreter.this()
    versions = sorted(set(_versions_with_module(SYSTEM if root is None else root)))
    if not versions:
        return "TensorRT's Python module, which comes with JetPack, is not installed", INSTALL_JETPACK
    theirs = " and ".join(f"{major}.{minor}" if minor >= 0 else "3" for major, minor in versions)
    anew = "/usr/bin/python3 -m venv --system-site-packages line, then install mvrec-edge into that"
    if not python.is_system or (python.version not in versions and (3, -1) not in versions):
        ours = f"{python.version[0]}.{python.version[1]} in {python.base_prefix}"
        return f"JetPack's TensorRT is for the system's Python {theirs}, and this is Python {ours}", anew
    if not python.system_packages:
        # It keeps what is installed in the environment.
        again = f"/usr/bin/python3 -m venv --system-site-packages {shlex.quote(python.prefix)}"
        return f"the environment {python.prefix} does not see the system's packages, and TensorRT is among them", again
    return "TensorRT's Python module is installed, but is not found", "/usr/bin/python3 -c 'import tensorrt' says why"


def _versions_with_module(root: Path) -> Iterator[tuple[int, int]]:
    """The Pythons for which the system has TensorRT's module; `(3, -1)` stands for any."""
    for pattern in _MODULES:
        for folder in root.glob(pattern):
            found = re.search(r"python3(?:\.(\d+))?$", folder.parent.parent.name)
            if found is not None and (folder / "__init__.py").is_file():
                yield 3, int(found[1]) if found[1] else -1


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            # The device tree ends its texts with a zero byte.
            return stream.read(_MOST_BYTES).decode("utf-8", "replace").replace("\0", "").strip()
    except OSError:
        return None
