"""What our sources use of TensorRT's Python bindings, read off the sources themselves."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "runtime" / "engines" / "tensorrt"

#: Names under which our sources hold the module or an object of one of its classes; "" is the module.
KINDS = {
    "tensorrt": "",
    "library": "",
    "self._tensorrt": "",
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "shapes": "IOptimizationProfile",
    "cache": "ITimingCache",
    "config.get_timing_cache()": "ITimingCache",
    "engine": "ICudaEngine",
    "self._engine": "ICudaEngine",
    "context": "IExecutionContext",
    "self._runtime": "Runtime",
}
_FILES = ("builder.py", "engine.py", "library.py")


@dataclass(frozen=True, order=True)
class Use:
    """One attribute, and how it is called, if it is.

    Attributes:
        owner: A class of the module; empty for the module itself.
        name: The attribute, with dots for what lies in it.
        positional: Positional arguments of the call; -1 where it is not called.
        keywords: Names of its keyword arguments.
    """

    owner: str
    name: str
    positional: int = -1
    keywords: tuple[str, ...] = ()


def used_api() -> list[Use]:
    """Every use in the sources."""
    found: set[Use] = set()
    for name in _FILES:
        tree = ast.parse((SOURCES / name).read_text())
        calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            owner, path = _split(node)
            # Of `tensorrt.ILogger.ERROR` the longest counts; `__version__` and `__init__` are nobody's own.
            if owner is None or (KINDS[owner] == "" and id(node) in inner) or path.endswith("__"):
                continue
            call = calls.get(id(node))
            if call is None:
                found.add(Use(KINDS[owner], path))
            else:
                positional = 100 if any(isinstance(item, ast.Starred) for item in call.args) else len(call.args)
                keywords = tuple(sorted(item.arg for item in call.keywords if item.arg))
                found.add(Use(KINDS[owner], path, positional, keywords))
    return sorted(found)


def _split(node: ast.Attribute) -> tuple[str | None, str]:
    """The known name that an attribute hangs on, and the rest; None where it hangs on another."""
    text = ast.unparse(node)
    for name in sorted(KINDS, key=len, reverse=True):
        if text.startswith(name + ".") and "(" not in text[len(name) :]:
            return name, text[len(name) + 1 :]
    return None, ""


def other_roots() -> set[str]:
    """The names that attributes hang on and that are none of the library's, so that a new one is not overlooked."""
    found = set()
    for name in _FILES:
        for node in ast.walk(ast.parse((SOURCES / name).read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in KINDS:
                found.add(node.value.id)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in KINDS:
                continue
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).startswith("self._"):
                found.add(ast.unparse(node.value))
    return found


def overridden() -> dict[str, dict[str, list[str]]]:
    """For each class of the library that ours derive from, its methods that we override, with their parameters."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in _FILES:
        for node in ast.walk(ast.parse((SOURCES / name).read_text())):
            if isinstance(node, ast.ClassDef) and node.bases and ast.unparse(node.bases[0]).startswith("tensorrt."):
                base = ast.unparse(node.bases[0]).removeprefix("tensorrt.")
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name != "__init__"]
                found[base] = {item.name: [argument.arg for argument in item.args.args[1:]] for item in methods}
    return found
