"""The command line as a user types it: export, calibrate, classify, inspect."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.calib import calibrate, read_labelled
from mvrec_edge.runtime import (
    Bundle,
    SupportCache,
    ViewPlan,
    classify_source,
    open_engine,
    open_source,
    read_image,
)
from tests.e2e.commands import MVREC_EDGE, error_line, run


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def without_times(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    own = ("ms", "time", "region", "mask", "picture", "damaged", "item", "run")
    return [{key: value for key, value in line.items() if key not in own} for line in lines]


def test_calibrate_says_what_it_made(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    result = run(
        "calibrate",
        tiny_bundle_path,
        line / "parts",
        "--shots",
        2,
        "--out",
        tmp_path / "a",
        "--resample",
        "exact",
    )
    assert "6 instances x 27 views (pit 2, scratch 2, stain 2)" in result.stderr
    assert "random weights" in result.stderr
    assert result.stdout == ""
    cache = SupportCache.load(tmp_path / "a")
    assert cache.shots == 2
    assert cache.view_plan == ViewPlan.mso(size=56, resample="exact")
    assert cache.fingerprint != SupportCache.load(line / "line.safetensors").fingerprint


def test_classify_gives_a_record_for_every_region(line: Path, tiny_bundle_path: Path) -> None:
    result = run("classify", tiny_bundle_path, line / "line.safetensors", line / "parts")
    lines = records(result.stdout)
    source = open_source(line / "parts")
    wanted = [region for item in source for region in item.regions(read_image(item.path).shape[:2]).regions]
    assert [record["source"] for record in lines] == [region.source for region in wanted]
    assert [record["annotated"] for record in lines] == [region.label for region in wanted]
    for record in lines:
        assert record["label"] in ("scratch", "stain", "pit")
        assert abs(sum(record["probabilities"].values()) - 1) < 1e-4  # type: ignore[attr-defined]
    assert "random weights" in result.stderr
    assert f"{len(wanted)} regions on {len(source)} images" in result.stderr


def test_a_second_run_and_the_python_api_give_the_same(line: Path, tiny_bundle_path: Path) -> None:
    first = run("classify", tiny_bundle_path, line / "line.safetensors", line / "parts").stdout
    second = run("classify", tiny_bundle_path, line / "line.safetensors", line / "parts").stdout
    assert without_times(records(first)) == without_times(records(second))

    bundle = Bundle.load(tiny_bundle_path)
    made: list[dict[str, object]] = []
    with open_engine("auto", bundle) as engine, pytest.warns(UserWarning, match="random weights"):
        for image in classify_source(engine, line / "line.safetensors", open_source(line / "parts")):
            made += [{"image": str(image.path), **found.to_record()} for found in image.predictions]
    assert without_times(json.loads(json.dumps(made))) == without_times(records(first))


def test_the_python_examples_of_the_documentation_run(
    line: Path,
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    page = Path(__file__).parents[2] / "docs" / "classify.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "encoder.bundle").symlink_to(tiny_bundle_path)
    (tmp_path / "line.safetensors").symlink_to(line / "line.safetensors")
    (tmp_path / "incoming").symlink_to(line / "parts" / "pit")
    image = open_source(line / "parts" / "pit").images[0].path
    (tmp_path / "part.jpg").symlink_to(image)
    (tmp_path / "part.png").symlink_to(image.with_suffix(".png"))
    monkeypatch.chdir(tmp_path)
    assert len(examples) == 2
    for example in examples:
        with pytest.warns(UserWarning, match="random weights"):
            exec(compile(example, page.name, "exec"), {})  # noqa: S102
        assert re.search("scratch|stain|pit", capfd.readouterr().out)


def test_calibrating_from_python_gives_the_same_cache(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    run("calibrate", tiny_bundle_path, line / "parts", "--out", tmp_path / "all")
    bundle = Bundle.load(tiny_bundle_path)
    with open_engine("auto", bundle) as engine, pytest.warns(UserWarning, match="random weights"):
        calibrate(engine, read_labelled(open_source(line / "parts"))).save(tmp_path / "python")
    assert (tmp_path / "python").read_bytes() == (tmp_path / "all").read_bytes()


def test_out_file_table_and_pictures(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = ("classify", tiny_bundle_path, line / "line.safetensors", line / "parts" / "pit")
    out = tmp_path / "results.jsonl"
    result = run(*arguments, "--out", out, "--overlay", tmp_path / "pictures", "--table")
    lines = records(out.read_text())
    images = {record["image"] for record in lines}
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == len(images) == 4
    for picture in (tmp_path / "pictures").iterdir():
        assert cv2.imread(str(picture)).shape[2] == 3
    assert "probability" in result.stdout
    assert "pit" in result.stdout
    assert f"pictures: {tmp_path / 'pictures'}\n" in result.stderr
    run(*arguments, "--out", out, code=6)
    run(*arguments, "--out", out, "--overwrite")
    assert without_times(records(out.read_text())) == without_times(lines)


@pytest.mark.parametrize("cut", [0.3, 0.55, 0.99, 1.0])
def test_an_interrupted_run_is_resumed(line: Path, tiny_bundle_path: Path, tmp_path: Path, cut: float) -> None:
    arguments = ("classify", tiny_bundle_path, line / "line.safetensors", line / "parts")
    out = tmp_path / "results.jsonl"
    run(*arguments, "--out", out)
    whole = out.read_bytes()
    out.write_bytes(whole[: int(len(whole) * cut)])
    run(*arguments, "--out", out, "--resume")
    assert without_times(records(out.read_text())) == without_times(records(whole.decode()))


def test_resume_does_not_touch_another_file(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\n")
    arguments = ("classify", tiny_bundle_path, line / "line.safetensors", line / "parts", "--out", out)
    assert "not a record" in run(*arguments, "--resume", code=6).stderr
    assert out.read_text() == "my notes\n"


def test_inspect_shows_bundle_and_cache(line: Path, tiny_bundle_path: Path) -> None:
    shown = run("inspect", tiny_bundle_path).stdout
    for text in ("width 128", "random weights, seed 0", "sha256", "worst cosine", "fingerprint"):
        assert text in shown
    shown = run("inspect", line / "line.safetensors").stdout
    for text in ("6 instances x 27 views x 64 channels", "scratch: 2", "2 shots, seed 0", "mso", "head", "temperature"):
        assert text in shown
    described = json.loads(run("inspect", line / "line.safetensors", "--json").stdout)
    assert described["classes"] == ["pit: 2", "scratch: 2", "stain: 2"]


@pytest.mark.parametrize("head", ["auto", "zip", "zip-c", "zip-f"])
def test_every_head_calibrates_and_classifies(line: Path, tiny_bundle_path: Path, tmp_path: Path, head: str) -> None:
    cache = tmp_path / "head.safetensors"
    training = ("--steps", 3, "--triplet", 4)
    quick = ("--resample", "fast", "--out", cache)
    result = run("calibrate", tiny_bundle_path, line / "parts", "--head", head, *training, *quick)
    if head == "auto":
        assert "log-loss" in result.stderr
        assert "by leaving each of 12 instances out" in result.stderr
    if head != "zip-f":
        assert "expected calibration error" in result.stderr
    assert SupportCache.load(cache).head.name == head or head == "auto"
    assert len(records(run("classify", tiny_bundle_path, cache, line / "parts").stdout)) == 12


def test_evaluate_encodes_once_and_reports(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    arguments = (
        "evaluate",
        tiny_bundle_path,
        line / "parts",
        "--shots",
        "1,3",
        "--draws",
        2,
        "--heads",
        "auto,zip,zip-c",
        "--resample",
        "fast",
    )
    arguments += ("--store", tmp_path / "store")
    first = run(*arguments, "--out", tmp_path / "out")
    assert "12 regions: 12 encoded, 0 kept from an earlier run" in first.stderr
    assert "random weights" in first.stderr
    second = run(*arguments, "--out", tmp_path / "out", "--overwrite")
    assert "12 regions: 0 encoded, 12 kept from an earlier run" in second.stderr
    assert first.stdout == second.stdout
    payload = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {(row["head"], row["shots"]) for row in payload["results"]} == {
        (head, shots) for head in ("auto", "zip", "zip-c") for shots in (1, 3)
    }
    assert payload["results"][0]["confusion"]
    assert (tmp_path / "out" / "evaluation.md").is_file()
    assert (tmp_path / "out" / "evaluation.png").is_file()
    run(*arguments, "--out", tmp_path / "out", code=6)


def test_evaluate_with_a_broken_matplotlib(
    line: Path, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a system's own, built for numpy 1, beside numpy 2."""
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "site" / "matplotlib").mkdir(parents=True)
    (tmp_path / "site" / "matplotlib" / "__init__.py").write_text(
        "import sys\nsys.stderr.write('A module that was compiled using NumPy 1.x\\n' * 20)\n"
        "raise ImportError('numpy.core.multiarray failed to import')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    arguments = ("--shots", 2, "--draws", 1, "--heads", "zip", "--resample", "fast", "--no-keep")
    result = run("evaluate", tiny_bundle_path, line / "parts", *arguments, "--out", tmp_path / "out")
    assert (
        "no plot: the plot of an evaluation needs the library 'matplotlib', which is installed but does not load"
        in result.stderr
    )
    assert "is not installed" not in result.stderr
    assert "NumPy 1.x" not in result.stderr
    assert (tmp_path / "out" / "evaluation.json").is_file()
    assert not (tmp_path / "out" / "evaluation.png").exists()


@pytest.mark.parametrize("kind", ["box", "full"])
def test_evaluate_with_other_region_inputs_and_recipes(
    line: Path, tiny_bundle_path: Path, tmp_path: Path, kind: str
) -> None:
    result = run(
        "evaluate", tiny_bundle_path, line / "parts", "--query", line / "parts", "--shots", 2, "--draws", 1, "--heads",
        "zip", "--input", kind, "--view-recipe", "mso_bbox", "--resample", "fast", "--no-keep",
    )  # fmt: skip
    assert "zip" in result.stdout


def test_a_query_of_an_unknown_class_is_refused(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(line / "parts" / "pit", tmp_path / "query" / "hole")
    result = run(
        "evaluate", tiny_bundle_path, line / "parts", "--query", tmp_path / "query", "--shots", 2, "--no-keep", code=3
    )
    assert "'hole' is not a class of the support" in result.stderr


def test_a_label_the_cache_does_not_know_is_only_repeated(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(line / "parts" / "pit", tmp_path / "query" / "hole")
    result = run("classify", tiny_bundle_path, line / "line.safetensors", tmp_path / "query")
    for record in records(result.stdout):
        assert record["annotated"] == "hole"
        assert record["label"] in ("scratch", "stain", "pit")


def test_one_bad_image_among_many_costs_only_itself(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    image, mask = np.full((90, 120, 3), 90, np.uint8), np.zeros((90, 120), np.uint8)
    mask[30:60, 40:70] = 255
    good = tmp_path / "in" / "good.jpg"
    good.parent.mkdir()
    cv2.imwrite(str(good), image)
    cv2.imwrite(str(good.with_suffix(".png")), mask)
    cut = tmp_path / "in" / "cut.jpg"
    cut.write_bytes(good.read_bytes()[:-300])
    cv2.imwrite(str(cut.with_suffix(".png")), mask)
    (tmp_path / "in" / "text.jpg").write_text("no image")
    cv2.imwrite(str(tmp_path / "in" / "text.png"), mask)
    cv2.imwrite(str(tmp_path / "in" / "empty.jpg"), image)
    cv2.imwrite(str(tmp_path / "in" / "empty.png"), np.zeros((90, 120), np.uint8))
    cv2.imwrite(str(tmp_path / "in" / "other.jpg"), image)
    cv2.imwrite(str(tmp_path / "in" / "other.png"), mask[:50])
    result = run("classify", tiny_bundle_path, line / "line.safetensors", tmp_path / "in", code=1)
    lines = records(result.stdout)
    assert [Path(str(record["image"])).name for record in lines] == [
        "cut.jpg",
        "good.jpg",
        "other.jpg",
        "text.jpg",
    ]
    assert [("error" in record) for record in lines] == [True, False, True, True]
    whats = [record["error"]["what"] for record in lines if "error" in record]  # type: ignore[index]
    for what, word in zip(whats, ("truncated", "50", "JPEG"), strict=True):
        assert word in what
    assert "1 region on 1 of 5 images, 1 image without a defect, 3 items failed" in result.stderr


def test_pictures_of_every_kind_are_read_right_or_refused_with_the_reason(
    line: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    tifffile = pytest.importorskip("tifffile")
    folder = tmp_path / "in"
    folder.mkdir()
    image = np.random.default_rng(0).integers(60, 120, (90, 120, 3), np.uint8)
    mask = np.zeros((90, 120), np.uint8)
    mask[30:60, 40:70] = 255
    for name in ("alpha", "damaged", "extra", "heic", "plain", "planar", "shape"):
        cv2.imwrite(str(folder / f"{name}_mask.png"), mask)
    clear = np.dstack([np.full((90, 120, 3), 255, np.uint8), mask])
    cv2.imwrite(str(folder / "shape_mask.png"), clear)
    for name in ("plain", "shape"):
        tifffile.imwrite(folder / f"{name}.tif", image, photometric="rgb")
    planes = np.moveaxis(image, 2, 0) * np.uint16(257)
    tifffile.imwrite(folder / "planar.tif", planes, photometric="rgb", planarconfig="separate", tile=(32, 32))
    transparent = np.dstack([image, np.zeros((90, 120), np.uint8)])
    tifffile.imwrite(folder / "alpha.tif", transparent, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(folder / "damaged.tif", image, photometric="rgb", compression="deflate")
    damaged = bytearray((folder / "damaged.tif").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "damaged.tif").write_bytes(damaged)
    (folder / "heic.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (folder / "extra.jpg").write_bytes(jpeg[:20] + b"\x12\x34" + jpeg[20:])

    result = run("classify", tiny_bundle_path, line / "line.safetensors", folder, code=1)

    found = {Path(str(record["image"])).stem: record for record in records(result.stdout)}
    refused = {name: str(record["error"]) for name, record in found.items() if "error" in record}
    assert sorted(refused) == ["damaged", "heic", "shape"]
    assert "damaged" in refused["damaged"]
    assert "is a HEIC file, which is not read" in refused["heic"]
    assert "only in its alpha channel" in refused["shape"]
    for name in ("alpha", "planar"):
        assert found[name]["probabilities"] == found["plain"]["probabilities"]
    assert "extra.jpg: the JPEG file has 2 bytes that belong to no part of it" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_cache_of_another_bundle_is_refused(line: Path, tmp_path: Path) -> None:
    run("export", "pocket", "--out", tmp_path / "other.bundle")
    result = run("classify", tmp_path / "other.bundle", line / "line.safetensors", line / "parts", code=4)
    assert "another bundle" in error_line(result)


def test_a_changed_bundle_is_refused(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy.bundle"
    shutil.copytree(tiny_bundle_path, copy)
    data = bytearray((copy / "encoder.fp32.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "encoder.fp32.onnx").write_bytes(data)
    for command in (("inspect", copy), ("classify", copy, line / "line.safetensors", line / "parts")):
        result = run(*command, code=4)
        assert "hash differs" in error_line(result)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("export", "--out", "b"), 2, "either a CHECKPOINT or --random-weights"),
        (("export", "a.pth", "--random-weights", "ViT-B/16", "--out", "b"), 2, "and not both"),
        (("export", "--random-weights", "ViT-Z/1", "--out", "b"), 2, "ViT-L/14"),
        (("export", "none.pth", "--out", "b"), 3, "none.pth"),
        (("export", "text.txt", "--out", "b"), 3, "text.txt"),
        (("inspect", "none"), 3, "none"),
        (("inspect", "text.txt"), 3, "not a support cache"),
        (("inspect", "."), 3, "not a bundle"),
        (("calibrate", "BUNDLE", "none", "--out", "c"), 3, "none"),
        (("calibrate", "BUNDLE", ".", "--out", "c"), 3, "."),
        (("calibrate", "BUNDLE", "PARTS/pit", "--out", "c"), 3, "label"),
        (("calibrate", "BUNDLE", "PARTS", "--out", "text.txt"), 6, "exists already"),
        (("calibrate", "BUNDLE", "PARTS", "--out", "no/such/c"), 6, "no/such does not exist (make the folder first)"),
        (("calibrate", "BUNDLE", "PARTS", "--view-recipe", "panorama", "--out", "c"), 2, "mso"),
        (("calibrate", "BUNDLE", "PARTS", "--resample", "magic", "--out", "c"), 2, "exact"),
        (("calibrate", "BUNDLE", "PARTS", "--beta", "-1", "--out", "c"), 2, "beta"),
        (("calibrate", "BUNDLE", "PARTS", "--aggregate", "sum", "--out", "c"), 2, "uncertainty"),
        (("calibrate", "BUNDLE", "PARTS", "--head", "knn", "--out", "c"), 2, "zip-c"),
        (("calibrate", "BUNDLE", "PARTS", "--beta", "3", "--out", "c"), 2, "has neither beta"),
        (("evaluate",), 2, "either BUNDLE and SUPPORT, or --features"),
        (("evaluate", "BUNDLE"), 2, "either BUNDLE and SUPPORT, or --features"),
        (("evaluate", "BUNDLE", "PARTS", "--features", "f"), 2, "so leave out BUNDLE ("),
        (("evaluate", "--query", "PARTS", "--features", "f"), 2, "so leave out --query ("),
        (("evaluate", "--features", "text.txt"), 3, "not a file of features"),
        (("evaluate", "--features", "f", "--shots", "some"), 2, "not a list of numbers of shots"),
        (("evaluate", "--features", "f", "--heads", "knn"), 2, "no head 'knn'"),
        (("evaluate", "BUNDLE", "PARTS", "--shots", "9", "--no-keep"), 3, "fewer than 9 shots"),
        (("evaluate", "BUNDLE", "PARTS", "--input", "depth", "--shots", "2", "--no-keep"), 2, "region input"),
        (("classify", "BUNDLE", "CACHE", "none.jpg"), 3, "none.jpg"),
        (("classify", "none", "CACHE", "PARTS"), 3, "none: there is no such folder (give the folder that"),
        (("classify", "text.txt", "CACHE", "PARTS"), 3, "is not a bundle"),
        (
            ("classify", "BUNDLE", "CACHE", "PARTS", "--out", "text.txt/r.jsonl"),
            6,
            "text.txt/r.jsonl: cannot be written",
        ),
        (("classify", "BUNDLE", "text.txt", "PARTS"), 3, "not a support cache"),
        (("classify", "BUNDLE", "CACHE", "PARTS", "--engine", "abacus"), 2, "onnxruntime"),
        (("classify", "BUNDLE", "CACHE", "PARTS", "--overlay", "text.txt"), 6, "text.txt"),
        (("classify", "BUNDLE"), 2, "Missing argument"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_bad_calls(
    line: Path, tiny_bundle_path: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "text.txt").write_text("just text\n")
    places = {"BUNDLE": tiny_bundle_path, "CACHE": line / "line.safetensors"}
    given = [places.get(argument, argument.replace("PARTS", str(line / "parts"))) for argument in arguments]
    result = run(*given, code=code, cwd=tmp_path)
    assert message in result.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["text.txt"]
    assert (tmp_path / "text.txt").read_text() == "just text\n"


def test_an_export_never_replaces_what_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("years of work")
    for extra in ((), ("--overwrite",)):
        run("export", "--random-weights", "ViT-Ti/16", "--out", tmp_path / "b", *extra, code=6)
    assert (tmp_path / "b" / "thesis.txt").read_text() == "years of work"


def test_an_export_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    command = [MVREC_EDGE, "export", "--random-weights", "ViT-Ti/16", "--out", tmp_path / "b"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("tracing"):
                process.terminate()
                break
        process.stderr.read()
        assert process.wait(timeout=60) == 143
    assert list(tmp_path.iterdir()) == []


def test_version_and_debug(tmp_path: Path) -> None:
    assert run("--version").stdout.startswith("mvrec-edge ")
    result = subprocess.run(
        [MVREC_EDGE, "--debug", "inspect", tmp_path / "none"], capture_output=True, text=True, check=False
    )
    assert "Traceback" in result.stderr
    assert result.returncode == 3
