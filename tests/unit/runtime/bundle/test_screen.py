"""The screen in front of the engines: what an ONNX file may not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.bundle.screen import screen_onnx
from mvrec_edge.runtime.errors import IntegrityError
from tests.harness.limits import cost_of, fault

onnx = pytest.importorskip("onnx", reason="onnx makes the graphs that are screened")
DecodeError = pytest.importorskip("google.protobuf.message").DecodeError


def _graph() -> onnx.GraphProto:
    helper = onnx.helper
    weight = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])
    return helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value], [result], [weight])


def _save(path: Path, change: Callable[[onnx.ModelProto], None] = lambda _: None) -> Path:
    model = onnx.helper.make_model(_graph(), opset_imports=[onnx.helper.make_opsetid("", 18)])
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_plain_graph_passes(tmp_path: Path) -> None:
    screen_onnx(_save(tmp_path / "a.onnx"))
    assert (tmp_path / "a.onnx").exists()


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_without_location(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="x")


def _foreign_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("evil.custom", 1))


def _foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "evil.custom"


def _function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="")


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def _sparse_constant(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.SetInParent()


def _sparse_constants(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.SPARSE_TENSORS).sparse_tensors.add()


def _subgraph(model: onnx.ModelProto) -> None:
    inner = _graph()
    inner.node[0].domain = "evil.custom"
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))


def _external_constant(model: onnx.ModelProto) -> None:
    tensor = onnx.TensorProto(name="c", data_location=onnx.TensorProto.EXTERNAL)
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _two_graphs_worth_of_nothing(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


@pytest.mark.parametrize(
    "change",
    [
        _external,
        _external_without_location,
        _foreign_opset,
        _foreign_node,
        _function,
        _sparse,
        _sparse_constant,
        _sparse_constants,
        _subgraph,
        _external_constant,
        _training,
        _two_graphs_worth_of_nothing,
    ],
)
def test_what_must_not_run_is_refused(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    with pytest.raises(IntegrityError):
        screen_onnx(_save(tmp_path / "a.onnx", change))


def test_operators_of_onnx_runtime_are_allowed_where_the_caller_says_so(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        model.graph.node[0].domain = "com.microsoft"

    path = _save(tmp_path / "a.onnx", change)
    screen_onnx(path, None, ("com.microsoft",))
    with pytest.raises(IntegrityError, match=r"operators of the domain 'com\.microsoft'"):
        screen_onnx(path)
    with pytest.raises(IntegrityError, match=r"operators of the domain 'evil\.custom'"):
        screen_onnx(_save(path, _foreign_node), None, ("com.microsoft",))


WEIGHTS = "a.weights"
#: The weight of `_graph` lies here: 2 x 2 values of float32.
PLACE = {"location": WEIGHTS, "offset": "16", "length": "16"}


def _beside(
    entries: dict[str, str] | list[tuple[str, str]], change: Callable[[onnx.TensorProto], None] = lambda _: None
) -> Callable[[onnx.ModelProto], None]:
    """Moves the weight out of the graph, to the place that `entries` name."""

    def move(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in entries.items() if isinstance(entries, dict) else entries:
            tensor.external_data.add(key=key, value=value)
        change(tensor)

    return move


def _screen(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    (folder / WEIGHTS).write_bytes(bytes(32))
    screen_onnx(_save(folder / "a.onnx", change), folder / WEIGHTS)


def test_weights_may_lie_in_the_file_that_belongs_to_the_graph(tmp_path: Path) -> None:
    _screen(tmp_path, _beside(PLACE))
    _screen(tmp_path, _beside(PLACE | {"offset": "0"}))
    with pytest.raises(IntegrityError, match="keeps tensors in another file"):
        screen_onnx(tmp_path / "a.onnx")


def test_weights_may_overlap(tmp_path: Path) -> None:
    """They are only read, and graphs share them."""

    def twice(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(model.graph.initializer[0])
        model.graph.initializer[1].name = "again"
        for tensor, offset in zip(model.graph.initializer, ("0", "8"), strict=True):
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (PLACE | {"offset": offset}).items():
                tensor.external_data.add(key=key, value=value)

    _screen(tmp_path, twice)


@pytest.mark.parametrize(
    "location",
    [
        *("b.weights", "", ".", "..", "/etc/passwd", f"./{WEIGHTS}", f"../{WEIGHTS}", f"sub/../{WEIGHTS}"),
        *(f" {WEIGHTS}", f"{WEIGHTS} ", f"{WEIGHTS}\0", f"{WEIGHTS}\0/x", WEIGHTS.upper(), f"file:{WEIGHTS}"),
        f"sub\\{WEIGHTS}",
    ],
)
def test_another_location_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(IntegrityError, match=r"keeps tensors in .* and not in 'a\.weights' beside it"):
        _screen(tmp_path, _beside(PLACE | {"location": location}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": "17"}, "beyond the end"),
        ({"offset": "32"}, "beyond the end"),
        ({"offset": "9999999999999999999"}, "beyond the end"),
        ({"offset": "18446744073709551616"}, "what is no number"),
        ({"offset": "-16"}, "what is no number"),
        ({"offset": "+16"}, "what is no number"),
        ({"offset": " 16"}, "what is no number"),
        ({"offset": "1_6"}, "what is no number"),
        ({"offset": "\u0661\u0666"}, "what is no number"),
        ({"offset": ""}, "what is no number"),
        ({"offset": "0x10"}, "what is no number"),
        ({"length": "1.6e1"}, "what is no number"),
        ({"length": "15"}, "another length"),
        ({"length": "17"}, "another length"),
        ({"length": "0"}, "another length"),
    ],
)
def test_a_place_outside_of_the_file_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        _screen(tmp_path, _beside(PLACE | changes))


@pytest.mark.parametrize("missing", ["location", "offset", "length"])
def test_a_place_that_is_not_all_there_is_refused(tmp_path: Path, missing: str) -> None:
    entries = {key: value for key, value in PLACE.items() if key != missing}
    with pytest.raises(IntegrityError, match="does not say where a tensor begins and ends"):
        _screen(tmp_path, _beside(entries))


def test_more_than_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="does not say where"):
        _screen(tmp_path, _beside(PLACE | {"basepath": "/etc"}))
    with pytest.raises(IntegrityError, match="says twice"):
        _screen(tmp_path, _beside([*PLACE.items(), ("location", "/etc/passwd")]))
    with pytest.raises(IntegrityError, match="well-formed"):
        _screen(tmp_path, _beside(PLACE | {"location": "a" * 2000}))


def _elements_as_well(tensor: onnx.TensorProto) -> None:
    tensor.raw_data = bytes(16)


def _spelt_out_as_well(tensor: onnx.TensorProto) -> None:
    tensor.float_data.append(1.0)


def _inside_after_all(tensor: onnx.TensorProto) -> None:
    tensor.data_location = onnx.TensorProto.DEFAULT


def _nowhere(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("data_location")


def _texts(tensor: onnx.TensorProto) -> None:
    tensor.data_type = onnx.TensorProto.STRING


def _negative(tensor: onnx.TensorProto) -> None:
    tensor.dims[:] = [-2, -2]


def _huge(tensor: onnx.TensorProto) -> None:
    tensor.dims[:] = [1 << 62, 1 << 62]


@pytest.mark.parametrize(
    "change",
    [_elements_as_well, _spelt_out_as_well, _inside_after_all, _nowhere, _texts, _negative, _huge],
)
def test_a_tensor_that_says_two_things_is_refused(tmp_path: Path, change: Callable[[onnx.TensorProto], None]) -> None:
    with pytest.raises(IntegrityError):
        _screen(tmp_path, _beside(PLACE, change))


def test_constants_and_nested_graphs_keep_theirs_inside(tmp_path: Path) -> None:
    def constant(model: onnx.ModelProto) -> None:
        _beside(PLACE)(model)
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", model.graph.initializer[0]))

    def nested(model: onnx.ModelProto) -> None:
        inner = onnx.ModelProto(graph=_graph())
        _beside(PLACE)(inner)
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner.graph))

    for change in (constant, nested):
        with pytest.raises(IntegrityError, match="keeps tensors in another file"):
            _screen(tmp_path, change)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused_or_leads_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    _screen(folder, _beside(PLACE))
    path = folder / "a.onnx"
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        screen_onnx(path, folder / WEIGHTS)
    except IntegrityError:
        return
    try:
        read = onnx.load(path, load_external_data=False)
    # What no library reads leads nowhere, either.
    except DecodeError:
        return
    for tensor in read.graph.initializer:
        places = {item.key: item.value for item in tensor.external_data}
        assert places.get("location", WEIGHTS) == WEIGHTS
        assert int(places.get("offset", 0)) + int(places.get("length", 0)) <= 32


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        inner = _graph()
        for _ in range(12):
            outer = _graph()
            outer.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
            inner = outer
        model.graph.CopyFrom(inner)

    with pytest.raises(IntegrityError, match="nested"):
        screen_onnx(_save(tmp_path / "a.onnx", change))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.onnx"
    path.write_bytes(noise)
    with pytest.raises(IntegrityError):
        screen_onnx(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    whole = _save(tmp_path / "a.onnx").read_bytes()
    for length in range(len(whole) - 1):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        try:
            screen_onnx(tmp_path / "cut.onnx")
        except IntegrityError:
            continue
        # A cut between two fields is well-formed; only trailing fields, never the graph, can be missing then.
        assert onnx.load_from_string(whole[:length]).graph.node[0].op_type == "MatMul"


def _tag(number: int, wire: int = 2) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    text = bytearray()
    while value >= 0x80:
        text.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*text, value])


def _message(number: int, content: bytes) -> bytes:
    return _tag(number) + _varint(len(content)) + content


#: Places in a file, each as the fields that lead to it: model, graph, node, attribute, tensor, value, its type, opset.
PLACES = [(), (7,), (7, 1), (7, 1, 5), (7, 5), (7, 13), (7, 13, 2), (7, 13, 2, 1), (8,), (14,)]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("number", [30, 100, (1 << 29) - 1])
def test_a_field_that_is_not_known_is_refused(tmp_path: Path, place: tuple[int, ...], number: int) -> None:
    in_graph = place[:1] == (7,)
    extra = _message(number, b"")
    for field in reversed(place[1:] if in_graph else place):
        extra = _message(field, extra)
    graph = _graph().SerializeToString()
    parts = (graph + extra, b"") if in_graph else (graph, extra)
    path = tmp_path / "a.onnx"
    path.write_bytes(_message(7, parts[0]) + parts[1])
    onnx.load_from_string(path.read_bytes())
    with pytest.raises(IntegrityError, match=f"has a field {number} in a message"):
        screen_onnx(path)


@pytest.mark.parametrize("number", [5, 13])
@pytest.mark.parametrize("added", [1 << 32, 1 << 35, 1 << 63])
def test_a_tag_beyond_32_bits_is_refused(tmp_path: Path, number: int, added: int) -> None:
    """Some readers look at its lower bits alone, and would see another field."""
    path = _save(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes() + _varint((number << 3 | 2) + added) + b"\x00")
    with pytest.raises(IntegrityError, match="well-formed"):
        screen_onnx(path)


def _tensors(graph: onnx.GraphProto, depth: int = 0) -> list[tuple[int, onnx.TensorProto]]:
    """Every tensor that the onnx library sees, with the depth of its graph; -1 for those in attributes."""
    assert not graph.sparse_initializer
    found = [(depth, tensor) for tensor in graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            assert not attribute.HasField("sparse_tensor")
            assert not attribute.sparse_tensors
            found += [(-1, tensor) for tensor in (attribute.t, *attribute.tensors)]
            for inner in (attribute.g, *attribute.graphs):
                found += _tensors(inner, depth + 1)
    return found


def _domains(graph: onnx.GraphProto) -> set[str]:
    found = {node.domain for node in graph.node}
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _domains(inner)
    return found


@settings(max_examples=600, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(["set", "insert", "delete", "copy"]), st.integers(0, 1 << 16), st.integers(0, 255)),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_passes_means_the_same_to_the_onnx_library(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "differential"
    folder.mkdir(exist_ok=True)
    (folder / WEIGHTS).write_bytes(bytes(32))
    model = onnx.helper.make_model(_graph(), opset_imports=[onnx.helper.make_opsetid("", 18)])
    inner = onnx.helper.make_attribute("body", _graph())
    constant = onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(np.ones(2, np.float32), "c"))
    model.graph.node[0].attribute.extend([inner, constant])
    _beside(PLACE)(model)
    data = bytearray(model.SerializeToString())
    for kind, place, value in changes:
        place %= len(data)
        if kind == "set":
            data[place] = value
        elif kind == "insert":
            data.insert(place, value)
        elif kind == "delete":
            del data[place : place + value % 8]
        else:
            data[place:place] = data[place : place + value]
        if not data:
            return
    path = folder / "a.onnx"
    path.write_bytes(data)
    try:
        screen_onnx(path, folder / WEIGHTS)
        seen = onnx.load_from_string(bytes(data))
    except (IntegrityError, DecodeError):
        return
    assert not seen.functions
    assert not seen.training_info
    assert _domains(seen.graph) | {opset.domain for opset in seen.opset_import} <= {"", "ai.onnx"}
    for depth, tensor in _tensors(seen.graph):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            assert depth == 0
            entries = {entry.key: entry.value for entry in tensor.external_data}
            assert entries["location"] == WEIGHTS
            assert int(entries["offset"]) + int(entries["length"]) <= 32


_KNOWN_TO_NOBODY = {
    "a graph as a number": b"\x38\x01",
    "a name as four bytes": b"\x15abcd",
    "a version as a text": b"\x0a\x01a",
}


@pytest.mark.parametrize("extra", _KNOWN_TO_NOBODY.values(), ids=_KNOWN_TO_NOBODY)
def test_a_field_in_another_encoding_is_refused(tmp_path: Path, extra: bytes) -> None:
    """The libraries take it for a field that they do not know, and read on."""
    path = _save(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes() + extra)
    assert onnx.load_from_string(path.read_bytes()).ByteSize() == path.stat().st_size
    with pytest.raises(IntegrityError):
        screen_onnx(path)


@pytest.mark.parametrize(("number", "value"), [(14, 2), (14, 300)])
def test_a_word_that_is_none_is_refused(tmp_path: Path, number: int, value: int) -> None:
    def change(model: onnx.ModelProto) -> None:
        varint = b""
        while value >> 7 * len(varint):
            varint += bytes([(value >> 7 * len(varint)) & 0x7F | 0x80])
        tensor = model.graph.initializer[0]
        tensor.MergeFromString(bytes([number << 3]) + varint[:-1] + bytes([varint[-1] & 0x7F]))

    with pytest.raises(IntegrityError):
        screen_onnx(_save(tmp_path / "a.onnx", change))


def test_a_graph_of_millions_of_fields_is_refused_at_little_cost(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes() + b"\x12\x00" * 3_000_000)
    cost = cost_of(lambda: screen_onnx(path))
    assert fault(cost) is None
    assert "too many fields" in str(cost.refusal)


def test_a_shape_of_millions_of_sides_is_refused_at_little_cost(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        _beside(PLACE)(model)
        model.graph.initializer[0].dims[:] = [1] * 3_000_000

    (tmp_path / WEIGHTS).write_bytes(bytes(32))
    path = _save(tmp_path / "a.onnx", change)
    cost = cost_of(lambda: screen_onnx(path, tmp_path / WEIGHTS))
    assert fault(cost) is None
    assert cost.refusal is not None
