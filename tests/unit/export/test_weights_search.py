"""The encoder is found inside any wrapper and under any prefix, and never chosen from several."""

from __future__ import annotations

import argparse
import os
import pickle
import shlex
import subprocess
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

import safetensors.torch  # noqa: E402

from mvrec_edge.export import read_checkpoint  # noqa: E402
from mvrec_edge.export.numpy_values import NUMPY_STAND_INS  # noqa: E402
from mvrec_edge.runtime.errors import CheckpointError  # noqa: E402
from tests.unit.export.conftest import SMALL  # noqa: E402

Tensors = dict[str, "torch.Tensor"]


def under(prefix: str, state: Tensors) -> Tensors:
    return {prefix + name: value for name, value in state.items()}


def other(state: Tensors) -> Tensors:
    return {name: value + 1 for name, value in state.items()}


def between(part: str, state: Tensors) -> Tensors:
    """A wrapper around each block and around the transformer."""
    inside = {name.replace("resblocks.1.", f"resblocks.1.{part}."): value for name, value in state.items()}
    return {name.replace("transformer.", f"transformer.{part}."): value for name, value in inside.items()}


def optimizer(state: Tensors) -> dict[str, object]:
    moments = {place: {"step": torch.tensor(3.0), "exp_avg": value} for place, value in enumerate(state.values())}
    return {"state": moments, "param_groups": [{"lr": 0.1, "params": list(moments)}]}


def lightning(state: Tensors) -> dict[str, object]:
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**under("model.visual.", state), "loss.weight": torch.ones(2)},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer(state)],
        "hyper_parameters": {"lr": 0.1},
    }


def text_tower(state: Tensors) -> Tensors:
    rest = {"positional_embedding": torch.zeros(7, 5), "token_embedding.weight": torch.zeros(9, 5)}
    return {**under("visual.", state), **rest, "transformer.resblocks.0.ln_1.weight": torch.zeros(5)}


def shared_twice(state: Tensors) -> dict[str, object]:
    return {"model": state, "best": state}


def with_a_plain_clip(state: Tensors) -> Tensors:
    plain = {name: value for name, value in state.items() if name != "conv1_alpha.weight"}
    return {**under("teacher.", other(plain)), **under("student.", state)}


FORMS: dict[str, Callable[[Tensors], object]] = {
    **{
        f"prefix {prefix}": lambda state, prefix=prefix: under(prefix, state)
        for prefix in (
            *("_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "backbone.encoder.", "x."),
            *("image_encoder.visual.", "base_model.model.visual.", "module.module."),
        )
    },
    **{
        f"inside {name}": lambda state, name=name: {name: state, "epoch": 3, "lr": 0.1, "best": None}
        for name in ("model_state_dict", "state_dict_ema", "ema", "net", "weights", "a b", "state.dict")
    },
    **{
        f"{part} within names": lambda state, part=part: between(part, state)
        for part in ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module")
    },
    "a prefix of wrappers on some names": lambda state: {
        ("module." if name.startswith("transformer") else "") + name: value for name, value in state.items()
    },
    "nested": lambda state: {"checkpoint": {"model": {"net": under("module.", state)}}},
    "a pair": lambda state: (state, optimizer(state)),
    "inside a list": lambda state: {"models": [state]},
    "beside an optimizer": lambda state: {"net": state, "optimizer": optimizer(state), "scaler": {"scale": 1.0}},
    "beside an optimizer whose state is by name": lambda state: {
        "net": state,
        "optimizer": {"state": {name: {"exp_avg": value} for name, value in state.items()}},
    },
    "lightning": lightning,
    "the parts of a CLIP apart": lambda state: {
        "model": {"visual": state, "text": {"ln_1.weight": torch.zeros(3), "positional_embedding": torch.zeros(2, 3)}}
    },
    "a CLIP under a prefix": lambda state: under("clip.", text_tower(state)),
    "an encoder and a head": lambda state: {**under("encoder.", state), "head.weight": torch.zeros(3, 24)},
    "a teacher that is a plain CLIP": with_a_plain_clip,
    "one mapping under two names": shared_twice,
    "an epoch beside the tensors": lambda state: {**state, "epoch": 3, "config": {"lr": 0.1}, "module.best": None},
    "ordered": lambda state: OrderedDict(state_dict=OrderedDict(state)),
    "numpy scalars": lambda state: {
        "state_dict": state,
        "accuracy": np.float64(0.9),
        "history": [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("best"), np.datetime64("2026-01-01")],
    },
    "numpy arrays": lambda state: {"model": state, "losses": np.arange(3.0), "names": np.array(["a", "b"])},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_one_encoder_is_found(tensors: Tensors, tmp_path: Path, form: str) -> None:
    torch.save(FORMS[form](tensors), tmp_path / "a.pth")
    weights = read_checkpoint(tmp_path / "a.pth")
    assert weights.architecture == SMALL
    assert set(weights.tensors) == set(tensors)
    for name, value in tensors.items():
        torch.testing.assert_close(weights.tensors[name], value, rtol=0, atol=0)


def test_how_it_was_stored_is_told(tensors: Tensors, tmp_path: Path) -> None:
    torch.save({"run": {"net": under("_orig_mod.encoder.", tensors)}}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").form == (
        "PyTorch file, inside 'run', inside 'net', prefix '_orig_mod.', prefix 'encoder.'"
    )
    torch.save({**under("net.", tensors), "head.weight": torch.zeros(2), "step": 3}, tmp_path / "b.pth")
    assert read_checkpoint(tmp_path / "b.pth").form.endswith("2 entries beside the visual encoder left out")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "model.visual.", "encoder."])
def test_a_safetensors_file_may_have_a_prefix(tensors: Tensors, tmp_path: Path, prefix: str) -> None:
    safetensors.torch.save_file(under(prefix, tensors), tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors").architecture == SMALL


SEVERAL: dict[str, tuple[Callable[[Tensors], object], tuple[str, ...]]] = {
    "weights and their average": (
        lambda state: {"model": state, "ema": other(state)},
        ("2 encoders", "inside 'model'", "inside 'ema'"),
    ),
    "the names that were preferred before": (
        lambda state: {"state_dict": under("module.", state), "model": other(state)},
        ("inside 'state_dict'", "inside 'model'"),
    ),
    "two prefixes": (
        lambda state: {**under("module.student.", state), **under("module.teacher.", other(state))},
        ("under the prefix 'module.student.'", "under the prefix 'module.teacher.'"),
    ),
    "an average in a callback": (
        lambda state: {"state_dict": under("net.", state), "callbacks": {"EMA": {"ema_state_dict": other(state)}}},
        ("inside 'state_dict', under the prefix 'net.'", "inside 'callbacks', inside 'EMA', inside 'ema_state_dict'"),
    ),
    "with a prefix and without": (
        lambda state: {**state, **under("model_ema.", other(state))},
        ("without a prefix", "under the prefix 'model_ema.'"),
    ),
    "four": (
        lambda state: {name: other(state) for name in "abcd"},
        ("4 encoders", "inside 'a' and inside 'b' and inside 'c' and 1 more"),
    ),
    "a list of two": (lambda state: [state, other(state)], ("inside '0'", "inside '1'")),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_of_several_none_is_chosen(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """And the command of the message saves one of them."""
    make, words = SEVERAL[case]
    torch.save(make(tensors), tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "a.pth")
    for word in words:
        assert word in str(caught.value)
    _run(str(caught.value), monkeypatch, tmp_path)
    assert read_checkpoint(tmp_path / "one.pth").architecture == SMALL


def test_of_several_in_a_safetensors_file_one_is_saved_too(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safetensors.torch.save_file({**under("a.", tensors), **under("b.", other(tensors))}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"under the prefix 'a\.' and under the prefix 'b\.'") as caught:
        read_checkpoint(tmp_path / "x.safetensors")
    _run(str(caught.value), monkeypatch, tmp_path)
    weights = read_checkpoint(tmp_path / "one.safetensors")
    torch.testing.assert_close(weights.tensors["proj"], tensors["proj"], rtol=0, atol=0)


def _run(message: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Does what the command in a message would do, in this process."""
    words = shlex.split(message[message.index("python -c ") : message.rindex(")")])
    assert words[:2] == ["python", "-c"]
    assert len(words) == 3
    monkeypatch.chdir(folder)
    exec(words[2], {})  # noqa: S102 (our own message, which a person is asked to run)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("ln_pre.weight", "ln_pre.bias", "proj"), "has 'proj' under the prefix 'model.', and other tensors without"),
        (("transformer.",), r"has 'transformer\.resblocks\.0\.[\w.]+' under the prefix 'model\.'"),
        (("transformer.resblocks.1.mlp.c_fc.bias",), r"'transformer\.resblocks\.1\.mlp\.c_fc\.bias' under the prefix"),
    ],
)
def test_a_prefix_on_some_names_is_named(
    tensors: Tensors, tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    state = {("model." if name.startswith(names) else "") + name: value for name, value in tensors.items()}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "a.pth")


def test_names_that_differ_by_a_wrapper_alone_are_both_named(tensors: Tensors, tmp_path: Path) -> None:
    torch.save({**tensors, "_orig_mod.proj": tensors["proj"]}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"occurs twice under different names, 'proj' and '_orig_mod\.proj'"):
        read_checkpoint(tmp_path / "a.pth")


def test_a_mapping_that_holds_itself_ends(tensors: Tensors, tmp_path: Path) -> None:
    whole: dict[str, object] = {"a": {"b": tensors}}
    whole["self"] = whole
    # Wide and deep: every path through it would be 10^12 of them.
    level: object = {"end": torch.zeros(1)}
    for _ in range(6):
        level = {f"{place}": level for place in range(100)}
    whole["wide"] = level
    torch.save(whole, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").form == "PyTorch file, inside 'a', inside 'b'"


def test_weights_that_are_arrays_are_refused_with_a_remedy(tensors: Tensors, tmp_path: Path) -> None:
    torch.save({"model": {name: value.numpy() for name, value in tensors.items()}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"only values of numpy .*from_numpy"):
        read_checkpoint(tmp_path / "a.pth")
    torch.save({**tensors, "proj": tensors["proj"].numpy()}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="'proj' is no tensor"):
        read_checkpoint(tmp_path / "b.pth")


def test_the_index_of_a_checkpoint_in_parts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text('{"metadata": {}, "weight_map": {"conv1.weight": "model-00001-of-00002.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"lists the files of a checkpoint in several parts .*one file"):
        read_checkpoint(path)


def _renamed(path: Path, old: bytes, new: bytes) -> None:
    """Rewrites an archive's pickle as an older numpy wrote it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries:
            archive.writestr(entry.filename, data.replace(old, new) if entry.filename.endswith("data.pkl") else data)


@pytest.mark.parametrize("core", ["core", "_core"])
@pytest.mark.parametrize("value", [np.float32(0.5), np.arange(3)])
def test_values_of_any_numpy_are_stepped_over(tensors: Tensors, tmp_path: Path, core: str, value: object) -> None:
    torch.save({"state_dict": tensors, "accuracy": value}, tmp_path / "a.pth")
    for written in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        _renamed(tmp_path / "a.pth", written, f"numpy.{core}.multiarray".encode())
    assert read_checkpoint(tmp_path / "a.pth").architecture == SMALL


def test_nothing_of_numpy_is_called(tensors: Tensors, tmp_path: Path) -> None:
    """A type that numpy would refuse, and bytes that do not fit it."""

    class Forged:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return np.float64(1).__reduce__()[0], (np.dtype("O"), b"\xff" * 8)

    torch.save({"state_dict": tensors, "x": Forged()}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").architecture == SMALL
    assert not set(NUMPY_STAND_INS) & set(torch.serialization.get_safe_globals())


class Config:
    """Of the program that trained."""


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("sprung",)


MORE: dict[str, tuple[object, str]] = {
    "a namespace": (argparse.Namespace(lr=0.1), "argparse.Namespace"),
    "a path": (Path("runs/1"), "PosixPath"),
    "deeper": ({"config": [{"path": Path("runs/1")}]}, "PosixPath"),
    "a class of its own": (Config(), "test_weights_search.Config"),
    "a default dict": (defaultdict(list), "collections.defaultdict"),
}


@pytest.mark.parametrize("case", MORE)
@pytest.mark.parametrize("wrapped", [True, False])
def test_what_is_more_than_weights_is_refused_and_its_owner_told_what_to_do(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, wrapped: bool
) -> None:
    value, name = MORE[case]
    state = {"model": under("module.", tensors), "x": value} if wrapped else {**tensors, "x": value}
    torch.save(state, tmp_path / "it's mine.pth")
    with pytest.raises(CheckpointError, match="was not run: it asks for") as caught:
        read_checkpoint(tmp_path / "it's mine.pth")
    message = str(caught.value)
    assert name in message
    assert "only whoever made the file should load it" in message
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python -c" in message
    _run(message, monkeypatch, tmp_path)
    weights = read_checkpoint(tmp_path / "it's mine.weights.pth")
    torch.testing.assert_close(weights.tensors["proj"], tensors["proj"], rtol=0, atol=0)


def test_the_command_is_one_of_a_shell(tensors: Tensors, tmp_path: Path) -> None:
    torch.save({"net": tensors, "args": argparse.Namespace(lr=0.1)}, tmp_path / 'a "b" $c.pth')
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / 'a "b" $c.pth')
    message = str(caught.value)
    command = message[message.index("TORCH_FORCE") : message.rindex(")")].replace("python -c", "printf %s")
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert 'torch.load("a \\"b\\" $c.pth"' in printed
    compile(printed, "command", "exec")


def test_a_trap_among_values_of_numpy_stays_shut(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": tensors, "accuracy": np.float64(1), "x": Trap()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps([np.float64(1), Trap()], protocol=2))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(CheckpointError, match="was not run"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
