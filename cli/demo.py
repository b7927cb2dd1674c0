"""`mvrec-edge demo`: the whole way, from weights to a report, on defects it renders itself."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.options import Overwrite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.runtime import Bundle, ImageRegions, Prediction

__all__ = ["demo"]

_SHOTS = 5
_MARK = ".mvrec-edge-demo"


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, such as demo-output.")] = Path(
        "demo-output"
    ),
    images: Annotated[
        int,
        typer.Option(
            "--images",
            min=_SHOTS + 1,
            max=1000,
            help=f"Number of images to render of each class; {_SHOTS} of them are learned, the rest is classified.",
        ),
    ] = 15,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the images and of the draw.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Render defects, calibrate the pocket encoder on 5 shots of each class, classify the rest.

    The encoder comes with the package and was not trained on defects of these classes. The demo needs the extra 'cpu'
    and no network. Once installed it takes one to two minutes on two cores, and writes a report. With the extra
    'export' it does the same with random weights, so that the accuracy can be compared.

    Example: mvrec-edge demo --out demo-output
    """
    from mvrec_edge.calib import read_labelled
    from mvrec_edge.cli.console import say, show
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.pocket import copy_pocket
    from mvrec_edge.runtime import open_source
    from mvrec_edge.runtime.wording import counted
    from mvrec_edge.testing import HELD_OUT_FAMILIES
    from mvrec_edge.testing.dataset import write_demo_line

    Outputs({}, folders={"--out": out}).claim("--out")
    _make_folder(out, overwrite)
    say(f"1/3 rendering {counted(images, 'image')} of each of {', '.join(HELD_OUT_FAMILIES)} on castings")
    parts = out / "parts"
    write_demo_line(parts, per_class=images, seed=seed)
    source = open_source(parts)
    say(f"    {source.describe()}")
    labelled = read_labelled(source)
    shots = labelled.draw(_SHOTS, seed).instances
    rest = labelled.with_instances(instance for instance in labelled.instances if instance not in shots)
    say(f"2/3 the pocket encoder: {_SHOTS} shots of each class, {counted(len(rest.instances), 'other region')}")
    cache, report = out / "line.safetensors", out / "report.html"
    trained = _try_out(copy_pocket(out / "pocket.bundle"), cache, labelled, rest, seed, report=report)
    say("3/3 the same with random weights")
    random = _random_bundle(out / "random.bundle", seed)
    drawn = None if random is None else _try_out(random, out / "random.safetensors", labelled, rest, seed)
    for line in _table(labelled.class_names, trained, drawn):
        show(line)
    show(f"report: {report}")
    # As this program was called, since `mvrec-edge` alone is found only where its environment is activated.
    words = (sys.argv[0], "classify", out / "pocket.bundle", cache, parts, "--table")
    show(f"next: {shlex.join(map(str, words))}")


@dataclass(frozen=True)
class _Trial:
    """What an encoder made of the demo's defects.

    Attributes:
        predictions: One for each region.
        head: The head that was chosen.
    """

    predictions: list[Prediction]
    head: str

    def right(self, name: str) -> tuple[int, int]:
        """How many regions of a class were classified right, and of how many."""
        of_class = [each for each in self.predictions if each.region.label == name]
        return sum(each.label == name for each in of_class), len(of_class)


def _make_folder(out: Path, overwrite: bool) -> None:
    """Makes the demo's folder; one that the demo made earlier is replaced where that was asked for."""
    import shutil

    from mvrec_edge.runtime.errors import OutputError
    from mvrec_edge.runtime.files import writing

    if out.exists():
        if not overwrite:
            raise OutputError("exists already", where=out, fix="choose another folder, or give --overwrite")
        if not (out / _MARK).is_file():
            raise OutputError("was not made by the demo, so it is not replaced", where=out, fix="choose another folder")
        shutil.rmtree(out)
    with writing(out):
        out.mkdir(parents=True)
        (out / _MARK).touch()


def _random_bundle(path: Path, seed: int) -> Bundle | None:
    """A bundle of the same network with random weights; None where the libraries of the export are missing."""
    from mvrec_edge.cli.console import view_bar
    from mvrec_edge.pocket import POCKET
    from mvrec_edge.runtime.errors import MissingDependencyError

    try:
        from mvrec_edge.export import drawn_weights, export_bundle
    except MissingDependencyError:
        _say_step("left out: a network with random weights is made by the extra 'export', which is not installed")
        return None
    return export_bundle(drawn_weights(POCKET, seed), path, views_bar=view_bar, say=_say_step)


def _try_out(
    bundle: Bundle,
    cache_path: Path,
    labelled: LabelledSet,
    rest: LabelledSet,
    seed: int,
    *,
    report: Path | None = None,
) -> _Trial:
    """Calibrates an encoder and classifies."""
    import warnings

    from mvrec_edge.calib import CalibrateSettings, calibrate
    from mvrec_edge.cli.console import ConsoleObserver, view_bar
    from mvrec_edge.cli.report import open_report, run_sections
    from mvrec_edge.runtime import DefectClassifier, open_engine
    from mvrec_edge.runtime.classifier import RandomWeightsWarning

    # Said by the table already.
    with warnings.catch_warnings(), open_engine("onnxruntime", bundle) as engine:
        warnings.simplefilter("ignore", RandomWeightsWarning)
        settings = CalibrateSettings(shots=_SHOTS, seed=seed)
        _say_step(f"learning {_SHOTS} defects of each class")
        cache = calibrate(engine, labelled, settings, observer=ConsoleObserver(remarks=False))
        cache.save(cache_path)
        classifier = DefectClassifier(engine, cache)
        predictions = []
        _say_step(f"classifying the other {len(rest.instances)}")
        title = "Defects the encoder was not trained on"
        with open_report(report, cache, title, overwrite=False) as page, view_bar("classifying", None) as advance:
            for item, found in classifier.classify_many(_images(rest), advance):
                predictions += found
                if page is not None:
                    page.add(item.key, item.image, found)
            if page is not None:
                page.add_details(
                    *run_sections("demo", cache=cache, cache_name=cache_path.name, bundle=bundle, engine=engine)
                )
    return _Trial(predictions, cache.head.name)


def _say_step(line: str) -> None:
    """Says what is done now: where stderr is no terminal, there is no bar that would show that anything is done."""
    from mvrec_edge.cli.console import say

    say(f"    {line}")


def _images(labelled: LabelledSet) -> Iterator[ImageRegions[Path]]:
    """The images of instances, each with its regions."""
    from mvrec_edge.runtime import ImageRegions

    for path, places in labelled.places_by_image.items():
        regions = [labelled.instances[place].region for place in places]
        yield ImageRegions(path, labelled.images.read(path), regions)


def _table(class_names: tuple[str, ...], trained: _Trial, drawn: _Trial | None) -> list[str]:
    """Accuracy for each class and in all, beside chance, and beside random weights where those were tried."""
    wide = max(len(name) for name in class_names) + 2
    columns = [("pocket", 12, trained)] + ([] if drawn is None else [("random weights", 18, drawn)])
    titles = "".join(f"{title:>{width}}" for title, width, _ in columns)
    lines = [f"{'class':<{wide}}{titles}{'chance':>10}"]
    chance = f"{100 / len(class_names):.0f}%"
    rows = [(name, (name,)) for name in class_names] + [("all", class_names)]
    for name, named in rows:
        shares = "".join(f"{_share(trial, named):>{width}}" for _, width, trial in columns)
        lines.append(f"{name:<{wide}}{shares}{chance:>10}")
    return lines


def _share(trial: _Trial, class_names: tuple[str, ...]) -> str:
    counts = [trial.right(name) for name in class_names]
    right, total = (sum(values) for values in zip(*counts, strict=True))
    return f"{right}/{total} {100 * right / total:.0f}%"
