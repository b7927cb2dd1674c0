"""`mvrec-edge demo`: the whole way, from weights to classes, on data it renders itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.options import Overwrite

if TYPE_CHECKING:
    from mvrec_edge.calib import LabelledRegion
    from mvrec_edge.runtime import Prediction

__all__ = ["demo"]

_ENCODER = "ViT-Ti/16"
_FAMILIES = ("scratch", "crack", "pit", "stain")
_PER_CLASS = 8
_SHOTS = 5


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("demo-output"),
    overwrite: Overwrite = False,
) -> None:
    """Render defects, export a small encoder, calibrate 5 shots a class, classify the rest (needs the extra 'export').

    The encoder has random weights: the demo shows that everything works and how it is used, not how well a trained
    encoder classifies.

    Example: mvrec-edge demo --out demo-output
    """
    import shutil

    from mvrec_edge.calib import draw_shots, encode_support, fit_head, read_support
    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.cli.pictures import PictureFolder
    from mvrec_edge.export import drawn_weights, export_bundle
    from mvrec_edge.runtime import DefectClassifier, ImageRegions, open_engine, open_source, read_image
    from mvrec_edge.runtime.errors import OutputError
    from mvrec_edge.runtime.files import writing
    from mvrec_edge.runtime.testing.dataset import write_dataset

    mark = out / ".mvrec-edge-demo"
    if out.exists():
        if not overwrite:
            raise OutputError("exists already", where=out, fix="choose another folder, or give --overwrite")
        if not mark.is_file():
            raise OutputError("was not made by the demo, so it is not replaced", where=out, fix="choose another folder")
        shutil.rmtree(out)
    with writing(out):
        out.mkdir(parents=True)
        mark.touch()

    say(f"1/4 rendering {_PER_CLASS} images of each of {', '.join(_FAMILIES)}")
    write_dataset(out / "parts", families=_FAMILIES, per_class=_PER_CLASS, size=(480, 640), seed=0)
    say(f"2/4 exporting a small encoder, {_ENCODER}, with random weights")
    bundle = export_bundle(drawn_weights(_ENCODER, 0), out / "encoder.bundle", views_bar=view_bar)
    support = read_support(open_source(out / "parts"))
    shots, _ = draw_shots(support, _SHOTS, seed=0)
    rest = [instance for instance in support.instances if instance not in shots]
    with open_engine("onnxruntime", bundle) as engine:
        say(f"3/4 calibrating with {_SHOTS} shots of each class")
        with view_bar("encoding", None) as advance:
            encoded = encode_support(
                engine,
                shots,
                encoder_name=f"{bundle.architecture.name}, {bundle.weights}",
                shots=_SHOTS,
                seed=0,
                progress=advance,
            )
        cache = fit_head(encoded).cache
        cache.save(out / "line.safetensors")
        say(f"4/4 classifying the other {len(rest)} regions")
        classifier = DefectClassifier(engine, cache)
        pictures = PictureFolder(out / "pictures")
        by_image: dict[Path, list[LabelledRegion]] = {}
        for instance in rest:
            by_image.setdefault(instance.image, []).append(instance)
        predictions: list[Prediction] = []
        items = (
            ImageRegions(path, read_image(path), [instance.region for instance in instances])
            for path, instances in by_image.items()
        )
        with view_bar("classifying", None) as advance:
            for item, found in classifier.classify_many(items, advance):
                pictures.save(item.key, item.image, found)
                predictions += found
    for line in _accuracy(predictions):
        typer.echo(line)
    typer.echo(f"pictures: {out / 'pictures'}")
    typer.echo(f"next: mvrec-edge classify {out / 'encoder.bundle'} {out / 'line.safetensors'} {out / 'parts'} --table")


def _accuracy(predictions: list[Prediction]) -> list[str]:
    """Accuracy for each class and in all, against chance."""
    lines = [f"{'class':<12}{'right':>8}"]
    right = 0
    for name in predictions[0].probabilities:
        of_class = [prediction for prediction in predictions if prediction.region.label == name]
        hits = sum(prediction.label == name for prediction in of_class)
        right += hits
        lines.append(f"{name:<12}{f'{hits}/{len(of_class)}':>8}")
    share = 100 * right / len(predictions)
    chance = 100 / len(predictions[0].probabilities)
    lines.append(f"{'all':<12}{f'{right}/{len(predictions)}':>8}  {share:.0f}%, chance is {chance:.0f}%")
    lines.append("The encoder's weights are random: a trained encoder is what makes this accurate.")
    return lines
