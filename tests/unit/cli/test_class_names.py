"""The class names of a support cache, as a shell asks for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.cli import class_names
from mvrec_edge.cli.class_names import class_names_in
from mvrec_edge.runtime import SupportCache, ViewPlan
from mvrec_edge.runtime.files import tensor_file

_COMPLETE = """
import os, sys
from mvrec_edge.cli.main import main
try:
    main()
except SystemExit:
    pass
print(sorted({"numpy", "cv2", "safetensors", "mvrec_edge.runtime"} & set(sys.modules)))
"""


def _cache(path: Path, names: tuple[str, ...]) -> Path:
    labels = np.repeat(np.arange(len(names)), 2)
    embeddings = np.eye(len(names))[labels][:, None]
    plan = ViewPlan.by_name("none", size=56)
    SupportCache.from_embeddings(embeddings, labels, names, view_plan=plan, encoder="e").save(path)
    return path


_NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip)


@settings(deadline=None)
@given(names=st.lists(_NAME.map(str.strip), min_size=2, max_size=6, unique=True))
def test_what_it_reads_is_what_the_cache_says(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = _cache(tmp_path_factory.mktemp("names") / "line.cache", tuple(names))
    assert tuple(class_names_in(path)) == SupportCache.load(path).class_names


def test_completing_a_class_loads_neither_numpy_nor_opencv(tmp_path: Path) -> None:
    _cache(tmp_path / "line.cache", ("crack", "hole"))
    words = ["mvrec-edge", "support", "rename", "line.cache", "cra"]
    asked = {"_MVREC_EDGE_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": "4"}
    ended = subprocess.run(
        [sys.executable, "-c", _COMPLETE],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | asked,
    )
    assert (ended.stdout, ended.stderr) == ("crack\n[]\n", "")


def test_as_much_is_read_as_the_runtime_reads() -> None:
    assert class_names.LARGEST_HEADER == tensor_file.LARGEST_HEADER


def _with_header(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no cache",
        _with_header(b"{}"),
        _with_header(b"[]"),
        _with_header(b"\xff"),
        _with_header(b"[" * 1_000_000),
        _with_header(b"{}", 1 << 40),
        _with_header(b'{"__metadata__": null}'),
        _with_header(b'{"__metadata__": {"mvrec_edge": 3}}'),
        _with_header(b'{"__metadata__": {"mvrec_edge": "[]"}}'),
        _with_header(json.dumps({"__metadata__": {"mvrec_edge": '{"class_names": [1]}'}}).encode()),
        _with_header(json.dumps({"__metadata__": {"mvrec_edge": '{"class_names": "ab"}'}}).encode()),
    ],
)
def test_what_is_no_cache(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "no.cache"
    path.write_bytes(data)
    with pytest.raises((ValueError, RecursionError)):
        class_names_in(path)


def test_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"regular file|directory"):
            class_names_in(path)
