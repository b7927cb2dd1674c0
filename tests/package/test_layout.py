"""The package as it is installed: complete, light, and with the dependencies pointing one way."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("runtime", "export", "calib", "cli")
ALLOWED = {
    "runtime": {"runtime"},
    "calib": {"runtime", "calib"},
    "export": {"runtime", "export"},
    "cli": {"runtime", "calib", "export", "cli"},
}


def _settings() -> dict[str, object]:
    settings: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    return settings


def _sources(part: str) -> list[Path]:
    return sorted((REPOSITORY / part).rglob("*.py"))


def test_every_folder_with_code_is_a_listed_package() -> None:
    found = {"mvrec_edge"}
    for part in PARTS:
        for source in _sources(part):
            found.add(".".join(["mvrec_edge", *source.parent.relative_to(REPOSITORY).parts]))
    assert sorted(found) == sorted(_settings()["packages"])  # type: ignore[call-overload]


@pytest.mark.parametrize("part", PARTS)
def test_the_link_for_type_checkers_is_there(part: str) -> None:
    link = REPOSITORY / "mvrec_edge" / part
    assert link.is_symlink()
    assert link.resolve() == REPOSITORY / part


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_one_way(part: str) -> None:
    for source in _sources(part):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{source}: relative import"
                names.append(node.module or "")
            for name in names:
                pieces = name.split(".")
                if pieces[0] == "mvrec_edge" and len(pieces) > 1:
                    assert pieces[1] in ALLOWED[part], f"{source} imports {name}"
                if part in ("runtime", "calib"):
                    assert pieces[0] not in ("torch", "onnx", "PIL"), f"{source} imports {name}"


def _modules(*parts: str) -> list[str]:
    names = []
    for part in parts:
        for source in _sources(part):
            pieces = ["mvrec_edge", *source.relative_to(REPOSITORY).with_suffix("").parts]
            names.append(".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces))
    return names


def test_the_light_parts_import_without_heavy_libraries() -> None:
    """Every module of runtime, calib and cli, in a process in which the optional libraries cannot be found."""
    code = (
        "import sys, importlib\n"
        "for name in ('torch', 'onnx', 'onnxscript', 'onnxruntime', 'PIL'): sys.modules[name] = None\n"
        f"for name in {_modules('runtime', 'calib', 'cli')!r}: importlib.import_module(name)\n"
        "print('imported')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("imported", 0), result.stderr


@pytest.mark.parametrize(
    "command", [[], ["export"], ["calibrate"], ["classify"], ["evaluate"], ["inspect"], ["bench"], ["demo"], ["doctor"]]
)
def test_help_loads_nothing_heavy_and_shows_an_example(command: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['mvrec-edge', *{command!r}, '--help']\n"
        "from mvrec_edge.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'onnx', 'onnxruntime', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("[]")
    assert ("Example: mvrec-edge" if command else "Exit codes") in result.stdout


def test_the_wheel_installed_elsewhere_imports(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(REPOSITORY),
    ]
    result = subprocess.run(build, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "mvrec_edge" / "py.typed").is_file()
    assets = Path("runtime", "report", "assets")
    for asset in (REPOSITORY / assets).iterdir():
        assert (tmp_path / "site" / "mvrec_edge" / assets / asset.name).read_bytes() == asset.read_bytes()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import mvrec_edge.runtime, mvrec_edge.calib, mvrec_edge.cli.main\n"
        "print(mvrec_edge.runtime.__file__)"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.stdout.startswith(str(tmp_path / "site")), result.stderr


def test_public_names_are_what_is_exported() -> None:
    import mvrec_edge.calib
    import mvrec_edge.runtime

    for module in (mvrec_edge.runtime, mvrec_edge.calib):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            public = getattr(module, name)
            assert public.__doc__, f"{name} has no docstring"
