"""What our sources use of TensorRT's Python bindings, read from the sources themselves.

An object of TensorRT is known by the name of the variable that holds it; a method called on anything else than those
and our own objects is reported, so that a new call cannot slip past the check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: Expressions that are the module.
MODULE = frozenset({"tensorrt", "library", "self._tensorrt"})

#: Expressions that hold an object of TensorRT, and its class.
KINDS = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "config.get_timing_cache()": "ITimingCache",
    "optimization": "IOptimizationProfile",
    "cache": "ITimingCache",
    "engine": "ICudaEngine",
    "self._engine": "ICudaEngine",
    "context": "IExecutionContext",
    "self._runtime": "Runtime",
    "runtime": "Runtime",
    "rtx_config": "IRuntimeConfig",
    "self._rtx_cache": "IRuntimeCache",
}

#: Expressions that hold our own objects, or those of Python and NumPy.
OWN = frozenset(
    {
        *(
            "self",
            "super()",
            "cuda",
            "cuda.gpu",
            "self._cuda",
            "self._cuda.gpu",
            "bundle",
            "bundle.manifest",
            "profile",
            "self.profile",
            "flavour",
        ),
        *("profile.shapes(image_size)", "tensors", "inputs", "shapes", "batch", "math", "np", "dataclasses"),
        *("runner", "cutting", "self._plain()", "self._device()", "prepared", "self._prepared"),
        *("self._buffers", "self._prepared.values()", "self._answer(EMBEDDING, count)"),
        "self._buffers[name].values[:count * math.prod(tail)]",
        "self._buffers[name].values[:math.prod(shapes[name])]",
        *("timing_cache", "timing_cache.parent", "path", "stream", "found", "self.errors", "self.steps", "part"),
        *(
            "str(tensorrt.__version__)",
            "str(msg)",
            "importlib",
            "BatchProfile",
            "file",
            "contexts",
            "known",
            "_REASONS",
            "name",
            "number",
            "library.ComputeCapability.__members__",
        ),
    }
)


@dataclass(frozen=True)
class Use:
    """One attribute that is read, set or called.

    Attributes:
        where: File and line.
        owner: Class in the module; empty for the module itself.
        name: The attribute; `__init__` where the class itself is called.
        positional: Positional arguments of a call, `self` among them; None where it is not called.
        more: Whether more positional arguments come from a sequence.
        keywords: Names of keyword arguments.
        stored: Whether it is set.
    """

    where: str
    owner: str
    name: str
    positional: int | None = None
    more: bool = False
    keywords: tuple[str, ...] = ()
    stored: bool = False


@dataclass
class Usage:
    """What some sources use.

    Attributes:
        uses: Attributes of TensorRT.
        unknown: Methods called on what is neither TensorRT's nor ours.
        overrides: File and line, class, method and parameters of every method of a subclass.
    """

    uses: list[Use] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    overrides: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)


def used_api(paths: list[Path]) -> Usage:
    """Reads sources."""
    usage = Usage()
    for path in paths:
        tree = ast.parse(path.read_text())
        calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                _attribute(node, calls.get(id(node)), f"{path.name}:{node.lineno}", usage)
            elif isinstance(node, ast.ClassDef):
                usage.overrides.extend(_overrides(node, path.name))
    return usage


def _attribute(node: ast.Attribute, call: ast.Call | None, where: str, usage: Usage) -> None:
    base = ast.unparse(node.value)
    if base in MODULE:
        usage.uses.append(Use(where, "", node.attr))
        if call is not None:
            usage.uses.append(_called(call, where, node.attr, "__init__", bound=True))
    elif base.rpartition(".")[0] in MODULE:
        # A member of a class: of an enumeration, or a method that is given its object itself.
        owner = base.rpartition(".")[2]
        member = Use(where, owner, node.attr)
        usage.uses.append(member if call is None else _called(call, where, owner, node.attr, bound=False))
    elif base in KINDS:
        owner = KINDS[base]
        if call is not None:
            usage.uses.append(_called(call, where, owner, node.attr, bound=True))
        else:
            usage.uses.append(Use(where, owner, node.attr, stored=isinstance(node.ctx, ast.Store)))
    elif call is not None and base not in OWN and not isinstance(node.value, (ast.Constant, ast.JoinedStr)):
        usage.unknown.append(f"{where}: {base}.{node.attr}()")


def _called(call: ast.Call, where: str, owner: str, name: str, *, bound: bool) -> Use:
    plain = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    return Use(
        where,
        owner,
        name,
        positional=len(plain) + bound,
        more=len(plain) < len(call.args),
        keywords=tuple(keyword.arg or "**" for keyword in call.keywords),
    )


def _overrides(node: ast.ClassDef, file: str) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    for base in node.bases:
        if not isinstance(base, ast.Attribute) or ast.unparse(base.value) not in MODULE:
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and method.name != "__init__":
                parameters = tuple(argument.arg for argument in method.args.args)
                yield f"{file}:{method.lineno}", base.attr, method.name, parameters
