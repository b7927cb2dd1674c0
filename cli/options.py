"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Batch",
    "BundlePath",
    "EngineName",
    "Format",
    "ImageRoot",
    "Masks",
    "MinArea",
    "Overwrite",
    "PrecisionName",
    "ProviderName",
    "SourceFormat",
    "Threads",
]


class SourceFormat(str, Enum):
    """Annotation formats, as they are named on the command line."""

    auto = "auto"
    folders = "folders"
    labelme = "labelme"
    coco = "coco"
    voc = "voc"
    mvtec_fs = "mvtec-fs"
    boxes = "boxes"
    aitex = "aitex"


BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that 'mvrec-edge export' wrote.")]
Format = Annotated[SourceFormat, typer.Option("--format", help="Annotation format; 'auto' looks at what is there.")]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        help="Folder of mask images (same relative paths as the images), or one mask file.",
        show_default=False,
    ),
]
ImageRoot = Annotated[
    Path | None,
    typer.Option("--image-root", help="Where a table's or COCO file's image paths begin.", show_default=False),
]
MinArea = Annotated[
    int | None,
    typer.Option("--min-area", min=1, help="Smallest defect in a mask, in pixels; smaller specks are ignored."),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="What runs the encoder: onnxruntime, openvino, tensorrt; 'auto' times those installed for the CPU, and "
        "ONNX Runtime's CUDA provider, once and takes the fastest.",
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Which of the bundle's graphs: fp32, fp16, bf16 or int8. By default the cache's own, or else the most "
        "exact one.",
        show_default=False,
    ),
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider",
        help="For --engine onnxruntime: cpu, cuda or tensorrt. What does not load is an error, not a fallback.",
        show_default=False,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help="Most views the engine computes at once; regions of several images share it. By default 9 on a CPU, 54 on "
        "a GPU.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads; by default one for each core.", show_default=False),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it is there already.")]
