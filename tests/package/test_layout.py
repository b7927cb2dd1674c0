"""The package as it is installed: complete, light, and with the dependencies pointing one way."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
#: Where each part of the package lies.
PARTS = {
    "runtime": REPOSITORY / "runtime",
    "testing": REPOSITORY / "testing",
    "calib": REPOSITORY / "calib",
    "export": REPOSITORY / "export",
    "pocket": REPOSITORY / "pocket",
    "doctor": REPOSITORY / "doctor",
    "bench": REPOSITORY / "benchmarks" / "harness",
    "cli": REPOSITORY / "cli",
}
ALLOWED = {
    "runtime": {"runtime"},
    "testing": {"runtime", "testing"},
    "calib": {"runtime", "calib"},
    "export": {"runtime", "testing", "export"},
    "pocket": {"runtime", "pocket"},
    "doctor": {"runtime", "doctor"},
    "bench": {"runtime", "testing", "calib", "doctor", "export", "bench"},
    "cli": {"runtime", "testing", "calib", "export", "pocket", "doctor", "bench", "cli"},
}
#: The rooms of the runtime in the order in which they build on one another; a room imports from those before it.
RUNTIME_ROOMS = (
    *("wording", "installing", "jetson"),
    *("errors", "threads", "files", "processes", "images", "regions", "views", "bundle", "engines", "support", "heads"),
    *("novelty", "gradual", "prediction", "classifier", "pictures", "report"),
)
#: The same of calib, whose loose modules are the stages and what they share.
CALIB_ROOMS = (
    *("setting_checks", "observer", "plotting", "instances", "fine_tuning", "fitting", "evaluation", "changes"),
    *("rebasing", "calibration", "tuned_calibration"),
)
LOOSE_IN_RUNTIME = {"errors", "installing", "jetson", "threads", "prediction", "wording"}
#: Lines of a function of the command line, with its options and its help.
LONGEST_COMMAND = 80
#: They compute with what the base install has.
LIGHT = ("runtime", "testing", "calib", "pocket", "doctor")


def _settings() -> dict[str, object]:
    settings: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    return settings


def _sources(part: str) -> list[Path]:
    return sorted(PARTS[part].rglob("*.py"))


def _name(part: str, source: Path) -> str:
    pieces = ["mvrec_edge", part, *source.relative_to(PARTS[part]).with_suffix("").parts]
    return ".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)


@functools.cache
def _imports(source: Path, *, at_import: bool = False) -> list[str]:
    """The modules that a file imports; those that run when it is imported, or all, within functions as well."""
    tree = ast.parse(source.read_text())
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if at_import and isinstance(node, ast.FunctionDef):
            continue
        # What stands under TYPE_CHECKING never runs.
        if at_import and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting.extend(ast.iter_child_nodes(node))
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            module = node.module or ""
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def test_every_folder_with_code_is_a_listed_package() -> None:
    found = {"mvrec_edge"}
    for part in PARTS:
        for source in _sources(part):
            found.add(".".join(["mvrec_edge", part, *source.parent.relative_to(PARTS[part]).parts]))
    assert sorted(found) == sorted(_settings()["packages"])  # type: ignore[call-overload]


@pytest.mark.parametrize("part", PARTS)
def test_the_link_for_type_checkers_is_there(part: str) -> None:
    link = REPOSITORY / "mvrec_edge" / part
    assert link.is_symlink()
    assert link.resolve() == PARTS[part]


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_one_way(part: str) -> None:
    for source in _sources(part):
        for name in _imports(source):
            pieces = name.split(".")
            if pieces[0] == "mvrec_edge" and pieces[1] in PARTS:
                assert pieces[1] in ALLOWED[part], f"{source} imports {name}"
            if part in LIGHT:
                assert pieces[0] not in ("torch", "onnx", "PIL"), f"{source} imports {name}"


def test_the_root_is_light_and_builds_on_nothing() -> None:
    """It is imported before every part, and what it switches off has to be off before any library is there."""
    root = REPOSITORY / "mvrec_edge"
    assert {path.stem for path in root.glob("*.py")} == {"__init__", "telemetry"}
    imported = {name for path in root.glob("*.py") for name in _imports(path)}
    assert imported == {"__future__.annotations", "mvrec_edge.telemetry.switch_off", "os", "sys"}


def _room(name: str) -> str:
    return name.split(".")[2]


@pytest.mark.parametrize(("part", "rooms"), [("runtime", RUNTIME_ROOMS), ("calib", CALIB_ROOMS)])
def test_rooms_build_on_one_another(part: str, rooms: tuple[str, ...]) -> None:
    for source in _sources(part):
        own = _name(part, source)
        if own == f"mvrec_edge.{part}":
            continue
        for name in _imports(source):
            if name.startswith(f"mvrec_edge.{part}."):
                assert rooms.index(_room(name)) <= rooms.index(_room(own)), f"{own} imports {name}"


def test_few_modules_of_the_runtime_are_in_no_room() -> None:
    assert {path.stem for path in PARTS["runtime"].glob("*.py")} - {"__init__"} == LOOSE_IN_RUNTIME


@pytest.mark.parametrize("part", PARTS)
def test_no_two_modules_bear_one_name(part: str) -> None:
    names = Counter(source.stem for source in _sources(part) if source.stem != "__init__")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_imports_go_in_a_circle() -> None:
    modules = {_name(part, source): source for part in PARTS for source in _sources(part)}
    waits_for: dict[str, set[str]] = {}
    for own, source in modules.items():
        found = {name if name in modules else name.rpartition(".")[0] for name in _imports(source)}
        waits_for[own] = {name for name in found if name in modules and name != own}
    # A package that only passes names on is as its modules are.
    try:
        tuple(graphlib.TopologicalSorter(waits_for).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_commands_are_thin() -> None:
    """They parse, call, show progress and print; the stages are functions that Python users call as well.

    ruff holds how many branches any function may have (C901).
    """
    too_long = {}
    for source in _sources("cli"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines = (node.end_lineno or first) - first + 1
                if lines > LONGEST_COMMAND:
                    too_long[f"{source.name}: {node.name}"] = lines
    assert not too_long


def _modules(*parts: str) -> list[str]:
    return [_name(part, source) for part in parts for source in _sources(part)]


def test_the_light_parts_import_without_heavy_libraries() -> None:
    """Every module of the light parts and of cli, in a process in which the optional libraries cannot be found."""
    code = (
        "import sys, importlib\n"
        "for name in ('torch', 'onnx', 'onnxscript', 'onnxruntime', 'PIL'): sys.modules[name] = None\n"
        f"for name in {_modules(*LIGHT, 'cli')!r}: importlib.import_module(name)\n"
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


def test_a_command_does_not_load_the_others() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['mvrec-edge', 'classify', '--help']\n"
        "from mvrec_edge.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted(name for name in sys.modules if name.startswith('mvrec_edge.cli.')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    loaded = result.stdout.splitlines()[-1]
    assert "'mvrec_edge.cli.classify'" in loaded, result.stderr
    for other in ("calibrate", "evaluate", "demo", "support", "bench", "export"):
        assert f"'mvrec_edge.cli.{other}'" not in loaded


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    pytest.importorskip("build.__main__", reason="the wheel is made by build, in the extra 'dev'")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    result = subprocess.run(build, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_installed_elsewhere_imports(site: Path, tmp_path: Path) -> None:
    assert (site / "mvrec_edge" / "py.typed").is_file()
    for files in (Path("runtime", "report", "assets"), Path("pocket", "pocket.bundle")):
        for file in (REPOSITORY / files).iterdir():
            assert (site / "mvrec_edge" / files / file.name).read_bytes() == file.read_bytes()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import mvrec_edge.runtime, mvrec_edge.calib, mvrec_edge.cli.main\n"
        "print(mvrec_edge.runtime.__file__)"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.stdout.startswith(str(site)), result.stderr


def test_a_first_try_needs_the_extra_cpu_alone(site: Path, tmp_path: Path) -> None:
    """From the wheel, in a process in which no library of another extra can be found."""
    pytest.importorskip("onnxruntime")

    def run(*arguments: str, code: int = 0) -> str:
        program = (
            "import sys\n"
            f"sys.path.insert(0, {str(site)!r})\n"
            "for name in ('torch', 'onnx', 'onnxscript', 'openvino', 'nncf', 'matplotlib', 'PIL'):\n"
            "    sys.modules[name] = None\n"
            f"sys.argv = ['mvrec-edge', *{arguments!r}]\n"
            "from mvrec_edge.cli.main import main\n"
            "main()"
        )
        call = [sys.executable, "-I", "-c", program]
        result = subprocess.run(call, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    printed = run("demo", "--images", "6")
    assert "left out: a network with random weights is made by the extra 'export'" in printed
    right = re.search(r"^all +(\d+)/5 +\d+% +20%$", printed, re.MULTILINE)
    assert right is not None, printed
    assert int(right[1]) >= 3
    assert (tmp_path / "demo-output" / "report.html").is_file()
    run("init", "line1", "--examples")
    assert "copying the finished bundle" in run("export", "pocket", "--out", "pocket.bundle")
    refused = run("export", "pocket", "--precision", "fp32,int8", "--out", "other.bundle", code=5)
    assert (
        "comes finished in fp32 without --calibration or --views-in-graph; the rest needs the library 'torch'"
        in refused
    )
    refused = run("export", "pocket", "--calibration", "line1/labelled", "--out", "other.bundle", code=5)
    # A wheel that was only unpacked has no record of where it came from.
    assert "install the extra 'export' of mvrec-edge from the checkout or wheel" in refused
    assert not (tmp_path / "other.bundle").exists()


def test_public_names_are_what_is_exported() -> None:
    import mvrec_edge.calib
    import mvrec_edge.runtime

    for module in (mvrec_edge.runtime, mvrec_edge.calib):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            public = getattr(module, name)
            assert public.__doc__, f"{name} has no docstring"
