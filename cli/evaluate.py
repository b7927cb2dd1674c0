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
    WindowSizes,
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
        str,
        typer.Option(
            "--shots",
            help="Numbers of instances to draw of each class, such as 1,3,5. With a range, such as 2-5, each class "
            "gets its own number, as on a line where some defects are rarer.",
        ),
    ] = "1,3,5"
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            min=1,
            help="Number of draws for each number of shots; their seeds are 0, 1 and so on. The paper has 5.",
        ),
    ] = 20
    trained_draws: Annotated[
        int,
        typer.Option(
            "--trained-draws",
            min=1,
            help="Number of draws of a head that is trained anew in each of them (zip-f), at most --draws; give 20 "
            "where there is time.",
        ),
    ] = 5
    swap: Annotated[
        bool,
        typer.Option(
            "--swap",
            help="Also evaluate the other direction: draw shots from the queries and classify SUPPORT. Needs --query, "
            "or --features with queries.",
        ),
    ] = False
    heads: Annotated[
        str,
        typer.Option(
            "--heads",
            "--head",
            autocompletion=complete_listed(heads),
            help="Heads to compare, such as auto,zip-f: any of auto, zip, zip-c, zip-f, zip-w, zip-vw. Each is "
            "compared with the first.",
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
    right_at_least: Annotated[
        str | None,
        typer.Option(
            "--right-at-least",
            metavar="SHARE",
            help="Also try the limit that 'calibrate --right-at-least' stores, such as 95%: how many queries a human "
            "would look at, and whether the others are right that often. By default it is not tried.",
            show_default=False,
        ),
    ] = None
    steps: Steps = 500
    triplet: Triplet = 0.0
    view_recipe: RecipeName = "mso"
    window_sizes: WindowSizes = None
    resample: Resampling = "exact"
    region_input: RegionInput = "mask"

    def settings(self) -> EvaluateSettings:
        """The settings of the stage, which refuses bad values."""
        from mvrec_edge.calib import EvaluateSettings, FineTuning, Protocol
        from mvrec_edge.calib.evaluation.shot_counts import ShotRange, parse_shots
        from mvrec_edge.runtime.support.reject_rate import parse_rate
        from mvrec_edge.runtime.support.right_rate import parse_right_rate
        from mvrec_edge.runtime.views.window_sizes import parse_window_sizes

        heads = tuple(name.strip() for name in self.heads.split(",") if name.strip())
        tuning = FineTuning(steps=self.steps, triplet=self.triplet, folds=0)
        shots = parse_shots(self.shots)
        protocol = Protocol(
            tuple(each for each in shots if isinstance(each, int)),
            self.draws,
            heads,
            tuning,
            split=self.split,
            shot_ranges=tuple(each for each in shots if isinstance(each, ShotRange)),
            trained_draws=self.trained_draws,
        )
        return EvaluateSettings(
            protocol,
            views=self.view_recipe,
            window_sizes=None if self.window_sizes is None else parse_window_sizes(self.window_sizes),
            resample=self.resample,
            region_input=self.region_input,
            unknown=self.unknown,
            reject_rate=parse_rate(self.reject_rate),
            swap=self.swap,
            right_at_least=None if self.right_at_least is None else parse_right_rate(self.right_at_least),
        )


@dataclass(frozen=True)
class ResultOptions:
    """What is written, and what is kept for the next run."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for evaluation.json, evaluation.md and plots, with --unknown for unknown.json and "
            "unknown.md, with --right-at-least for review.json and review.md; by default the tables are only printed.",
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
                fix="or leave out --features; where a config file gives both, give one on the command line",
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

    Example: mvrec-edge evaluate encoder.bundle train.csv --query valid.csv --swap --shots 1,3,2-5

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 3,5 --heads auto --unknown

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 10 --heads auto --right-at-least 90%

    Example: mvrec-edge evaluate encoder.bundle products/ --part-from folder --shots 3 --heads auto

    Example: mvrec-edge evaluate --features features.safetensors
    """
    from mvrec_edge.calib import evaluate_embeddings
    from mvrec_edge.calib.evaluation.documents import write_evaluation
    from mvrec_edge.calib.evaluation.review_tables import review_lines
    from mvrec_edge.calib.evaluation.tables import fullest
    from mvrec_edge.calib.evaluation.terminal_tables import class_lines, evaluation_lines
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
    lines = evaluation_lines(evaluation)
    # The classes of the head that is named first, as in a report: all heads fill a window, and have the same queries.
    for each in evaluation.directions:
        where = "" if evaluation.swapped is None else each.name
        lines += ["", *class_lines(fullest(each.heads)[0], evaluation.class_names, where)]
    if evaluation.unknown is not None:
        lines += ["", *unknown_lines(evaluation.unknown, settings.reject_rate)]
    if evaluation.review is not None and settings.right_at_least is not None:
        lines += ["", *review_lines(evaluation.review, settings.right_at_least)]
    for line in lines:
        show(line)
    protocol = settings.protocol
    shots = [each if isinstance(each, int) else str(each) for each in protocol.supports]
    about = {"shots": shots, "draws": protocol.draws, "split": protocol.split, **encoded.about}
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
