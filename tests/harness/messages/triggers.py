"""What makes each command say each of its errors: the words, what is in the folder, and how it must end."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from mvrec_edge.runtime import HeadSettings, SupportCache
from mvrec_edge.runtime.files.growing_file import GrowingFile
from tests.e2e.commands import run

__all__ = ["TRIGGERS", "Trigger", "write_line"]

CLASSIFY = "classify b.bundle line.safetensors"
CALIBRATE = "calibrate b.bundle labelled --out new.safetensors"
EVALUATE = "evaluate b.bundle labelled"
FAST = "--view-recipe none --resample fast --engine onnxruntime --threads 1"


_HELD: list[GrowingFile] = []


@dataclass(frozen=True)
class Trigger:
    """A call that must end in an error.

    Attributes:
        words: The command line, in a folder as `write_line` makes it.
        code: The exit code.
        said: A piece of the one line; for exit code 1, of a line for each item that failed.
        prepare: Changes the folder before.
    """

    words: str
    code: int
    said: str | tuple[str, ...]
    prepare: Callable[[], object] = lambda: None


def write_line(folder: Path, how: Callable[..., object]) -> None:
    """Makes the folder that every trigger begins with.

    Args:
        folder: An empty folder, the present one.
        how: Runs a command.
    """
    from mvrec_edge.pocket import finished

    (folder / "b.bundle").symlink_to(Path(finished.__file__).with_name("pocket.bundle"))
    for number in range(6):
        _draw(folder / "labelled" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    _draw(folder / "in" / "1.jpg", 9)
    fast = FAST.split()
    how("calibrate", "b.bundle", "labelled", "--out", "line.safetensors", *fast)
    how("classify", "b.bundle", "line.safetensors", "in", "--out", "r.jsonl", *fast[4:])


def _draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(60, 120, (48, 64, 3), np.uint8)
    mask = np.zeros((48, 64), np.uint8)
    mask[10 : 26 + seed % 7, 8:24] = 255
    image[mask > 0] = (0, 250)[seed % 2]
    cv2.imwrite(str(path), image)
    cv2.imwrite(str(path.with_suffix(".png")), mask)


def _copies_of_pits() -> None:
    """Each pit once more, as another file of the same pixels, and a head that goes by the nearest example alone."""
    cache = SupportCache.load("line.safetensors")
    cache.changed(head=HeadSettings("zip", beta=1000.0, aggregate="mean")).save("line.safetensors")
    shutil.copytree("labelled/pit", "copies")
    for image in Path("copies").glob("*.jpg"):
        data = image.read_bytes()
        # A comment behind the beginning of the image.
        image.write_bytes(data[:2] + b"\xff\xfe\x00\x06copy" + data[2:])


def _text(name: str, text: str) -> Callable[[], object]:
    return lambda: Path(name).write_text(text, encoding="utf-8")


def _hold(name: str) -> Callable[[], object]:
    """Opens an output as another process does that writes to it; it stays open until this process ends."""
    return lambda: _HELD.append(GrowingFile(Path(name)))


def _bytes(name: str, content: bytes) -> Callable[[], object]:
    return lambda: Path(name).write_bytes(content)


def _whole_bundle() -> Path:
    """A bundle that may be changed, in the place of the link."""
    place = Path("b.bundle").resolve()
    Path("b.bundle").unlink()
    shutil.copytree(place, "b.bundle")
    return Path("b.bundle")


def _in_bundle(change: Callable[[Path], object]) -> Callable[[], object]:
    return lambda: change(_whole_bundle())


def _other_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _record(**changes: object) -> Callable[[], object]:
    def change() -> None:
        record = json.loads(Path("r.jsonl").read_text("utf-8").splitlines()[0])
        Path("r.jsonl").write_text(json.dumps(record | changes) + "\n", "utf-8")

    return change


def _record_of_run(**changes: object) -> Callable[[], object]:
    def change() -> None:
        record = json.loads(Path("r.jsonl").read_text("utf-8").splitlines()[0])
        record["run"] |= changes
        Path("r.jsonl").write_text(json.dumps(record) + "\n", "utf-8")

    return change


def _one_class() -> None:
    shutil.rmtree("labelled/pit")


def _image_of_the_set() -> None:
    path = Path("labelled/dent/0.jpg")
    path.write_bytes(path.read_bytes()[:-50])


def _later_schema(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("bundle/3", "bundle/9"), "utf-8")


def _inside(name: str) -> Callable[[], object]:
    """A file in folders that are missing."""

    def write() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")

    return write


def _write_manifest(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_text(text, "utf-8")


def _features(**tensors: np.ndarray) -> Callable[[], object]:
    def write() -> None:
        from safetensors.numpy import save_file

        metadata = {"class_names": json.dumps(["dent", "pit"])}
        save_file(tensors, "f.safetensors", metadata=metadata if tensors else None)

    return write


_USAGE = (
    Trigger(f"{CLASSIFY} in --views nine", 2, "is not a number of views"),
    Trigger(f"{CLASSIFY} in --views 99", 2, "so 99 cannot be used"),
    Trigger(f"{CLASSIFY} in --risk 2", 2, "a risk lies between"),
    Trigger(f"{CLASSIFY} in --risk high", 2, "is not a probability"),
    Trigger(f"{CLASSIFY} in --budget-ms 0", 2, "a budget is above 0"),
    Trigger(f"{CLASSIFY} in --reject-rate 90%", 2, "the reject rate must be from"),
    Trigger(f"{CLASSIFY} in --reject-rate some", 2, "is not a rate"),
    Trigger(f"{CLASSIFY} in --drift-window 3", 2, "a drift window holds"),
    Trigger(f"{CLASSIFY} in --input outline", 2, "outline"),
    Trigger(f"{CLASSIFY} in --format yolov99", 2, "there is no annotation format 'yolov99'"),
    Trigger(f"{CLASSIFY} in --masks in --image-root in", 2, "give one of the two"),
    Trigger(f"{CLASSIFY} in --image-root in", 2, "an image root does not go with"),
    Trigger(
        f"{CLASSIFY} a.csv --masks in --format boxes", 2, "masks do not go with", _text("a.csv", "image,x1,y1,x2,y2\n")
    ),
    Trigger(f"{CLASSIFY} in --damaged ignore", 2, "'ignore' is not one of"),
    Trigger(f"{CLASSIFY} in --csv -", 2, "--csv - names no file"),
    Trigger(f"{CLASSIFY} in --out - --table", 2, "both want stdout"),
    Trigger(f"{CLASSIFY} in --resume", 2, "--resume needs the file"),
    Trigger(f"{CLASSIFY} in --out in/1.png --overwrite", 2, "would be written over what is read"),
    Trigger(f"{CLASSIFY} in --out a --csv a", 2, "would both be written there"),
    Trigger(f"{CLASSIFY} in --engine warp", 2, "there is no engine 'warp'"),
    Trigger(f"{CLASSIFY} in --engine openvino --provider cuda", 2, "has no providers"),
    Trigger(f"{CLASSIFY} in --engine onnxruntime --provider warp", 2, "has no provider 'warp'"),
    Trigger(f"{CLASSIFY} in --precision fp9", 2, "fp9"),
    Trigger(f"{CLASSIFY} in --precision int8", 2, "int8"),
    Trigger(f"{CLASSIFY} in --threads 9999", 2, "Invalid value for '--threads'"),
    Trigger(f"{CLASSIFY}", 2, "Missing argument"),
    Trigger("classifyy", 2, "No such command"),
    Trigger(f"{CALIBRATE} --right-at-least 100%", 2, "the share of right answers must be from"),
    Trigger(f"{CALIBRATE} --right-at-least most", 2, "is not a share of right answers"),
    Trigger(f"{CALIBRATE} --right-at-least 95% --head zip-f", 2, "zip-f has learned from all"),
    Trigger(f"{EVALUATE} --right-at-least 95% --heads zip-f", 2, "there is none among --heads"),
    Trigger(f"{CALIBRATE} --shots 0", 2, "Invalid value for '--shots'"),
    Trigger(f"{CALIBRATE} --head best", 2, "there is no head 'best'"),
    Trigger(f"{CALIBRATE} --beta 3", 2, "the head 'auto' has neither beta"),
    Trigger(f"{CALIBRATE} --head zip --beta -1", 2, "beta must be"),
    Trigger(f"{CALIBRATE} --head zip --aggregate most", 2, "there is no aggregation 'most'"),
    Trigger(f"{CALIBRATE} --tune --head zip", 2, "--tune chooses the head itself"),
    Trigger(f"{CALIBRATE} --tune-plot a.png", 2, "--tune-plot draws the result of --tune"),
    Trigger(f"{CALIBRATE} --tune-precisions fp32", 2, "--tune-precisions names"),
    Trigger(f"{CALIBRATE} --tune --tune-precisions fp32 --precision fp32", 2, "looks at that precision only"),
    Trigger(f"{CALIBRATE} --view-recipe mmm", 2, "there is no view recipe 'mmm'"),
    Trigger(f"{CALIBRATE} --window-sizes small", 2, "'small' is not a list of window sizes"),
    Trigger(f"{CALIBRATE} --window-sizes 8,16", 2, "a window size is a whole number of pixels from 16 to 16384"),
    Trigger(f"{CALIBRATE} --window-sizes 256,128", 2, "window sizes must increase"),
    Trigger(f"{CALIBRATE} --window-sizes 16,17,18,19,20,21", 2, "1 to 5 window sizes can be given"),
    Trigger(f"{CALIBRATE} --view-recipe mso_bbox --window-sizes 128", 2, "follow the box of each defect"),
    Trigger(f"{CALIBRATE} --view-recipe none --window-sizes 128,256", 2, "has windows of one size"),
    Trigger(f"{CALIBRATE} --resample soft", 2, "there is no resampling 'soft'"),
    Trigger(f"{CALIBRATE} --rebase line.safetensors --shots 1", 2, "--rebase keeps"),
    Trigger(f"{EVALUATE} --shots none", 2, "is not a list of numbers of shots"),
    Trigger(f"{EVALUATE} --shots 5-2", 2, "'5-2' is not a range of shots"),
    Trigger(f"{EVALUATE} --shots 1-2 --unknown", 2, "there are only ranges"),
    Trigger(f"{EVALUATE} --shots 1 --swap", 2, "there are no queries of their own"),
    Trigger(f"{EVALUATE} --heads best", 2, "there is no head 'best'"),
    Trigger(f"{EVALUATE} --split half", 2, "there is no split 'half'"),
    Trigger("evaluate b.bundle", 2, "give either BUNDLE and SUPPORT, or --features"),
    Trigger("evaluate b.bundle labelled --features f.safetensors", 2, "--features brings its own"),
    Trigger("evaluate --features f.safetensors --report a.html", 2, "a report shows pictures"),
    Trigger("export --out a", 2, "give either a CHECKPOINT or --random-weights"),
    Trigger("export --random-weights ViT-Z/9 --out a", 2, "there is no architecture"),
    Trigger("export --random-weights ViT-B/32 --precision fp9 --out a", 2, "there is no precision 'fp9'"),
    Trigger("build b.bundle --precision fp9", 2, "there is no precision 'fp9'"),
    Trigger("build b.bundle --profile 9:1", 2, "profile"),
    Trigger("bench b.bundle --batch many", 2, "is not a list of whole numbers"),
    Trigger("inspect", 2, "PATH"),
    Trigger("support rename line.safetensors dent ''", 3, "a class needs a name"),
    Trigger("support add line.safetensors in --bundle b.bundle --label ' '", 2, "--label is empty"),
    Trigger("support add line.safetensors in --bundle b.bundle --label Dent", 2, "did you mean 'dent'?"),
    Trigger("support rename line.safetensors dent a --keep 0", 2, "Invalid value for '--keep'"),
    Trigger("report r.jsonl --out a.html", 2, "do not name their support cache", _record_of_run(cache=None)),
    Trigger("classify --config c.toml", 2, "clasify", _text("c.toml", "[clasify]\n")),
    Trigger("classify --config c.toml", 2, "viewss", _text("c.toml", "[classify]\nviewss = 3\n")),
    Trigger("inspect --config c.toml", 2, "neither on the command line nor in the config file", _text("c.toml", "")),
)

_INPUT = (
    Trigger("classify none line.safetensors in", 3, "none: there is no such folder"),
    Trigger("classify in line.safetensors in", 3, "is not a bundle"),
    Trigger("classify b.bundle none in", 3, "none: "),
    Trigger("classify b.bundle in/1.jpg in", 3, "is not a support cache"),
    Trigger("classify b.bundle in in", 3, "in: "),
    Trigger(f"{CLASSIFY} none", 3, "there is no such file or folder"),
    Trigger(f"{CLASSIFY} empty", 3, "empty: ", lambda: Path("empty").mkdir()),
    Trigger(f"{CLASSIFY} in/1.jpg", 3, "has no mask", lambda: Path("in/1.png").unlink()),
    Trigger(f"{CLASSIFY} r.jsonl", 3, "written by mvrec-edge, and not read"),
    Trigger(f"{CLASSIFY} a.csv", 3, "a.csv: ", _text("a.csv", "")),
    Trigger(f"{CLASSIFY} a.json", 3, "a.json: ", _text("a.json", "{")),
    Trigger(f"{CLASSIFY} a.json", 3, "a.json: ", _text("a.json", '{"images": [], "annotations": []}')),
    Trigger(f"{CLASSIFY} a.xml", 3, "a.xml: ", _text("a.xml", "<annotation>")),
    Trigger(f"{CLASSIFY} in --config none.toml", 3, "there is no such config file"),
    Trigger("classify --config c.toml", 3, "is not valid TOML", _text("c.toml", "[classify")),
    Trigger("classify --config c.toml", 3, "is not UTF-8 text", _bytes("c.toml", b"\xff")),
    Trigger("classify --config c.toml", 3, "is larger than", _text("c.toml", "#" * (1 << 21))),
    Trigger(f"{CALIBRATE}", 3, "there is only one class, 'dent'", _one_class),
    Trigger(f"{CALIBRATE} --tune", 3, "only one class", _one_class),
    Trigger(f"{EVALUATE} --shots 9 --no-keep", 3, "fewer than 9 shots"),
    Trigger(f"{EVALUATE} --shots 3 --no-keep", 3, "every instance would be drawn"),
    Trigger(f"{EVALUATE} --shots 1 --query none", 3, "there is no such file or folder"),
    Trigger("evaluate --features none.safetensors", 3, "none.safetensors: "),
    Trigger("evaluate --features f.safetensors", 3, "has no list of class names", _features()),
    Trigger(
        "evaluate --features f.safetensors", 3, "lacks 'support_embeddings'", _features(other=np.zeros(1, np.float32))
    ),
    Trigger("evaluate --features in/1.jpg", 3, "in/1.jpg: "),
    Trigger("export none.pth --out a", 3, "none.pth: "),
    Trigger("export in/1.jpg --out a", 3, "not a checkpoint"),
    Trigger("export a.pth --out b", 3, "is empty", _text("a.pth", "")),
    Trigger("export a.safetensors --out b", 3, "a.safetensors: ", _bytes("a.safetensors", bytes(4000))),
    Trigger("inspect none", 3, "none: "),
    Trigger("verify none", 3, "there is no such folder"),
    Trigger("report none.jsonl --out a.html", 3, "there is no such file"),
    Trigger("report r.jsonl --images none --out a.html", 3, "there is no such folder"),
    Trigger("report r.jsonl --cache line.safetensors --out a.html", 3, "is no line of JSON", _text("r.jsonl", "{\n")),
    Trigger("report r.jsonl --cache line.safetensors --out a.html", 3, "is no record", _text("r.jsonl", "[]\n")),
    Trigger("report r.jsonl --cache line.safetensors --out a.html", 3, "'label' is not a text", _record(label=3)),
    Trigger("support list none", 3, "none: "),
    Trigger("support rename line.safetensors nick notch", 3, "there is no class 'nick'"),
    Trigger("support rename line.safetensors dent pit", 3, "there is a class 'pit' already"),
    Trigger("support merge line.safetensors dent --into pit", 3, "class"),
    Trigger("support remove line.safetensors 99", 3, "there is no instance '99'"),
    Trigger("support remove line.safetensors none.jpg", 3, "there is no instance 'none.jpg'"),
    Trigger(
        "support remove line.safetensors pit/1.png#0 pit/3.png#0 pit/5.png#0 --force",
        3,
        "there is only one class",
    ),
    Trigger("support rollback line.safetensors", 3, "there is no earlier version"),
    Trigger("support rollback line.safetensors --to 7", 3, "there is no earlier version"),
    Trigger("support add line.safetensors in --bundle b.bundle", 3, "there is no labelled defect to add"),
    Trigger("support add line.safetensors in/1.jpg#9 --bundle b.bundle --label dent", 3, "there is no region 9"),
)

_INTEGRITY = (
    Trigger(f"{CLASSIFY} in", 4, "line.safetensors: ", lambda: _other_byte(Path("line.safetensors"))),
    Trigger("inspect line.safetensors", 4, "line.safetensors: ", lambda: _other_byte(Path("line.safetensors"))),
    Trigger(
        f"{CLASSIFY} in",
        4,
        "was changed after it was exported",
        _in_bundle(lambda bundle: _other_byte(bundle / "encoder.fp32.weights")),
    ),
    Trigger(
        f"{CLASSIFY} in",
        4,
        "manifest.json",
        _in_bundle(lambda bundle: _other_byte(bundle / "manifest.json")),
    ),
    Trigger(
        f"{CALIBRATE}",
        4,
        "is missing or not a plain file",
        _in_bundle(lambda bundle: (bundle / "golden.safetensors").unlink()),
    ),
    Trigger(
        f"{EVALUATE}",
        4,
        "which its manifest does not list",
        _in_bundle(lambda bundle: (bundle / "more").write_text("")),
    ),
    # The digest is looked at before the text is parsed.
    Trigger("verify b.bundle", 4, "was changed after", _in_bundle(lambda b: (b / "manifest.json").write_text("{"))),
    Trigger("inspect b.bundle", 4, "b.bundle", _in_bundle(_later_schema)),
    Trigger(
        "verify b.bundle",
        4,
        "bytes, its manifest says",
        _in_bundle(lambda bundle: (bundle / "encoder.fp32.onnx").write_bytes(b"")),
    ),
)

_OUTPUT = (
    Trigger(f"{CLASSIFY} in --out r.jsonl", 6, "exists already (give --resume to go on with it, or --overwrite)"),
    Trigger(f"{CLASSIFY} in --out labelled --overwrite", 6, "labelled: cannot be written"),
    Trigger(f"{CLASSIFY} in --csv labelled", 6, "is no file"),
    Trigger(f"{CLASSIFY} in --csv r.jsonl", 6, "exists already"),
    Trigger(f"{CLASSIFY} in --report r.jsonl", 6, "exists already"),
    Trigger(f"{CLASSIFY} in --report labelled", 6, "is a folder"),
    Trigger(f"{CLASSIFY} in --report r.jsonl/a.html", 6, "its folder is a file"),
    Trigger(f"{CLASSIFY} in --overlay r.jsonl", 6, "r.jsonl: cannot be written"),
    Trigger(f"{CLASSIFY} in --out r.jsonl --resume", 6, "its records were made otherwise", _record_of_run(version="0")),
    Trigger(f"{CLASSIFY} in --out r.jsonl --resume", 6, "do not say which support cache", _record(run=None)),
    Trigger(
        f"{CLASSIFY} in --out r.jsonl --resume", 6, "is not a record of a classification", _text("r.jsonl", "1\n2\n")
    ),
    Trigger("calibrate b.bundle labelled --out line.safetensors", 6, "exists already"),
    Trigger("calibrate b.bundle labelled --out none/a", 6, "none"),
    Trigger(f"{EVALUATE} --shots 1 --out labelled", 6, "exists already"),
    Trigger(f"{EVALUATE} --shots 1 --report r.jsonl", 6, "exists already"),
    Trigger("init labelled", 6, "is not empty"),
    Trigger("init r.jsonl", 6, "r.jsonl: "),
    Trigger("demo --out labelled", 6, "exists already"),
    Trigger("demo --out labelled --overwrite", 6, "was not made by the demo"),
    Trigger("export pocket --out labelled", 6, "exists already"),
    Trigger("export pocket --out labelled --overwrite", 6, "is not a bundle, so it is not replaced"),
    Trigger("report r.jsonl --out r.jsonl", 2, "would be written over what is read"),
    Trigger("report r.jsonl --out labelled", 6, "is a folder"),
)


def _json(name: str, value: object) -> Callable[[], object]:
    return _text(name, json.dumps(value))


def _coco(*annotations: dict[str, object]) -> Callable[[], object]:
    """A COCO file with one good annotation and others; ids are given."""
    good: dict[str, object] = {"bbox": [8, 10, 16, 16]}
    entries = [
        {"id": number, "image_id": 1, "category_id": 1, **each} for number, each in enumerate((good, *annotations))
    ]
    images = [{"id": 1, "file_name": "in/1.jpg"}]
    return _json("a.json", {"images": images, "categories": [{"id": 1, "name": "dent"}], "annotations": entries})


def _labelme(*shapes: object) -> Callable[[], object]:
    good = {"label": "dent", "points": [[8, 10], [20, 24]], "shape_type": "rectangle"}
    return _json("a.json", {"imagePath": "in/1.jpg", "shapes": [good, *shapes]})


def _shape(kind: str, *points: list[float], **fields: object) -> dict[str, object]:
    return {"label": "dent", "points": list(points), "shape_type": kind, **fields}


def _voc(*objects: str) -> Callable[[], object]:
    box = "<bndbox><xmin>8</xmin><ymin>10</ymin><xmax>20</xmax><ymax>24</ymax></bndbox>"
    inside = "".join(f"<object><name>dent</name>{each}</object>" for each in (box, *objects))
    return _text("a.xml", f"<annotation><filename>in/1.jpg</filename>{inside}</annotation>")


def _yolo(*lines: str) -> Callable[[], object]:
    def write() -> None:
        for name in ("images", "labels"):
            Path("set", name).mkdir(parents=True)
        shutil.copy("in/1.jpg", "set/images")
        Path("set/labels/1.txt").write_text("\n".join(("0 0.3 0.4 0.2 0.2", *lines)) + "\n")
        Path("set/classes.txt").write_text("dent\npit\n")

    return write


def _mask(change: Callable[[np.ndarray], np.ndarray], ending: str = ".png") -> Callable[[], object]:
    """The mask of the image, changed; a second image stays as it is."""

    def write() -> None:
        _draw(Path("in/2.jpg"), 3)
        mask = change(cv2.imread("in/1.png", cv2.IMREAD_GRAYSCALE))
        Path("in/1.png").unlink()
        cv2.imwrite(f"in/1_mask{ending}", mask)

    return write


def _image(content: Callable[[bytes], bytes]) -> Callable[[], object]:
    def write() -> None:
        _draw(Path("in/2.jpg"), 3)
        Path("in/1.jpg").write_bytes(content(Path("in/1.jpg").read_bytes()))

    return write


def _png_of(width: int, height: int) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    packed = (
        len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


_FAR = [[900.0, 900.0], [990.0, 990.0]]
_ITEMS = (
    Trigger(f"{CLASSIFY} in", 1, "the file is truncated: the JPEG data has no end marker", _image(lambda d: d[:-50])),
    Trigger(f"{CLASSIFY} in", 1, "the file is damaged: ", _image(lambda d: d[:-60] + d[-30:])),
    Trigger(f"{CLASSIFY} in", 1, "the file is empty", _image(lambda _: b"")),
    Trigger(f"{CLASSIFY} in", 1, "is a GIF file, which is not read", _image(lambda _: b"GIF89a" + bytes(40))),
    Trigger(f"{CLASSIFY} in", 1, "is not a JPEG, PNG, BMP, TIFF or WebP file", _image(lambda _: b"no image")),
    Trigger(f"{CLASSIFY} in", 1, "pixels, more than 134217728", _image(lambda _: _png_of(90_000, 90_000))),
    Trigger(f"{CLASSIFY} in", 1, "has fewer pixels than it should", _image(lambda _: _png_of(64, 48))),
    Trigger(
        f"{CLASSIFY} in",
        1,
        "it looks like a photo",
        _mask(lambda m: np.arange(m.size, dtype=np.uint8).reshape(m.shape)),
    ),
    Trigger(f"{CLASSIFY} in", 1, "its values go up to 100 only", _mask(lambda m: m // 255 * 100, ".jpg")),
    Trigger(f"{CLASSIFY} in", 1, "the mask has 32 x 24 pixels, the image 64 x 48", _mask(lambda m: m[::2, ::2])),
    Trigger(f"{CLASSIFY} in --min-area 9999", 1, "1_mask.png: the only part of the mask has ", _mask(lambda m: m)),
    Trigger(f"{CLASSIFY} in --empty error", 1, "the image shows no defect", _mask(np.zeros_like)),
    Trigger(f"{CLASSIFY} in none", 1, "there is no such file or folder"),
    Trigger(
        f"{CLASSIFY} in",
        1,
        "in/2.png: the image has no mask",
        lambda: _draw(Path("in/2.jpg"), 2) or Path("in/2.jpg").unlink(),
    ),
    Trigger(
        f"{CLASSIFY} a.csv",
        1,
        (
            "is turned round",
            "lies outside the image",
            "is not a number: 'x'",
            "has 3 of 5 cells",
            "no image is named",
            "gone.jpg",
        ),
        _text(
            "a.csv",
            "image,x1,y1,x2,y2\nin/1.jpg,8,10,20,24\nin/1.jpg,20,10,8,24\nin/1.jpg,900,900,990,990\nin/1.jpg,x,1,2,3\n"
            "in/1.jpg,1,2\n,1,2,3,4\ngone.jpg,1,2,3,4\n",
        ),
    ),
    Trigger(
        f"{CLASSIFY} a.jsonl",
        1,
        ("is not a JSON object", "is not valid JSON", "the box is not four numbers", "the label is not a text"),
        _text(
            "a.jsonl",
            '{"image": "in/1.jpg", "box": [8, 10, 20, 24]}\n3\n{\n{"image": "in/1.jpg", "box": [1, 2]}\n'
            '{"image": "in/1.jpg", "box": [1, 2, 9, 9], "label": []}\n',
        ),
    ),
    Trigger(
        f"{CLASSIFY} a.json",
        1,
        (
            "its segmentation is neither a list nor runs",
            "it has neither a segmentation nor a bbox of four numbers",
            "its bbox has five numbers",
            "its bbox is not four usable numbers",
            "a polygon is not a list x1, y1, x2, y2",
            "the run-length mask has no size",
            "the run-length mask is broken",
            "lies outside the image",
        ),
        _coco(
            {"segmentation": "runs"},
            {"bbox": [1, 2]},
            {"bbox": [1, 2, 3, 4, 5]},
            {"bbox": [1, 2, "a", 4]},
            {"segmentation": [[1, 2, 3]]},
            {"segmentation": {"counts": [1, 2]}},
            {"segmentation": {"size": [48, 64], "counts": [9999]}},
            {"bbox": [900, 900, 9, 9]},
        ),
    ),
    Trigger(
        f"{CLASSIFY} a.json",
        1,
        (
            "the shape is not a JSON object",
            "the shape type 'line' has no area",
            "the shape needs",
            "a coordinate that is not a usable number",
            "lies outside the image",
            "the mask is not a PNG in base64",
        ),
        _labelme(
            3,
            _shape("line", [1, 2], [3, 4]),
            _shape("rectangle", [1, 2]),
            _shape("polygon", [1, 2], [3, 1e300 * 1e10], [9, 9]),
            _shape("rectangle", *_FAR),
            _shape("mask", [1, 2], [9, 9], mask="?"),
        ),
    ),
    Trigger(
        f"{CLASSIFY} a.xml",
        1,
        ("the object has 2 boxes", "the box has no usable 'ymax'", "lies outside the image"),
        _voc(
            2 * "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
            "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>x</ymax></bndbox>",
            "<bndbox><xmin>900</xmin><ymin>900</ymin><xmax>990</xmax><ymax>990</ymax></bndbox>",
        ),
    ),
    Trigger(
        f"{CLASSIFY} set",
        1,
        (
            "the class is not a number: 'a'",
            "the line has 3 numbers after its class",
            "the line has a coordinate outside 0 to 1",
            "the class 7 has no name",
        ),
        _yolo("a 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1", "0 7 0.5 0.1 0.1", "7 0.5 0.5 0.1 0.1"),
    ),
    Trigger(f"{CALIBRATE} --view-recipe none", 1, "labelled/dent/0.jpg: the file is truncated", _image_of_the_set),
)


_LABEL_FILES = (
    Trigger(f"{CLASSIFY} a.csv", 3, "no known annotation format", _text("a.csv", "image,x1\nin/1.jpg,3\n")),
    Trigger(f"{CLASSIFY} a.csv --format boxes", 3, "lacks the columns", _text("a.csv", "image,x1\nin/1.jpg,3\n")),
    Trigger(f"{CLASSIFY} a.csv", 3, "mean the same", _text("a.csv", "image,file,x1,y1,x2,y2\nin/1.jpg,a,1,2,3,4\n")),
    Trigger(f"{CLASSIFY} a.csv", 3, "are shares of", _text("a.csv", "image,x1,y1,x2,y2\nin/1.jpg,.1,.1,.2,.2\n")),
    Trigger(f"{CLASSIFY} a.csv --format mvtec-fs", 3, "lacks the columns", _text("a.csv", "image\nin/1.jpg\n")),
    Trigger(f"{CLASSIFY} a.json --format coco", 3, "is not a COCO file", _text("a.json", "{}")),
    Trigger(f"{CLASSIFY} a.json --format labelme", 3, "is not a labelme file", _text("a.json", "{}")),
    Trigger(f"{CLASSIFY} a.json", 3, "is not UTF-8 text", _bytes("a.json", b'{"imagePath": "\xff"}')),
    Trigger(f"{CLASSIFY} a.xml", 3, "is of no known annotation format", _text("a.xml", "<a/>")),
    Trigger(f"{CLASSIFY} a.xml", 3, "is not valid XML", _text("a.xml", "<annotation><b></annotation>")),
    Trigger(f"{CLASSIFY} a.xml", 3, "which is not read", _text("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')),
    Trigger(f"{CLASSIFY} a.xml", 3, "which is not known", _text("a.xml", '<?xml version="1.0" encoding="x"?><a/>')),
    Trigger(f"{CLASSIFY} labelled --format aitex", 3, "has no folders"),
    Trigger(f"{CLASSIFY} in --format labelme", 3, "in: "),
    Trigger(f"{CLASSIFY} in --masks none", 3, "there are no such masks"),
    Trigger(f"{CLASSIFY} in --masks in/1.png", 3, "one mask does not do for a folder"),
    Trigger(
        f"{CLASSIFY} a.csv --image-root none",
        3,
        "the image root is not a folder",
        _text("a.csv", "image,x1,y1,x2,y2\nin/1.jpg,1,2,3,4\n"),
    ),
)

# What a machine without a GPU and its libraries says.
_MACHINE = (
    *(
        ()
        if find_spec("tensorrt")
        else (
            Trigger(f"{CLASSIFY} in --engine tensorrt", 5, "needs the library 'tensorrt', which is not installed"),
            Trigger("build b.bundle", 5, "needs the library 'tensorrt', which is not installed"),
            Trigger("verify b.bundle --engine tensorrt", 5, "no engine could run any graph"),
        )
    ),
    *(
        ()
        if find_spec("tensorrt_rtx_bindings")
        else (
            Trigger(
                f"{CLASSIFY} in --engine tensorrt-rtx", 5, "needs the library 'tensorrt_rtx', which is not installed"
            ),
            Trigger("build b.bundle --for rtx", 5, "needs the library 'tensorrt_rtx', which is not installed"),
        )
    ),
    Trigger("build b.bundle --into-bundle", 2, "--into-bundle goes with --for rtx alone"),
    Trigger("build b.bundle --for rtx --capability 86", 2, "'86' is not a compute capability"),
    Trigger("build b.bundle --for rtx --workspace-gb 1", 2, "--for rtx tries none"),
    *(
        ()
        if Path("/dev/nvidiactl").exists()
        else (Trigger(f"{CLASSIFY} in --engine onnxruntime --provider cuda", 5, "this build of ONNX Runtime"),)
    ),
)

_MORE = (
    Trigger("calibrate b.bundle labelled --out n --views ms", 2, "has no option --views any more"),
    Trigger("export --random-weights ViT-B/32 --precision , --out a", 2, "no precision is named"),
    Trigger("bench b.bundle --plot a.txt", 2, "a plot ends in"),
    Trigger("bench b.bundle --plot in.html", 6, "exists already", _text("in.html", "")),
    Trigger("bench b.bundle --plot none/a.html", 6, "its folder does not exist"),
    Trigger("classify --config in", 3, "in: is a folder"),
    Trigger("report in --cache line.safetensors --out a.html", 3, "in: is a folder"),
    Trigger("support history none", 3, "none: cannot be read"),
    Trigger(f"{CLASSIFY} in --format coco", 3, "the folder holds no file with coco annotations"),
    Trigger("init x --examples --overwrite", 6, "holds files already", _inside("x/labelled/dent/a.jpg")),
    Trigger("init x --overwrite", 6, "is not a folder", _inside("x/labelled")),
    Trigger("init x --overwrite", 6, "is a folder", _inside("x/mvrec-edge.toml/a")),
    Trigger(
        "classify b.bundle one.safetensors in --reject-rate 5%",
        2,
        "every class of the support cache has a single instance",
        lambda: run(*f"calibrate b.bundle labelled --shots 1 --out one.safetensors {FAST}".split()),
    ),
    Trigger("calibrate b.bundle in --rebase line.safetensors --out n", 3, "are not in the labelled set"),
    Trigger(f"{EVALUATE} --shots 1 --unknown --no-keep", 3, "fewer than two are left to tell apart"),
    Trigger(
        "evaluate --features f.safetensors",
        3,
        "'support_embeddings' must be floats",
        _features(support_embeddings=np.zeros(3, np.float32), support_labels=np.zeros(3, np.int64)),
    ),
    Trigger(
        "evaluate --features f.safetensors",
        3,
        "'support_labels' must be 4 whole numbers",
        _features(support_embeddings=np.ones((4, 1, 2), np.float32), support_labels=np.zeros(3, np.int64)),
    ),
    Trigger(
        "evaluate --features f.safetensors",
        3,
        "name a class that is not in the list",
        _features(support_embeddings=np.ones((4, 1, 2), np.float32), support_labels=np.full(4, 9)),
    ),
    Trigger(
        "verify b.bundle",
        4,
        "is larger than 1,048,576 bytes",
        _in_bundle(lambda b: _write_manifest(b, " " * (1 << 24))),
    ),
)

_PARTS = (
    Trigger(f"{CALIBRATE} --part a --part-from folder", 2, "--part-from reads several"),
    Trigger(f"{CALIBRATE} --part ''", 2, "--part is empty"),
    Trigger(f"{CALIBRATE} --part-from row", 2, "parts cannot be read from 'row'"),
    Trigger(f"{CALIBRATE} --part a --tune", 2, "--tune chooses one precision"),
    Trigger(f"{CALIBRATE} --part a --head zip-f", 2, "the head zip-f is trained"),
    Trigger(f"{CLASSIFY} in --part knob", 2, "the support cache has no parts"),
    Trigger("support add line.safetensors labelled --bundle b.bundle --part knob", 2, "the support cache has no parts"),
    Trigger("support merge line.safetensors pit --into dent --part knob", 2, "--into merges classes"),
    Trigger(f"{EVALUATE} --part-from folder --unknown", 2, "--part-from does not go with --unknown"),
    Trigger(f"{CALIBRATE} --part a/b", 3, "cannot be the name of a part"),
    Trigger(f"{CALIBRATE} --part-from column", 3, "a column 'part' of a table of boxes"),
    Trigger("calibrate b.bundle labelled/dent --part-from folder --out n.safetensors", 3, "holds no folders of parts"),
    Trigger("support merge line.safetensors line.safetensors --part knob", 3, "without a part, but 1 part given"),
)

_WORSE = (
    # Each pit has itself as a dent for its nearest neighbour.
    Trigger(
        "support add line.safetensors copies --bundle b.bundle --label dent --engine onnxruntime",
        7,
        "would be misread, so nothing is written",
        _copies_of_pits,
    ),
)

_LOCKED = (
    Trigger(f"{CLASSIFY} in --out r.jsonl --overwrite", 8, "another process is writing there", _hold("r.jsonl")),
    Trigger(f"{CLASSIFY} in --out n.jsonl --csv r.csv", 8, "another process is writing there", _hold("r.csv")),
)

#: All of them, in the order of their exit codes.
TRIGGERS: tuple[Trigger, ...] = (
    *_ITEMS,
    *_USAGE,
    *_INPUT,
    *_LABEL_FILES,
    *_INTEGRITY,
    *_MACHINE,
    *_MORE,
    *_OUTPUT,
    *_PARTS,
    *_WORSE,
    *_LOCKED,
)
