"""Run in a process of its own: prints what the Python bindings of TensorRT, or of TensorRT for RTX, offer, as JSON.

pybind11 writes signatures into docstrings, one for each overload: `name(self: Type, arg: Type = default) -> Type`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any


def signatures(name: str, doc: str) -> list[list[tuple[str, bool]]]:
    """Parameters of every overload, and whether each may be left out."""
    found = re.findall(rf"^(?:\d+\. )?{re.escape(name)}\((.*)\) -> ", doc, re.MULTILINE)
    return [[_parameter(part) for part in _split(text)] for text in found]


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += {"[": 1, "(": 1, "<": 1, "{": 1, "]": -1, ")": -1, ">": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> tuple[str, bool]:
    return re.split(r"[:=]", text)[0].strip(), "=" in text


def surface(module: Any) -> dict[str, Any]:
    """Every class of the module with its attributes."""
    classes: dict[str, Any] = {}
    for name, value in vars(module).items():
        if isinstance(value, type):
            classes[name] = {attribute: _attribute(value, attribute) for attribute in dir(value)}
    return {"version": module.__version__, "module": sorted(dir(module)), "classes": classes}


def _attribute(owner: type, name: str) -> dict[str, Any]:
    value = getattr(owner, name)
    return {
        "signatures": signatures(name, getattr(value, "__doc__", None) or "") if callable(value) else [],
        "settable": isinstance(value, property) and value.fset is not None,
    }


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    sys.stdout.write("\n" + json.dumps(surface(importlib.import_module(sys.argv[2]))))
