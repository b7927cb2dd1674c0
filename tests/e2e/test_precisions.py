"""Precisions from the command line: export, verify, calibrate, rebase, classify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.commands import run


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("parts") / "parts"
    write_dataset(folder, families=("scratch", "pit"), per_class=3, size=(240, 320), seed=0)
    return folder


def test_export_with_calibration(parts: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    result = run(
        "export",
        *("--random-weights", "ViT-Ti/16", "--precision", "fp16", "--out", tmp_path / "b"),
        *("--calibration", parts, "--calibration-shots", 2),
    )
    assert "fp16: cosine to PyTorch float32 " in result.stderr
    assert "(calibration views, onnxruntime); 0 of 4 decisions differ" in result.stderr
    shown = json.loads(run("inspect", tmp_path / "b", "--json").stdout)
    files = "encoder.fp16.onnx, encoder.fp16.weights, encoder.fp16.onnxruntime-cuda.onnx"
    assert shown["graphs"] == [f"fp16: {files}"]
    assert "0 of 4 decisions differ" in shown["certificate"][0]
    assert shown["certificate"][1].startswith("fp16 for onnxruntime-cuda (3 fused attentions): cosine to PyTorch ")
    assert "not run on a GPU" in shown["certificate"][1]


def test_what_does_not_reach_its_limits_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from safetensors.torch import save_file

    from mvrec_edge.export import random_weights
    from tests.unit.export.conftest import SMALL

    tensors = random_weights(SMALL, seed=0).tensors
    # Larger than float16 goes, and read by nothing.
    tensors["transformer.resblocks.0.mlp.c_fc.weight"][0, 0] = 1e5
    tensors["transformer.resblocks.0.mlp.c_proj.weight"][:, 0] = 0
    save_file(tensors, tmp_path / "large.safetensors")
    result = run("export", tmp_path / "large.safetensors", "--precision", "fp32,fp16", "--out", tmp_path / "b", code=1)
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("left out: "))
    assert "reaches 1e+05, which fp16 cannot hold" in line
    assert "fp32: cosine to PyTorch float32 1.0000000 at worst" in result.stderr
    shown = json.loads(run("inspect", tmp_path / "b", "--json").stdout)
    assert shown["graphs"] == ["fp32: encoder.fp32.onnx, encoder.fp32.weights"]
    # Where nothing is left there is no bundle.
    run("export", tmp_path / "large.safetensors", "--precision", "fp16", "--out", tmp_path / "c", code=5)
    assert not (tmp_path / "c").exists()


def test_unknown_precision_is_refused_first(tmp_path: Path) -> None:
    result = run("export", "--random-weights", "ViT-L/14", "--precision", "fp8", "--out", tmp_path / "b", code=2)
    assert "there is no precision 'fp8' (any of fp32,fp16,bf16,int8)" in result.stderr


def test_verify(precisions_bundle_path: Path) -> None:
    lines = run("verify", precisions_bundle_path, "--engine", "openvino").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["openvino", name, "pass"] for name in ("fp32", "fp16", "bf16", "int8")
    ]
    rows = json.loads(run("verify", precisions_bundle_path, "--json").stdout)["verdicts"]
    passed = {(row["engine"], row["precision"]): row["passed"] for row in rows}
    assert passed["onnxruntime", "bf16"] is None
    assert sum(value is True for value in passed.values()) == 7
    run("verify", precisions_bundle_path, "--engine", "onnxruntime", "--precision", "bf16", code=5)
    assert "not run" in run("verify", precisions_bundle_path, "--engine", "onnxruntime", code=1).stdout


def test_a_cache_belongs_to_its_precision(precisions_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    bundle, cache = precisions_bundle_path, tmp_path / "a.safetensors"
    run("calibrate", bundle, parts, "--shots", 2, "--view-recipe", "ms", "--head", "zip-c", "--out", cache)
    # The cache decides which graph runs.
    assert run("classify", bundle, cache, parts, "--out", tmp_path / "a.jsonl").returncode == 0
    result = run("classify", bundle, cache, parts, "--precision", "int8", code=4)
    assert "--rebase CACHE --precision int8" in result.stderr
    moved = tmp_path / "b.safetensors"
    run("calibrate", bundle, parts, "--rebase", cache, "--precision", "int8", "--engine", "onnxruntime", "--out", moved)
    run("classify", bundle, moved, parts, "--out", tmp_path / "b.jsonl", "--engine", "openvino")
    before, after = (json.loads(run("inspect", path, "--json").stdout) for path in (cache, moved))
    assert before["support cache"] == after["support cache"]
    assert before["view plan"] == after["view plan"]
    assert after["head"].startswith("zip-c")
    assert " int8, " in after["encoder"]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == len((tmp_path / "b.jsonl").read_text().splitlines())


def test_a_cache_of_the_schema_before_is_moved(precisions_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    """A bundle of the schema before had another fingerprint, even for the same weights; its caches stay of use."""
    import dataclasses

    from mvrec_edge.runtime import SupportCache

    bundle, old, new = precisions_bundle_path, tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    run("calibrate", bundle, parts, "--shots", 2, "--view-recipe", "ms", "--engine", "onnxruntime", "--out", old)
    present = SupportCache.load(old)
    dataclasses.replace(present, encoder="ab" * 32).save(old)
    shown = json.loads(run("inspect", old, "--json").stdout)
    assert shown["made with"] == f"bundle fingerprint {'ab' * 32}"
    result = run("classify", bundle, old, parts, "--engine", "onnxruntime", code=4)
    assert "--rebase CACHE" in result.stderr
    run("calibrate", bundle, parts, "--rebase", old, "--engine", "onnxruntime", "--out", new)
    moved = SupportCache.load(new)
    assert moved.encoder == present.encoder
    assert (moved.embeddings == present.embeddings).all()
    run("classify", bundle, new, parts, "--engine", "onnxruntime", "--out", tmp_path / "a.jsonl")


def test_a_bundle_of_the_schema_before_names_the_command(precisions_bundle_path: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(precisions_bundle_path, tmp_path / "old.bundle")
    manifest = tmp_path / "old.bundle" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"mvrec-edge/bundle/3", b"mvrec-edge/bundle/2"))
    result = run("inspect", tmp_path / "old.bundle", code=4)
    assert "export it again: mvrec-edge export --random-weights " in result.stderr
    assert f"--precision fp32,fp16,bf16,int8 --out {tmp_path / 'old.bundle'} --overwrite" in result.stderr
    assert result.stderr.count("\n") == 1


def test_tuning_looks_at_every_precision_that_runs_and_keeps_one(
    precisions_bundle_path: Path, parts: Path, tmp_path: Path
) -> None:
    from mvrec_edge.runtime import Bundle, SupportCache

    bundle, cache = precisions_bundle_path, tmp_path / "a.safetensors"
    recipe = ("--view-recipe", "none", "--window-sizes", 256)
    tuning = ("calibrate", bundle, parts, "--shots", 2, *recipe, "--engine", "onnxruntime", "--tune")
    shown = run(*tuning, "--out", cache).stderr
    assert "bf16 is left out: " in shown
    rows = [line.split() for line in shown.splitlines() if line.split()[1:2] in (["zip"], ["zip-c"])]
    assert {row[0] for row in rows} == {"fp32", "fp16", "int8"}
    (kept,) = (row[0] for row in rows if row[-1] == "kept")
    assert f"kept: {kept}, zip" in shown
    assert f"{kept} gives " in shown
    opened, stored = Bundle.load(bundle, graphs=()), SupportCache.load(cache)
    assert stored.encoder == opened.fingerprint(kept)
    assert f" {kept}, " in stored.encoder_name
    assert run("classify", bundle, cache, parts, "--out", tmp_path / "a.jsonl").returncode == 0

    # What is named is all that is looked at, and the cache holds embeddings of that graph.
    only = run(*tuning, "--precision", "int8", "--out", tmp_path / "b.safetensors").stderr
    assert "kept: int8, " in only
    assert "fp32" not in only
    pair = run(*tuning, "--tune-precisions", "int8,fp16", "--out", tmp_path / "c.safetensors").stderr
    assert {line.split()[0] for line in pair.splitlines() if " ms a view, onnxruntime" in line} == {"fp16:", "int8:"}
    # Windows are compared in the first precision, and the other takes those that are kept.
    choosing = ("--shots", 2, "--view-recipe", "none", "--engine", "onnxruntime", "--tune", "--out", tmp_path / "w")
    windows = run("calibrate", bundle, parts, *choosing, "--tune-precisions", "int8,fp16").stderr
    ways = [line.partition(":")[0] for line in windows.splitlines() if " ms a view, onnxruntime" in line]
    assert [way.partition(",")[0] for way in ways] == ["fp16"] * (len(ways) - 1) + ["int8"]
    assert ways[-1].replace("int8", "fp16") in ways[:-1]
    assert len(set(ways)) == len(ways) > 2
    named = SupportCache.load(tmp_path / "b.safetensors")
    assert named.encoder == opened.fingerprint("int8")
    run(*tuning[:-1], "--precision", "int8", "--out", tmp_path / "d")
    assert (SupportCache.load(tmp_path / "d").embeddings == named.embeddings).all()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--tune-precisions", "int8"), 2, "give --tune as well"),
        (("--tune", "--tune-precisions", "int8", "--precision", "fp32"), 2, "leave out --precision or"),
        (("--tune", "--tune-precisions", "fp8"), 2, "there is no precision 'fp8'"),
        (("--tune", "--tune-precisions", "bf16", "--engine", "onnxruntime"), 2, "cannot run a bf16 graph"),
    ],
)
def test_precisions_that_cannot_be_tuned_are_refused_in_one_line(
    precisions_bundle_path: Path, parts: Path, tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    out = tmp_path / "none.safetensors"
    assert message in run("calibrate", precisions_bundle_path, parts, *options, "--out", out, code=code).stderr
    assert not out.exists()


def test_rebase_needs_the_same_images(precisions_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    from mvrec_edge.testing.dataset import write_dataset

    run("calibrate", precisions_bundle_path, parts, "--view-recipe", "ms", "--out", tmp_path / "a.safetensors")
    write_dataset(tmp_path / "other", families=("scratch", "pit"), per_class=2, size=(240, 320), seed=1)
    moving = ("calibrate", precisions_bundle_path, tmp_path / "other", "--rebase", tmp_path / "a.safetensors")
    result = run(*moving, "--precision", "fp16", "--out", tmp_path / "b.safetensors", code=3)
    assert "2 of the cache's 6 instances are not in the labelled set" in result.stderr
    result = run(*moving, "--shots", 2, "--out", tmp_path / "b.safetensors", code=2)
    assert "--rebase keeps the cache's instances" in result.stderr
    assert not (tmp_path / "b.safetensors").exists()
