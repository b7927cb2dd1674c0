"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import (
    complete_name,
    engines,
    formats,
    precisions,
    providers,
    recipes,
    region_inputs,
    resamplings,
)

if TYPE_CHECKING:
    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.calib.instances.kept_images import KeptImages
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.runtime import Bundle, Engine
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.regions import RegionSource
    from mvrec_edge.runtime.views import ViewPlan

__all__ = [
    "FORMATS",
    "Batch",
    "BundlePath",
    "CachePath",
    "Damaged",
    "DamagedImages",
    "Empty",
    "EmptyImages",
    "EngineName",
    "EngineOptions",
    "Format",
    "ImageRoot",
    "Json",
    "LabelledOptions",
    "Masks",
    "MinArea",
    "Overwrite",
    "PrecisionName",
    "ProviderName",
    "RecipeName",
    "RegionInput",
    "RejectRate",
    "ReportPath",
    "Resampling",
    "RightAtLeast",
    "SourceFormat",
    "SourceOptions",
    "Steps",
    "Threads",
    "Triplet",
    "WindowSizes",
]


class SourceFormat(str, Enum):
    """Annotation formats, as they are named on the command line."""

    auto = "auto"
    folders = "folders"
    labelme = "labelme"
    coco = "coco"
    voc = "voc"
    yolo = "yolo"
    mvtec_fs = "mvtec-fs"
    boxes = "boxes"
    aitex = "aitex"

    # typer before 0.29 looks for what the option's own parser returned among the members again, by its text.
    __str__ = str.__str__


class EmptyImages(str, Enum):
    """What an image without a defect is, as it is named on the command line."""

    skip = "skip"
    error = "error"


class DamagedImages(str, Enum):
    """What is done with an image that is damaged, as it is named on the command line."""

    refuse = "refuse"
    warn = "warn"


def _format(name: str) -> SourceFormat:
    """A format by its name; raises `UsageError` with all names where there is none, in our words and in one line."""
    if name not in SourceFormat.__members__.values():
        from mvrec_edge.runtime.regions.opening import check_format

        check_format(name)
    return SourceFormat(name)


#: The formats in words, for the help of whatever takes labelled images, so that they are named alike everywhere.
FORMATS = (
    "class folders with masks, labelme, COCO, Pascal VOC, YOLO, an MVTec-FS table, AITEX folders, or boxes in a CSV or "
    "JSON Lines file"
)

BundlePath = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Bundle: the folder that 'mvrec-edge export' wrote.")
]
CachePath = Annotated[
    Path, typer.Argument(metavar="CACHE", help="Support cache: the file that 'mvrec-edge calibrate' wrote.")
]
Format = Annotated[
    SourceFormat,
    typer.Option(
        "--format",
        autocompletion=complete_name(formats),
        parser=_format,
        metavar="FORMAT",
        help=f"Annotation format: {', '.join(member.value for member in SourceFormat)}. 'auto' finds it out from the "
        "files.",
    ),
]
Empty = Annotated[
    EmptyImages,
    typer.Option(
        "--empty",
        help="What an image without a defect is, by its empty mask or because nothing is drawn on it: 'skip' counts it "
        "and goes on, 'error' reports it as an item that failed.",
    ),
]
Damaged = Annotated[
    DamagedImages,
    typer.Option(
        "--damaged",
        help="What is done with an image that is damaged: 'refuse' reports it as an item that failed; 'warn' uses a "
        "JPEG as far as it can be decoded, with a warning that says what is damaged and which part is missing; a "
        "region that is wholly missing is an item that failed. Masks and other formats are always refused.",
    ),
]
RegionInput = Annotated[
    str,
    typer.Option(
        "--input",
        autocompletion=complete_name(region_inputs),
        help="What the encoder is told about where the defect is: its outline (mask), its box (box), or nothing "
        "(full). With 'full', images without masks are cut-out defects, each one region.",
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        help="Folder of the mask images, which have the same relative paths as their images, or one mask file "
        "for one image; by default the mask lies beside its image.",
        show_default=False,
    ),
]
ImageRoot = Annotated[
    Path | None,
    typer.Option(
        "--image-root",
        help="Folder where the image paths in a label file begin; by default the folder of the label file, "
        "then the folders that are usual for its annotation format.",
        show_default=False,
    ),
]
MinArea = Annotated[
    int | None,
    typer.Option(
        "--min-area",
        min=1,
        help="Smallest defect in a mask image, in pixels of area; smaller specks are ignored. By default 16.",
        show_default=False,
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        autocompletion=complete_name(engines),
        help="Engine that runs the encoder: onnxruntime, openvino, tensorrt or tensorrt-rtx. 'auto' measures once how "
        "fast ONNX Runtime (on the CPU and on CUDA), OpenVINO and TensorRT for RTX are on this machine, and takes the "
        "fastest of those installed.",
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option(
        "--precision",
        autocompletion=complete_name(precisions),
        help="Precision of the graph to run: fp32, fp16, bf16 or int8. By default 'classify' takes the "
        "precision of the support cache. The other commands take the most exact one in the bundle; with "
        "--engine tensorrt or tensorrt-rtx, fp16 if it is there.",
        show_default=False,
    ),
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider",
        autocompletion=complete_name(providers),
        help="Provider for --engine onnxruntime: cpu (by default), cuda or tensorrt. A provider that does not "
        "load is an error; the CPU never takes its place.",
        show_default=False,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help="Largest number of views that the engine computes at once; regions of several images share a "
        "batch. By default 9 on a CPU, 54 on a GPU.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=512,
        help="Number of CPU threads; by default one for each processor that this process may use.",
        show_default=False,
    ),
]
RejectRate = Annotated[
    str | None,
    typer.Option(
        "--reject-rate",
        metavar="RATE",
        help="Reject rate: the share of known defects that may be called 'unknown' by mistake, from 0.001% to "
        "50%, such as 5%. A higher rate finds more defects of new classes. 'calibrate' stores the rate "
        "in the support cache; 'classify' uses the stored rate unless this option gives another. By "
        "default there is no rate, and no defect is called 'unknown'.",
        show_default=False,
    ),
]
RightAtLeast = Annotated[
    str | None,
    typer.Option(
        "--right-at-least",
        metavar="SHARE",
        help="Share of right answers to promise, from 50% to 99.99%, such as 95%: stores a limit of the probability in "
        "the support cache, and 'classify' marks every region below it for a human to look at. The higher the share, "
        "the more examples it takes, and the more regions a human looks at. By default there is no limit.",
        show_default=False,
    ),
]
ReportPath = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="HTML report to write: every region with picture, probabilities and nearest support instances, a "
        "confusion matrix and a map. It is one file that needs no network. By default no report is "
        "written.",
        show_default=False,
    ),
]
RecipeName = Annotated[
    str,
    typer.Option(
        "--view-recipe",
        autocompletion=complete_name(recipes),
        help="View recipe, which windows are cut around a defect: mso (27 views: 3 sizes, each at 9 shifts), ms (the 3 "
        "sizes), none (a single one), mo, mr, mf, msr, msf, mor, or mso_bbox, whose views grow with the defect "
        "(docs/calibrate.md).",
    ),
]
WindowSizes = Annotated[
    str | None,
    typer.Option(
        "--window-sizes",
        metavar="SIZES",
        help="Sides of the recipe's windows in pixels of the images, such as 128,192,256: 1 to 5 increasing numbers "
        "from 16 to 16384. Small images want smaller windows, large defects larger ones. By default 256,384,512, as in "
        "the paper, or 256 for recipes of one size (docs/calibrate.md).",
        show_default=False,
    ),
]
Resampling = Annotated[
    str,
    typer.Option(
        "--resample",
        autocompletion=complete_name(resamplings),
        help="Resampling of the views: 'exact' follows the code that the authors of MVREC released, each pixel to "
        "within 1 of 255; 'fast' takes less time on small boards.",
    ),
]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Number of steps to train the head zip-f.")]
Triplet = Annotated[
    float,
    typer.Option(
        "--triplet",
        min=0,
        help="Weight of the triplet loss when the head zip-f is trained; 0 leaves it out. The paper on MVREC names 4, "
        "the code that its authors released leaves it out.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists already.")]


@dataclass(frozen=True)
class SourceOptions:
    """How labelled or marked images are read."""

    source_format: Format = SourceFormat.auto
    masks: Masks = None
    image_root: ImageRoot = None
    empty: Empty = EmptyImages.skip
    damaged: Damaged = DamagedImages.refuse

    def open(
        self,
        path: Path,
        *,
        region_input: str | None = None,
        outputs: Outputs | None = None,
        with_parts: bool = False,
    ) -> RegionSource:
        """Opens the images at a place, and says what it was recognised as; see `open_source` for what is raised.

        Args:
            path: The place.
            region_input: What the encoder is told about where defects are; with `"full"` masks are not needed.
            outputs: What this run writes; what would be written over what is read is refused.
            with_parts: Whether the column `part` of a table is read.
        """
        from mvrec_edge.cli.console import say
        from mvrec_edge.runtime import open_source

        if outputs is not None:
            for folder in (path, self.masks, self.image_root):
                if folder is not None:
                    outputs.check_folder(folder)

        source = open_source(
            path,
            format=self.source_format.value,
            masks=self.masks,
            image_root=self.image_root,
            whole_images=region_input == "full",
            empty=self.empty.value,
            damaged=self.damaged.value,
            leave_out=() if outputs is None else outputs.beside_images,
            with_parts=with_parts,
        )
        if outputs is not None:
            outputs.check_source(source)
        say(f"{path}: {source.describe()}")
        return source

    def open_all(
        self,
        paths: Sequence[Path],
        *,
        region_input: str | None = None,
        outputs: Outputs | None = None,
        with_parts: bool = False,
    ) -> tuple[list[RegionSource], list[InputError]]:
        """Opens several places, and says what each was recognised as and what is odd about it as a whole.

        Args:
            paths: The places; one that is bad costs only itself.
            region_input: What the encoder is told about where defects are; with `"full"` masks are not needed.
            outputs: What this run writes.
            with_parts: Whether the column `part` of a table is read.

        Returns:
            What could be opened, at least one, and what was wrong with the others.

        Raises:
            InputError: None could be opened.
            UsageError: What would be written is read.
        """
        from mvrec_edge.cli.console import say_problems, say_warnings
        from mvrec_edge.runtime.errors import InputError

        sources: list[RegionSource] = []
        problems: list[InputError] = []
        for path in paths:
            try:
                sources.append(self.open(path, region_input=region_input, outputs=outputs, with_parts=with_parts))
            except InputError as error:
                problems.append(error)
            else:
                say_warnings(sources[-1].warnings)
        if not sources:
            # The last one is said by whoever ends the command.
            say_problems(problems[:-1])
            raise problems[-1]
        return sources, problems


@dataclass(frozen=True)
class LabelledOptions(SourceOptions):
    """How labelled images are read."""

    min_area: MinArea = None

    def read(
        self,
        path: Path,
        title: str = "reading labels",
        *,
        label: str | None = None,
        region_input: str | None = None,
        images: KeptImages | None = None,
        plan: ViewPlan | None = None,
        outputs: Outputs | None = None,
        with_parts: bool = False,
    ) -> LabelledSet:
        """Reads every labelled region at a place, with a bar, and prints what was skipped and what is odd.

        Args:
            path: The labelled set.
            title: What the bar says.
            label: The class of every region; by default what its annotation says.
            region_input: What the encoder is told about where defects are; with `"full"` masks are not needed.
            images: Where pixels are kept for encoding, which several sets may share.
            plan: The views that will be cut.
            outputs: What this run writes.
            with_parts: Whether the column `part` of a table is read.
        """
        from mvrec_edge.calib import read_labelled
        from mvrec_edge.cli.console import count_bar, say, say_problems, say_warnings
        from mvrec_edge.runtime.wording import counted

        source = self.open(path, region_input=region_input, outputs=outputs, with_parts=with_parts)
        with count_bar(title, len(source), "images") as advance:
            labelled = read_labelled(
                source, min_area=self.min_area, label=label, images=images, plan=plan, progress=advance
            )
        say_problems(labelled.problems)
        say_warnings(labelled.warnings)
        if labelled.without_defect:
            say(f"{path}: {counted(labelled.without_defect, 'image')} without a defect")
        return labelled


@dataclass(frozen=True)
class EngineOptions:
    """What runs the encoder."""

    engine: EngineName = "auto"
    provider: ProviderName = None
    batch: Batch = None
    threads: Threads = None

    def check(self, bundle: Bundle, precision: str | None) -> None:
        """Says what is missing before images are read; see `check_engine` for what is raised."""
        from mvrec_edge.runtime.engines.engine_registry import check_engine

        check_engine(self.engine, bundle, precision=precision, provider=self.provider, threads=self.threads)

    def open(self, bundle: Bundle, precision: str | None, say: Callable[[str], None]) -> Engine:
        """Opens one graph of a bundle; see `open_engine` for what is raised."""
        from mvrec_edge.runtime import open_engine

        return open_engine(
            self.engine,
            bundle,
            precision=precision,
            provider=self.provider,
            batch=self.batch,
            threads=self.threads,
            say=say,
        )
