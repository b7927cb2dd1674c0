"""Checkpoints in every form in which they are met, and everything that is no checkpoint."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

import safetensors.torch  # noqa: E402

from mvrec_edge.export import random_weights, read_checkpoint  # noqa: E402
from mvrec_edge.export.layout import expected_shapes  # noqa: E402
from mvrec_edge.export.random_weights import NAMED_ARCHITECTURES  # noqa: E402
from mvrec_edge.runtime.bundle import TransformerArchitecture  # noqa: E402
from mvrec_edge.runtime.errors import CheckpointError  # noqa: E402
from tests.unit.export.conftest import SMALL  # noqa: E402

Tensors = dict[str, "torch.Tensor"]


def prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda state: {prefix + name: value for name, value in state.items()}


FORMS: dict[str, Callable[[Tensors], object]] = {
    "bare": lambda state: state,
    "visual.": prefixed("visual."),
    "module.": prefixed("module."),
    "module.visual.": prefixed("module.visual."),
    "visual.module.": prefixed("visual.module."),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": prefixed("module.")(state)},
    "state_dict inside model": lambda state: {"model": {"state_dict": prefixed("module.visual.")(state)}},
    "parameters": lambda state: {name: torch.nn.Parameter(value) for name, value in state.items()},
    "plain clip attention names": lambda state: {
        name.replace("in_proj.", "in_proj_"): value for name, value in state.items()
    },
    "whole clip": lambda state: {
        **prefixed("visual.")(state),
        "text_projection": torch.zeros(3, 3),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(5),
        "logit_scale": torch.tensor(1.0),
        "context_length": torch.tensor(77),
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_weights(tensors: Tensors, tmp_path: Path, form: str) -> None:
    torch.save(FORMS[form](tensors), tmp_path / "a.pth")
    weights = read_checkpoint(tmp_path / "a.pth")
    assert weights.architecture == SMALL
    assert weights.source_name == "a.pth"
    assert len(weights.sha256) == 64
    assert weights.seed is None
    assert set(weights.tensors) == set(tensors)
    for name, value in tensors.items():
        torch.testing.assert_close(weights.tensors[name], value, rtol=0, atol=0)


def test_an_alpha_convolution_of_zeros_is_taken(tensors: Tensors, tmp_path: Path) -> None:
    """As it is before AlphaCLIP's training: poor, and still an encoder."""
    torch.save({**tensors, "conv1_alpha.weight": torch.zeros(64, 1, 16, 16)}, tmp_path / "a.pth")
    assert not read_checkpoint(tmp_path / "a.pth").tensors["conv1_alpha.weight"].any()


def test_form_and_precision_are_told(tensors: Tensors, tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "a.pth")
    plain = read_checkpoint(tmp_path / "a.pth")
    assert (plain.form, plain.dtype) == ("PyTorch file", "float32")
    state = {
        "module.visual." + name.replace("in_proj.", "in_proj_"): value.half() if value.ndim > 1 else value
        for name, value in tensors.items()
    }
    torch.save({"state_dict": {**state, "module.logit_scale": torch.tensor(1.0)}}, tmp_path / "b.pth")
    mixed = read_checkpoint(tmp_path / "b.pth")
    assert mixed.dtype == "float16+float32"
    for word in ("'state_dict'", "'module.'", "'visual.'", "CLIP's attention names", "1 entry"):
        assert word in mixed.form
    safetensors.torch.save_file(tensors, tmp_path / "c.pth")
    assert read_checkpoint(tmp_path / "c.pth").form == "safetensors file"
    assert random_weights(SMALL, seed=0).form == "drawn weights"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions_become_float32(tensors: Tensors, tmp_path: Path, dtype: str) -> None:
    kind = getattr(torch, dtype)
    torch.save({name: value.to(kind) for name, value in tensors.items()}, tmp_path / "a.pth")
    weights = read_checkpoint(tmp_path / "a.pth")
    for name, value in tensors.items():
        assert weights.tensors[name].dtype == torch.float32
        torch.testing.assert_close(weights.tensors[name], value.to(kind).float(), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_safetensors_are_told_by_their_bytes(tensors: Tensors, tmp_path: Path, name: str) -> None:
    safetensors.torch.save_file(tensors, tmp_path / name)
    assert read_checkpoint(tmp_path / name).architecture == SMALL


def test_the_old_file_format_is_read(tensors: Tensors, tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / "a.pth").architecture == SMALL


@pytest.mark.parametrize(
    "name", [name for name, each in NAMED_ARCHITECTURES.items() if isinstance(each, TransformerArchitecture)]
)
def test_named_architectures_are_found_from_their_shapes(name: str) -> None:
    from mvrec_edge.export.layout import check_shapes, find_architecture

    architecture = NAMED_ARCHITECTURES[name]
    shapes = {key: torch.empty(shape, device="meta") for key, shape in expected_shapes(architecture).items()}
    assert find_architecture(shapes, Path("a.pth")) == architecture
    with pytest.raises(CheckpointError, match="has the shape"):
        check_shapes({**shapes, "proj": shapes["proj"][:, 1:]}, architecture, Path("a.pth"))


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def replaced(name: str, change: Callable[[torch.Tensor], object]) -> Callable[[Tensors], dict[str, object]]:
    return lambda state: {**state, name: change(state[name])}


def not_finite(value: torch.Tensor) -> torch.Tensor:
    value = value.clone()
    value.view(-1)[3] = float("nan")
    return value


BROKEN: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "missing": (without("ln_post.bias"), "lacks 1 tensor: 'ln_post.bias'"),
    "many missing": (
        lambda state: {name: value for name, value in state.items() if "mlp" not in name},
        "lacks 8 tensors: .* and 5 more",
    ),
    "unexpected": (lambda state: {**state, "head.weight": torch.zeros(2)}, "holds 1 tensor: 'head.weight'"),
    "plain clip": (without("conv1_alpha.weight"), "CLIP checkpoint without an alpha channel"),
    "no projection": (without("proj"), "there is no 'proj'"),
    "a gap in the layers": (
        lambda state: {name.replace("resblocks.1.", "resblocks.7."): value for name, value in state.items()},
        "lacks 12 tensors",
    ),
    "wrong shape": (replaced("ln_pre.bias", lambda value: value[:-1]), r"'ln_pre.bias' has the shape \[63\]"),
    "wrong dimensions": (replaced("proj", lambda value: value.reshape(-1)), "number of dimensions"),
    "not square": (replaced("positional_embedding", lambda value: value[:-1]), "no square of patches"),
    "odd width": (
        lambda state: {name: value[: 63 if value.shape[0] == 64 else None] for name, value in state.items()},
        "width 63",
    ),
    "nan": (replaced("conv1.weight", not_finite), "'conv1.weight' holds values that are not finite"),
    "infinite": (replaced("proj", lambda value: value / 0), "'proj' holds values that are not finite"),
    "integers": (replaced("proj", lambda value: value.to(torch.int64)), "not floating point"),
    "bytes without scales": (replaced("proj", lambda value: value.to(torch.float8_e4m3fn)), "float8_e4m3fn"),
    "complex": (replaced("proj", lambda value: value.to(torch.complex64)), "complex64"),
    "sparse": (replaced("proj", lambda value: value.to_sparse()), "sparse"),
    "without values": (replaced("proj", lambda value: value.to("meta")), "without values"),
    "too large for float32": (
        lambda state: {name: value.double() * (1e300 if name == "proj" else 1) for name, value in state.items()},
        "'proj' holds values that are not finite",
    ),
    "patches that are not square": (
        replaced("conv1.weight", lambda value: value[..., :8]),
        r"'conv1.weight' has the shape \[64, 3, 16, 8\]",
    ),
    "no channels": (replaced("proj", lambda value: value[:, :0]), "embeddings of 0 channels"),
    "escape codes": (lambda state: {**state, "\x1b[31mred\n": torch.zeros(2)}, r"'\\x1b\[31mred\\n'"),
    # A few bytes in the file that stand for more than any memory.
    "endless stranger": (lambda state: {**state, "x": torch.zeros(1).expand(1 << 40)}, "holds 1 tensor: 'x'"),
    "endless embedding": (replaced("proj", lambda _: torch.zeros(1, 1).expand(64, 1 << 36)), "embeddings of"),
    "endless views": (
        replaced("conv1.weight", lambda _: torch.zeros(1, 1, 1, 1).expand(64, 3, 1 << 20, 1 << 20)),
        "views of 2097152 pixels",
    ),
    "endless weights": (
        lambda state: {
            **state,
            "conv1.weight": torch.zeros(1, 1, 1, 1).expand(8192, 3, 16, 16),
            "transformer.resblocks.255.ln_1.bias": torch.zeros(8192),
        },
        "9.7 GB in float32, and one ONNX file holds 2.1 GB",
    ),
    "a number": (replaced("proj", lambda value: 3), "'proj' is no tensor"),
    "twice": (lambda state: {**state, "module.proj": state["proj"]}, "occurs twice"),
    "lora": (lambda state: {**state, "transformer.resblocks.0.attn.in_proj.lora_A": torch.zeros(2)}, "LoRA"),
    "resnet": (
        lambda state: {
            "visual.conv1.weight": torch.zeros(3, 3, 3, 3),
            "visual.bn1.num_batches_tracked": torch.tensor(1),
            "visual.layer1.0.conv1.weight": torch.zeros(2),
        },
        "ResNet",
    ),
    "empty": (lambda state: {}, "no named tensors"),
    "no tensors": (lambda state: {"epoch": 3}, "no named tensors"),
    "a list": (lambda state: list(state.values()), "no named tensors"),
    "another model": (lambda state: {"fc.weight": torch.zeros(2, 2)}, "not an AlphaCLIP visual checkpoint"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_encoder_is_refused(tensors: Tensors, tmp_path: Path, case: str) -> None:
    change, message = BROKEN[case]
    torch.save(change(tensors), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(tmp_path / "a.pth")
    assert "a.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


class Trap:
    """Would make a folder when unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.place,)


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path) -> None:
    place = tmp_path / "sprung"
    torch.save({"state_dict": Trap(place)}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(place), protocol=2))
    with zipfile.ZipFile(tmp_path / "forged.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap(place)))
        archive.writestr("archive/version", "3\n")
    torch.save({"state_dict": Trap(place)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("zip.pth", "plain.pth", "forged.pth", "old.pth"):
        with pytest.raises(CheckpointError, match="was not run") as caught:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert "weights_only" not in str(caught.value)
        assert not place.exists()
    with pytest.raises(CheckpointError, match=r"it asks for '\w+\.mkdir'"):
        read_checkpoint(tmp_path / "zip.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(CheckpointError, match=r"it asks for 'torch\.nn\.modules\.linear\.Linear'"):
        read_checkpoint(tmp_path / "module.pth")


def test_a_packed_archive_is_refused_unopened(tensors: Tensors, tmp_path: Path) -> None:
    """A thousandth of its size in memory may be the file that a user was sent."""
    torch.save(tensors, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as whole, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for name in whole.namelist():
            data = bytes(1 << 24) if name.endswith("data.pkl") else whole.read(name)
            bomb.writestr(name, data, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="packed archive"):
        read_checkpoint(tmp_path / "bomb.pth")


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_checkpoint(tmp_path / "a.pth")


def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"")
        archive.writestr("a/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(tmp_path / "a.pt")


def test_files_that_are_no_checkpoints(tensors: Tensors, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    whole = buffer.getvalue()
    cases = {
        "empty": b"",
        "short": b"PK\x03\x04",
        "text": b"this is a text and no checkpoint at all",
        "cut": whole[: len(whole) // 2],
        "cut end": whole[:-30],
        "cut safetensors": safetensors.torch.save(tensors)[:-10],
        "cut safetensors header": safetensors.torch.save(tensors)[:200],
        "forged safetensors": (100).to_bytes(8, "little") + b"{" + b"x" * 200,
        "pickle": b"\x80\x02" + b"\x00" * 50,
    }
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    messages = {
        "empty": "is empty",
        "text": "is not a checkpoint",
        "cut": "is cut or damaged",
        "cut safetensors header": "is a cut or damaged safetensors file",
        "other.zip": "is a zip file and no checkpoint",
        "missing": "No such file",
        ".": "is a folder",
        "nul\0": "cannot be read",
    }
    for name in (*cases, "other.zip", "missing", ".", "nul\0"):
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3
        assert messages.get(name, "") in str(caught.value)


def test_a_cut_checkpoint_is_never_taken(tensors: Tensors, tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "a.pth")
    whole = (tmp_path / "a.pth").read_bytes()
    for share in (0.1, 0.3, 0.5, 0.9, 0.999):
        (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / "cut.pth")
