"""`mvrec-edge evaluate`: the paper's protocol on a labelled set, one row for each head."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_listed, complete_name, heads, splits
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import (
    FORMATS,
    EngineOptions,
    LabelledOptions,
    Overwrite,
    PrecisionName,
    RecipeName,
    RegionInput,
    ReportPath,
    Resampling,
    Steps,
    Triplet,
)
from mvrec_edge.cli.part_options import PartFrom, PartOptions

if TYPE_CHECKING:
    from mvrec_edge.calib import EvaluateSettings, EvaluationSet, LabelledSet
    from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.runtime import ViewPlan
    from mvrec_edge.runtime.report import Section

__all__ = ["evaluate"]


@dataclass(frozen=True)
class ProtocolOptions:
    """What is evaluated, and how often."""

    shots: Annotated[
        str, typer.Option("--shots", help="Numbers of instances to draw of each class, such as 1,3,5.")
    ] = "1,3,5"
    draws: Annotated[
        int,
        typer.Option(
            "--draws", min=1, help="Number of draws for each number of shots; their seeds are 0, 1 and so on."
        ),
    ] = 5
    heads: Annotated[
        str,
        typer.Option(
            "--heads",
            "--head",
            autocompletion=complete_listed(heads),
            help="Heads to compare, such as auto,zip-f: any of auto, zip, zip-c, zip-f.",
        ),
    ] = "auto,zip,zip-c,zip-f"
    split: Annotated[
        str,
        typer.Option(
            "--split",
            autocompletion=complete_name(splits),
            help="What is drawn: 'region' draws single defects, as the paper does; 'image' draws whole images, so that "
            "the defects of one image are all learned from or all classified.",
        ),
    ] = "region"
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown",
            help="Also measure how well unknown defects are recognised: leave each class out of the support in "
            "turn, and count how often its defects are called 'unknown'.",
        ),
    ] = False
    reject_rate: Annotated[
        str,
        typer.Option(
            "--reject-rate",
            metavar="RATE",
            help="With --unknown: reject rate, the share of known defects that may be called 'unknown' by mistake.",
        ),
    ] = "5%"
    steps: Steps = 500
    triplet: Triplet = 0.0
    view_recipe: RecipeName = "mso"
    resample: Resampling = "exact"
    region_input: RegionInput = "mask"

    def settings(self) -> EvaluateSettings:
        """The settings of the stage, which refuses bad values."""
        from mvrec_edge.calib import EvaluateSettings, FineTuning, Protocol
        from mvrec_edge.runtime.support.reject_rate import parse_rate

        heads = tuple(name.strip() for name in self.heads.split(",") if name.strip())
        tuning = FineTuning(steps=self.steps, triplet=self.triplet)
        return EvaluateSettings(
            Protocol(_numbers(self.shots), self.draws, heads, tuning, split=self.split),
            views=self.view_recipe,
            resample=self.resample,
            region_input=self.region_input,
            unknown=self.unknown,
            reject_rate=parse_rate(self.reject_rate),
        )


def _numbers(text: str) -> tuple[int, ...]:
    from mvrec_edge.runtime.errors import UsageError

    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1:
        raise UsageError(f"'{text}' is not a list of numbers of shots", fix="example: --shots 1,3,5")
    return numbers


@dataclass(frozen=True)
class ResultOptions:
    """What is written, and what is kept for the next run."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for evaluation.json, evaluation.md and a plot, and with --unknown for unknown.json and "
            "unknown.md; by default the table is only printed.",
            show_default=False,
        ),
    ] = None
    report: ReportPath = None
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help="Folder where embeddings are kept for the next run; by default one in the user's cache folder.",
            show_default=False,
        ),
    ] = None
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep the embeddings, so that the next run is quick.")
    ] = True

    def check(self, features: Path | None, *, overwrite: bool) -> None:
        """Refuses to replace what was not allowed to be replaced, and a report without pictures."""
        from mvrec_edge.runtime.errors import OutputError, UsageError

        if self.out is not None and self.out.exists() and not overwrite:
            raise OutputError("exists already", where=self.out, fix="choose another folder, or give --overwrite")
        if self.report is not None:
            from mvrec_edge.runtime.report.report_writer import check_place

            if features is not None:
                raise UsageError("a report shows pictures, and --features has none", fix="leave out --report")
            check_place(self.report, overwrite=overwrite)

    @property
    def outputs(self) -> Outputs:
        """What the run writes."""
        from mvrec_edge.calib.evaluation.documents import FILES
        from mvrec_edge.cli.output_paths import Outputs

        written = {} if self.out is None else {f"--out ({name})": self.out / name for name in FILES}
        return Outputs({"--out": self.out, "--report": self.report, **written})

    def embedding_store(self) -> EmbeddingStore | None:
        """Where embeddings are kept between runs."""
        from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
        from mvrec_edge.runtime.files.user_cache import user_cache

        return EmbeddingStore(self.store or user_cache() / "embeddings") if self.keep else None


@dataclass(frozen=True)
class SetOptions:
    """What is evaluated on: a bundle and labelled sets, or features."""

    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]", help="Bundle: the folder that 'mvrec-edge export' wrote.", show_default=False
        ),
    ] = None
    support: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SUPPORT]",
            help=f"Labelled set from which shots are drawn: {FORMATS}.",
            show_default=False,
        ),
    ] = None
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="Labelled set to classify, in one of the same formats; by default the instances of SUPPORT that "
            "were not drawn.",
            show_default=False,
        ),
    ] = None
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            help="Safetensors file of embeddings that are there already, instead of BUNDLE and SUPPORT.",
            show_default=False,
        ),
    ] = None

    @property
    def read_whole(self) -> list[Path | None]:
        """What is read besides folders of images."""
        sets = [path for path in (self.support, self.query) if path is not None and not path.is_dir()]
        return [self.bundle, self.features, *sets]

    def sets(self) -> tuple[Path, Path]:
        """Bundle and support; raises `UsageError` where they are not given."""
        from mvrec_edge.runtime.errors import UsageError

        if self.bundle is None or self.support is None:
            raise UsageError(
                "give either BUNDLE and SUPPORT, or --features",
                fix="example: mvrec-edge evaluate encoder.bundle labelled/ --shots 1,3",
            )
        return self.bundle, self.support

    def check_features_alone(self) -> None:
        """Refuses sets beside features."""
        from mvrec_edge.runtime.errors import UsageError

        # Named with their values, since they may come from a config file and not be in sight.
        given = {"BUNDLE": self.bundle, "SUPPORT": self.support, "--query": self.query}
        if superfluous := ", ".join(f"{name} ({value})" for name, value in given.items() if value is not None):
            raise UsageError(
                f"--features brings its own support and queries, so leave out {superfluous}",
                fix="or leave out --features; where a config file gives them, leave out --config",
            )


@dataclass(frozen=True)
class _Encoded:
    """Embeddings, and what a record and a report say of where they came from.

    Attributes:
        data: The embeddings.
        about: For the record.
        sets: The support and, where there is one, the query; none for features.
        plan: The views that were cut; None for features.
        encoder: For a report; None for features.
        random_weights: Whether the encoder's weights were drawn.
    """

    data: EvaluationSet
    about: dict[str, object]
    sets: list[LabelledSet] = field(default_factory=list)
    plan: ViewPlan | None = None
    encoder: Section | None = None
    random_weights: bool = False


@flattened
def evaluate(
    of: SetOptions,
    asking: ProtocolOptions,
    results: ResultOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    *,
    part_from: PartFrom = None,
    precision: PrecisionName = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure accuracy on labelled defects: learn from a few of each class, classify the others, and repeat that.

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 1,3 --out evaluation/

    Example: mvrec-edge evaluate encoder.bundle train.csv --query valid.csv --shots 1,3,5

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 3,5 --heads auto --unknown

    Example: mvrec-edge evaluate encoder.bundle products/ --part-from folder --shots 3 --heads auto

    Example: mvrec-edge evaluate --features features.safetensors
    """
    from mvrec_edge.calib import evaluate_embeddings
    from mvrec_edge.calib.evaluation.documents import write_evaluation
    from mvrec_edge.calib.evaluation.tables import class_lines, evaluation_lines
    from mvrec_edge.calib.evaluation.unknown_tables import unknown_lines
    from mvrec_edge.cli.console import ConsoleObserver, say, show

    settings = asking.settings()
    results.outputs.check(of.read_whole)
    results.outputs.claim("--out")
    results.outputs.claim("--report", make_folders=False)
    results.check(of.features, overwrite=overwrite)
    if part_from is not None:
        _evaluate_parts(of, settings, results, PartOptions(part_from=part_from), reading, encoding, precision)
        return
    encoded = _encoded(of, settings, results, reading, encoding, precision)
    evaluation = evaluate_embeddings(encoded.data, settings, observer=ConsoleObserver())
    # The classes of the head that is named first, as in a report: all heads fill a window, and have the same queries.
    shown = next(each for each in evaluation.heads if each.shots == max(settings.protocol.shots))
    lines = [*evaluation_lines(evaluation.heads), "", *class_lines(shown, evaluation.class_names)]
    if evaluation.unknown is not None:
        lines += ["", *unknown_lines(evaluation.unknown, settings.reject_rate)]
    for line in lines:
        show(line)
    protocol = settings.protocol
    about = {"shots": list(protocol.shots), "draws": protocol.draws, "split": protocol.split, **encoded.about}
    if results.out is not None:
        write_evaluation(results.out, evaluation, about, observer=ConsoleObserver())
        say(f"written: {results.out}")
    if results.report is not None and encoded.plan is not None and encoded.encoder is not None:
        from mvrec_edge.cli.evaluation_report import write_evaluation_report
        from mvrec_edge.runtime.report import Section

        write_evaluation_report(
            results.report,
            encoded.data,
            encoded.sets,
            protocol,
            encoded.plan,
            title=f"Evaluation of {about['query'] or about['support']}",
            details=(encoded.encoder, Section.of("Evaluation", about)),
            random_weights=encoded.random_weights,
            overwrite=overwrite,
        )
    if any(labelled.problems for labelled in encoded.sets):
        raise typer.Exit(1)


def _evaluate_parts(
    of: SetOptions,
    settings: EvaluateSettings,
    results: ResultOptions,
    showing: PartOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    precision: str | None,
) -> None:
    from mvrec_edge.cli.evaluating_parts import check_alone, evaluate_with_parts

    check_alone(
        {
            "--features": of.features is not None,
            "--query": of.query is not None,
            "--unknown": settings.unknown,
            "--report": results.report is not None,
        }
    )
    bundle, support = of.sets()
    evaluate_with_parts(
        bundle,
        support,
        settings,
        showing,
        reading,
        encoding,
        precision=precision,
        out=results.out,
        outputs=results.outputs,
        store=results.embedding_store(),
    )


def _encoded(
    of: SetOptions,
    settings: EvaluateSettings,
    results: ResultOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    precision: str | None,
) -> _Encoded:
    """Reads features, or reads labelled sets and encodes them."""
    from mvrec_edge.calib import encode_sets, read_features
    from mvrec_edge.calib.evaluation.set_evaluation import check_sets
    from mvrec_edge.calib.instances.kept_images import KeptImages
    from mvrec_edge.cli.console import ConsoleObserver, say
    from mvrec_edge.cli.report import encoder_section
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.regions.kinds import describe_mixing

    if of.features is not None:
        of.check_features_alone()
        return _Encoded(read_features(of.features), {"features": of.features.name})
    bundle, support = of.sets()
    opened = Bundle.load(bundle, graphs=())
    encoding.check(opened, precision)
    images = KeptImages()
    paths = (support,) if of.query is None else (support, of.query)
    sets = [
        reading.read(
            path,
            f"reading {path.name}",
            region_input=settings.region_input,
            images=images,
            plan=settings.plan(),
            outputs=results.outputs,
        )
        for path in paths
    ]
    query = None if of.query is None else sets[1]
    if query is not None and settings.region_input == "mask":
        regions = (instance.region for instance in query.instances)
        if (mixing := describe_mixing(sets[0].region_input, regions, "queries", "the support has")) is not None:
            say(f"warning: {mixing}")
    # Before an engine is opened, which may take minutes.
    check_sets(sets[0], query, settings)
    store = results.embedding_store()
    with encoding.open(opened, precision, say) as engine:
        data = encode_sets(engine, sets[0], query, settings, store=store, observer=ConsoleObserver())
        plan = settings.plan(engine.image_size)
        about: dict[str, object] = {
            "encoder": engine.encoder_name,
            "support": support.name,
            "query": None if of.query is None else of.query.name,
            "view_plan": str(plan),
            "region_input": settings.region_input,
        }
        return _Encoded(data, about, sets, plan, encoder_section(opened, engine), engine.random_weights)
