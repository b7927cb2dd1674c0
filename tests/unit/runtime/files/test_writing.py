"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes, sha256_file


def test_atomic_write_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as stream:
        stream.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(target) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), atomic_write(tmp_path / "none" / "a.bin"):
        pass


def test_hashes_agree(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == sha256_bytes(data[:1000], data[1000:])


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(_PLAIN)
def test_canonical_json_is_a_fixed_point(payload: object) -> None:
    import json

    data = canonical_json(payload) if not _has_surrogates(payload) else b"null\n"
    assert canonical_json(json.loads(data)) == data


def _has_surrogates(payload: object) -> bool:
    return any(0xD800 <= ord(letter) <= 0xDFFF for letter in repr(payload)) or "\\ud" in repr(payload)
