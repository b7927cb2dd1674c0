"""`mvrec-edge calibrate`: a labelled set becomes a support cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import aggregations, complete_listed, complete_name, heads, precisions
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import (
    FORMATS,
    BundlePath,
    EngineOptions,
    LabelledOptions,
    Overwrite,
    PrecisionName,
    RecipeName,
    RegionInput,
    RejectRate,
    Resampling,
    RightAtLeast,
    Steps,
    Triplet,
    WindowSizes,
)
from mvrec_edge.cli.part_options import PartOptions

if TYPE_CHECKING:
    from mvrec_edge.calib import CalibrateSettings, LabelledSet
    from mvrec_edge.runtime import Bundle, SupportCache

__all__ = ["calibrate"]


@dataclass(frozen=True)
class FitOptions:
    """Which instances are encoded, and what is fitted on them."""

    shots: Annotated[
        int | None,
        typer.Option(
            "--shots",
            min=1,
            help="Number of instances to draw of each class; by default all instances are used.",
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Number that fixes which instances --shots draws; the same number draws the same ones.",
        ),
    ] = 0
    view_recipe: RecipeName = "mso"
    window_sizes: WindowSizes = None
    resample: Resampling = "exact"
    region_input: RegionInput = "mask"
    head: Annotated[
        str,
        typer.Option(
            "--head",
            "--heads",
            autocompletion=complete_name(heads),
            help="Head: auto, zip, zip-c, zip-f, zip-w or zip-vw. 'zip' is MVREC's Zip-Adapter, 'zip-c' the same on "
            "centred embeddings, 'zip-f' the fine-tuned Zip-Adapter-F; 'zip-w' and 'zip-vw' weigh directions by how "
            "much the examples vary in them. 'auto', or 'average', averages zip-w, zip-vw and zip-c "
            "(docs/calibrate.md).",
        ),
    ] = "auto"
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            help="Sharpness (beta): the higher it is, the more only the most similar examples count. Only where --head "
            "names a head other than auto; by default the head's own value (docs/calibrate.md).",
            show_default=False,
        ),
    ] = None
    aggregate: Annotated[
        str | None,
        typer.Option(
            "--aggregate",
            autocompletion=complete_name(aggregations),
            help="How the head that --head names combines the views: 'uncertainty' classifies each view and gives "
            "the certain ones more weight, 'mean' classifies the mean embedding; by default the head's own way "
            "(docs/calibrate.md).",
            show_default=False,
        ),
    ] = None
    steps: Steps = 500
    triplet: Triplet = 0.0
    reject_rate: RejectRate = None
    right_at_least: RightAtLeast = None
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Store a small picture of each instance in the support cache, for reports."
        ),
    ] = True

    def settings(self) -> CalibrateSettings:
        """The settings of the stage, which refuses bad values."""
        from mvrec_edge.calib import CalibrateSettings, FineTuning
        from mvrec_edge.runtime.support.reject_rate import parse_rate
        from mvrec_edge.runtime.support.right_rate import parse_right_rate
        from mvrec_edge.runtime.views.window_sizes import parse_window_sizes

        return CalibrateSettings(
            shots=self.shots,
            seed=self.seed,
            views=self.view_recipe,
            window_sizes=None if self.window_sizes is None else parse_window_sizes(self.window_sizes),
            resample=self.resample,
            region_input=self.region_input,
            head=self.head,
            beta=self.beta,
            aggregate=self.aggregate,
            tuning=FineTuning(steps=self.steps, triplet=self.triplet),
            reject_rate=None if self.reject_rate is None else parse_rate(self.reject_rate),
            right_at_least=None if self.right_at_least is None else parse_right_rate(self.right_at_least),
            pictures=self.pictures,
        )


@dataclass(frozen=True)
class TuneOptions:
    """Whether windows, precision and number of views are chosen as well."""

    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Choose windows, precision, head and number of views: print the accuracy and the time for a defect "
            "on this machine of every combination, and keep the cheapest of the most accurate. Compares the heads "
            "average (which is auto), zip and zip-c. Other windows are compared where the images suggest some, unless "
            "--window-sizes names them.",
        ),
    ] = False
    tune_plot: Annotated[
        Path | None,
        typer.Option(
            "--tune-plot",
            help="With --tune: PNG file for a plot of accuracy and time; by default no plot is drawn.",
            show_default=False,
        ),
    ] = None
    tune_precisions: Annotated[
        str | None,
        typer.Option(
            "--tune-precisions",
            autocompletion=complete_listed(precisions),
            help="With --tune: precisions to compare, such as fp32,int8; by default every precision of the bundle "
            "that runs on this machine, or the one that --precision names.",
            show_default=False,
        ),
    ] = None

    def check(self, settings: CalibrateSettings, precision: str | None, rebase: Path | None) -> None:
        """Refuses options that do not go with one another."""
        from mvrec_edge.runtime.errors import UsageError

        if self.tune and (settings.head != "auto" or rebase is not None):
            raise UsageError("--tune chooses the head itself", fix="leave out --head and --rebase")
        if self.tune_plot is not None and not self.tune:
            raise UsageError("--tune-plot draws the result of --tune", fix="give --tune as well")
        if self.tune_precisions is not None and not self.tune:
            raise UsageError("--tune-precisions names the precisions that --tune compares", fix="give --tune as well")
        if self.tune_precisions is not None and precision is not None:
            raise UsageError(
                "with --precision, --tune looks at that precision only",
                fix="leave out --precision or --tune-precisions",
            )

    def check_parts(self) -> None:
        """Refuses to tune several parts: each would need a precision of its own."""
        from mvrec_edge.runtime.errors import UsageError

        if self.tune:
            raise UsageError(
                "--tune chooses one precision, and parts share theirs",
                fix="tune one part without --part, and calibrate the others with its --precision; then 'support merge'",
            )

    def check_engines(self, bundle: Bundle, encoding: EngineOptions, precision: str | None) -> None:
        """Refuses engines that cannot be opened: of all that were named, or of every precision that --tune looks at."""
        from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError

        wanted = self.precisions(precision) if self.tune else (precision,)
        if wanted is not None:
            for name in wanted:
                encoding.check(bundle, name)
            return
        failures = []
        for name in bundle.precisions:
            try:
                encoding.check(bundle, name)
            except (EnvironmentUnfitError, UsageError) as error:
                failures.append(error)
        if len(failures) == len(bundle.precisions):
            raise failures[0]

    def precisions(self, precision: str | None) -> tuple[str, ...] | None:
        """The precisions to look at; None for all that run here."""
        from mvrec_edge.runtime.bundle import parse_precisions

        if precision is not None:
            return (precision,)
        return None if self.tune_precisions is None else tuple(parse_precisions(self.tune_precisions))


@flattened
def calibrate(
    bundle: BundlePath,
    support: Annotated[Path, typer.Argument(metavar="SUPPORT", help=f"Labelled set to learn from: {FORMATS}.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Support cache to write, such as line.safetensors.")],
    *,
    fitting: FitOptions,
    tuning: TuneOptions,
    rebase: Annotated[
        Path | None,
        typer.Option(
            "--rebase",
            metavar="CACHE",
            help="Encode the instances of this support cache again, for another bundle or precision, instead of "
            "choosing instances. Its views, head, reject rate and share of right answers are kept. SUPPORT must "
            "hold the images of the instances.",
            show_default=False,
        ),
    ] = None,
    showing: PartOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    precision: PrecisionName = None,
    overwrite: Overwrite = False,
) -> None:
    """Learn the classes from a few labelled defects; writes the support cache that 'classify' reads.

    Example: mvrec-edge calibrate encoder.bundle labelled/ --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labels.csv --shots 5 --seed 0 --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labelled/ --right-at-least 95% --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle products/ --part-from folder --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labelled/ --rebase a.safetensors --precision int8 --out b.safetensors
    """
    from mvrec_edge.calib.calibration import check_parts_of, rebased_settings
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.runtime import Bundle, SupportCache
    from mvrec_edge.runtime.errors import OutputError
    from mvrec_edge.runtime.support.versions import SupportVersions

    outputs = Outputs({"--out": out, "--tune-plot": tuning.tune_plot})
    # The cache that --rebase names may be replaced: a version of it is kept.
    outputs.check([bundle, None if support.is_dir() else support])
    outputs.claim("--out", "--tune-plot", make_folders=False)
    if out.exists() and not overwrite:
        raise OutputError("exists already", where=out, fix="choose another name, or give --overwrite")
    SupportVersions(out).check_place()
    # All options are looked at before the encoder runs, which may take minutes.
    settings = fitting.settings()
    tuning.check(settings, precision, rebase)
    if showing.wanted:
        tuning.check_parts()
        check_parts_of(() if showing.part is None else (showing.part,), (settings.head,))
    before = None if rebase is None else SupportCache.load(rebase)
    told = settings.region_input if before is None else rebased_settings(settings, before).region_input
    opened = Bundle.load(bundle, graphs=())
    tuning.check_engines(opened, encoding, precision)
    plan = settings.plan() if before is None else before.view_plan
    labelled = showing.read(reading, support, region_input=told, plan=plan, outputs=outputs)
    if tuning.tune:
        cache = _tuned(opened, labelled, settings, tuning, encoding, precision)
    else:
        cache = _calibrated(opened, labelled, settings, before, encoding, precision)
    _write(cache, out, labelled.damaged)
    if labelled.problems:
        raise typer.Exit(1)


def _calibrated(
    bundle: Bundle,
    labelled: LabelledSet,
    settings: CalibrateSettings,
    before: SupportCache | None,
    encoding: EngineOptions,
    precision: str | None,
) -> SupportCache:
    """The cache, made anew or of the instances of the one before."""
    from mvrec_edge.calib import calibrate, rebase
    from mvrec_edge.calib.rebasing import find_instances, rebased_plan
    from mvrec_edge.cli.console import ConsoleObserver, say

    # Opening an engine may take minutes, too.
    if before is None:
        labelled.check_classes()
    else:
        rebased_plan(before, bundle.architecture.image_size)
        find_instances(before, labelled)
    with encoding.open(bundle, precision, say) as engine:
        if before is not None:
            return rebase(engine, labelled, before, settings, observer=ConsoleObserver())
        return calibrate(engine, labelled, settings, observer=ConsoleObserver())


def _tuned(
    bundle: Bundle,
    labelled: LabelledSet,
    settings: CalibrateSettings,
    tuning: TuneOptions,
    encoding: EngineOptions,
    precision: str | None,
) -> SupportCache:
    """The cache of the way that was kept; all ways are drawn where that was asked for."""
    from mvrec_edge.calib import calibrate_tuned
    from mvrec_edge.calib.fitting.tuning import plot_tuning
    from mvrec_edge.cli.console import ConsoleObserver, say

    tuned = calibrate_tuned(
        lambda name: encoding.open(bundle, name, say),
        bundle,
        labelled,
        settings,
        precisions=tuning.precisions(precision),
        observer=ConsoleObserver(),
    )
    if tuning.tune_plot is not None:
        plot_tuning(tuned.points, tuning.tune_plot)
        say(f"written: {tuning.tune_plot}")
    return tuned.cache


def _write(cache: SupportCache, out: Path, damaged: frozenset[Path]) -> None:
    """Writes the cache, keeps the one that it replaces, and says so."""
    from mvrec_edge.cli.console import say, say_damaged
    from mvrec_edge.runtime.support.versions import SupportVersions
    from mvrec_edge.runtime.wording import counted

    versions = SupportVersions(out)
    with versions.change(lambda: say("another change of this cache is under way: waiting for it")):
        kept = versions.write(cache)
    instances, views, _ = cache.embeddings.shape
    classes = ", ".join(f"{name} {count}" for name, count in cache.counts.items())
    replaced = "" if kept is None else f"; before: {out.name}.{kept}"
    say(f"{out}: {counted(instances, 'instance')} x {counted(views, 'view')} ({classes}){replaced}")
    say_damaged(damaged)
