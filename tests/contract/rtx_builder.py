"""Run in a process of its own: has NVIDIA's library parse and build graphs, and prints what came of it as JSON lines.

The library cannot load an engine where there is no GPU. But it tells a verbose logger how it has compiled a network:
each part of the engine with the element types that go in and out and the graph's nodes that it is made of, and how much
memory it takes. That is what can be read back without a GPU.
"""

from __future__ import annotations

import collections
import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.tensorrt.profile import DEFAULT_PROFILE, CuttingProfile

_PART = re.compile(r"Name: (.*?), LayerType: (\w+), Inputs: (.*?), Constants: (.*), Outputs: (.*), TacticName: ")
_MEMORY = re.compile(r"(Max Scratch|Total Activation|Total Weights) Memory: (\d+) bytes")


def profile_of(engine: bytes, image_size: int, most: int = 64) -> list[int]:
    """The batch sizes of an engine's profile: its shapes stand among the bytes as they are."""
    shapes = {count: struct.pack("<4q", count, image_size, image_size, 4) for count in range(1, most + 1)}
    return [count for count, shape in shapes.items() if shape in engine]


def built(trt: Any, graph: str, image_size: int) -> dict[str, Any]:
    """Parses and builds one graph.

    Args:
        trt: The library's module.
        graph: Path of the ONNX file.
        image_size: Side of a view in pixels.

    Returns:
        `refused`: what the parser or the builder said; empty where there is an engine.
        `tensors`: the network's inputs and outputs, each with element type and shape.
        `layers`: how often the network has a layer of a kind with these types: `[kind, inputs, output, number]`.
        `parts`: those of the engine: name, kind, types of inputs, constants and outputs, and the nodes it is made of.
        `profile`: the batch sizes of the engine. `memory`: bytes by kind. `header`: the beginning of the engine, in
        hexadecimal. `size`: its bytes. `peak`: the most memory that this process has held so far, in bytes.
    """
    said: list[str] = []

    class Logger(trt.ILogger):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            said.append(msg)
            if severity <= trt.ILogger.ERROR:
                self.errors.append(" ".join(msg.split()))

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(graph):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        return {"refused": "; ".join(f"{error.node_operator()}: {error.desc()}" for error in errors)}
    config = builder.create_builder_config()
    # As our builder does: a float32 product stays one.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.add_optimization_profile(_profile(builder, network, image_size))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return {"refused": "; ".join(logger.errors) or "it does not say why"}
    data = bytes(plan)
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    tensors += [network.get_output(index) for index in range(network.num_outputs)]
    return {
        "refused": "",
        "tensors": {tensor.name: [tensor.dtype.name, list(tensor.shape)] for tensor in tensors},
        "layers": _layers(network),
        "parts": [part for message in said if message.startswith("Layers:") for part in _parts(message)],
        "profile": profile_of(data, image_size),
        "memory": {kind: int(size) for message in said for kind, size in _MEMORY.findall(message)},
        "header": data[: trt.Runtime(logger).engine_header_size].hex(),
        "size": len(data),
        "peak": _peak(),
    }


def _peak() -> int:
    # Not `resource`: what that knows includes what the process that started this one held then.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _profile(builder: Any, network: Any, image_size: int) -> Any:
    """The one of our builder, by default."""
    profile = builder.create_optimization_profile()
    cuts = network.num_inputs > 1
    ours = CuttingProfile.beside(DEFAULT_PROFILE) if cuts else DEFAULT_PROFILE
    for name, shapes in ours.shapes(image_size).items():
        profile.set_shape(name, *shapes)
    return profile


def _layers(network: Any) -> list[list[Any]]:
    found: collections.Counter[tuple[str, tuple[str, ...], str]] = collections.Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        inputs = [layer.get_input(place) for place in range(layer.num_inputs)]
        types = tuple(tensor.dtype.name for tensor in inputs if tensor is not None)
        found[layer.type.name, types, layer.get_output(0).dtype.name] += 1
    return [[kind, list(types), output, number] for (kind, types, output), number in sorted(found.items())]


def _parts(message: str) -> list[dict[str, Any]]:
    """What the message tells of each part of the engine, a line each."""
    found = []
    for line in message.splitlines():
        match = _PART.match(line)
        if match is None:
            continue
        name, kind, *tensors = match.groups()
        inputs, constants, outputs = (re.findall(r"Datatype: (\w+)", text) for text in tensors)
        nodes = re.findall(r"\[ONNX Layer: ([^\]]*)\]", line)
        found.append(
            {
                "name": name,
                "kind": kind,
                "inputs": inputs,
                "constants": constants,
                "outputs": outputs,
                "nodes": nodes,
            }
        )
    return found


def main() -> None:
    """Reads `[[path, image size], ...]` on stdin, and answers with a line for each."""
    sys.path.insert(0, sys.argv[1])
    import tensorrt_rtx_bindings as trt  # type: ignore[import-not-found,unused-ignore]

    for graph, image_size in json.load(sys.stdin):
        # Whatever the library prints stands on lines of its own.
        sys.stdout.write("\n" + json.dumps(built(trt, graph, image_size)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
