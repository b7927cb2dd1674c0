"""A checkpoint's pickle that would take much is refused before PyTorch loads it; weights are not."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime.errors import CheckpointError

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export.checkpoint_file import open_checkpoint  # noqa: E402
from mvrec_edge.export.pickle_screen import TooMuchError, check_pickle  # noqa: E402

_BYTEARRAY = b"\x80\x02c__builtin__\nbytearray\nJ\x00\x00\x00\x10\x85R."
_HEX = b"\x80\x02c_codecs\nencode\nX\x02\x00\x00\x00abX\x03\x00\x00\x00hex\x86R."


def _archive(path: Path, pickled: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", b"3\n")
    return path


def _pickle_of(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    with zipfile.ZipFile(stream) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


@pytest.mark.parametrize(
    ("pickled", "what"),
    [
        (_BYTEARRAY, "asks for '__builtin__.bytearray'"),
        (_BYTEARRAY.replace(b"__builtin__", b"builtins"), "asks for 'builtins.bytearray'"),
        (_HEX, "asks for '_codecs.encode' with 'hex'"),
        (_HEX.replace(b"\x03\x00\x00\x00hex", b"\x09\x00\x00\x00Hex-Codec"), "with 'hex'"),
        (b"\x80\x02](" + b"}" * 600_000 + b"e.", "holds 600001 lists, which no weights do"),
        (b"\x80\x02(" + b"N" * (1 << 21) + b"t.", "is longer than 2097152 bytes"),
    ],
)
def test_what_makes_much_of_little_is_refused(pickled: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="was not loaded: it") as caught:
        open_checkpoint(_archive(tmp_path / "a.pth", pickled))
    assert what in caught.value.what
    assert "saves its weights alone" in str(caught.value.fix)


def test_the_old_format_is_looked_through_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    assert set(open_checkpoint(path).content) == {"a"}

    whole = path.read_bytes()
    place = len(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    path.write_bytes(whole[:place] + _BYTEARRAY + whole[place:])
    with pytest.raises(CheckpointError, match="bytearray"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        OrderedDict(a=torch.zeros(2), b=torch.ones(3, dtype=torch.bfloat16)),
        {"hex": torch.zeros(2), "n": [1, -1, 300, 1 << 20, 1 << 70, 2.5, None, True, (1,), (1, 2), (1, 2, 3), ()]},
        {"a": torch.nn.Parameter(torch.zeros(2)), "bytes": b"\x00\xff", "set": {1, 2}, "many": Counter("abca")},
        {"accuracy": np.float64(0.5), "curve": np.zeros(5), "name": "a" * 300, "é": "\U0001f600"},
    ],
)
def test_what_training_scripts_save_is_looked_through_to_its_end(content: object, tmp_path: Path) -> None:
    pickled = _pickle_of(content)

    assert check_pickle(pickled + b"more") == len(pickled)
    assert [found for *_, found in pickletools.genops(pickled)][-1] == len(pickled) - 1


def test_an_archive_of_too_many_entries_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_001):
            archive.writestr(f"a/{number}", b"")

    with pytest.raises(CheckpointError, match="more entries than a checkpoint has"):
        open_checkpoint(path)


def test_a_text_that_is_cut_off_ends_the_look() -> None:
    assert check_pickle(b"\x80\x02X\xff\xff\xff\x7fabc") == 10
    with pytest.raises(TooMuchError, match="bytearray"):
        check_pickle(b"\x80\x02cbuiltins\nbytearray\nX\xff\xff\xff\x7fabc")
