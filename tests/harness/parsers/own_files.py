"""The campaign `own-files`: what this program wrote itself, changed, through the readers that the commands use.

Digests are put right in most trials, since nothing behind them would be reached else.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.calib.instances.embedding_store import EmbeddingStore, entry_bytes
from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import read_config
from mvrec_edge.cli.config.template import render_template
from mvrec_edge.cli.console import escaped
from mvrec_edge.cli.console import json_text as console_json
from mvrec_edge.cli.inspect import describe_bundle, describe_cache
from mvrec_edge.cli.recorded import add_recorded
from mvrec_edge.cli.results_file import last_run, read_results
from mvrec_edge.runtime import Bundle, DefectClassifier, Region, SupportCache
from mvrec_edge.runtime.bundle import Golden
from mvrec_edge.runtime.bundle.screen import VARIANT_DOMAINS, screen_onnx
from mvrec_edge.runtime.engines.speeds import read_speeds
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanKey
from mvrec_edge.runtime.engines.tensorrt.plans import built_profiles, plan_path, record_plan, verified_plan
from mvrec_edge.runtime.errors import MvrecEdgeError
from mvrec_edge.runtime.report import ReportWriter
from mvrec_edge.runtime.support.versions import SupportVersions
from mvrec_edge.testing import FakeEngine
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.limits import MB, SECONDS
from tests.harness.parsers.mutation import Seed, mutated, mutated_bytes, mutated_json
from tests.harness.parsers.own_seeds import (
    BUNDLE_FILES,
    ENCODER,
    VIEW_SIZE,
    cache,
    manifest,
    mutated_tensor_file,
    result_records,
    signed,
)
from tests.harness.parsers.protobuf_mutation import GRAPH, WEIGHTS, mutated_protobuf

__all__ = ["OwnFiles"]

Trial = Callable[[random.Random], object]

#: Several files, or a whole page, are written for each trial of these.
_SLOW = ("results", "resumed", "versions")
_OFTEN = 5
#: Caches that can be opened are classified with as often.
_CLASSIFIED = 0.2
#: Trials of which the digest is left wrong, or a byte of the whole file is changed.
_RAW = 0.15


class OwnFiles(Campaign):
    """Every file of the program's own, mutated: success or an error of the tree, within time and memory."""

    name = "own-files"
    goal = "the program's own files, changed behind their digests: success or the error tree, 2 s, 256 MB"
    short = 50_000
    full = 5_000_000
    chunk = 2_000

    def run(self, trials: range, folder: Path) -> Tally:
        """Does some trials; which file one changes follows from its number."""
        tally = Tally()
        before = os.environ.get("MVREC_EDGE_CACHE")
        os.environ["MVREC_EDGE_CACHE"] = str(folder / "user")
        try:
            readers = _in_turn(_readers(folder))
            watch = _Watch()
            for number in trials:
                kind, trial = readers[number % len(readers)]
                source = random.Random(number)
                ended, found = watch.run(trial, source)
                tally.trials += 1
                tally.counts[f"{kind}: {ended}"] += 1
                if found is not None:
                    tally.findings.append(Finding(number, f"{kind}: {found}"))
            tally.peak("seconds", watch.longest)
            tally.peak("megabytes", watch.largest)
        finally:
            os.environ.pop("MVREC_EDGE_CACHE")
            if before is not None:
                os.environ["MVREC_EDGE_CACHE"] = before
        return tally


class _Watch:
    """Time and memory of one trial after the other."""

    def __init__(self) -> None:
        self.longest = self.largest = 0.0
        self._begin_anew()

    def _begin_anew(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        self._floor = _peak_mb()

    def run(self, trial: Trial, source: random.Random) -> tuple[str, str | None]:
        """How a trial ended, and what is wrong with that."""
        begin, found = time.process_time(), None
        try:
            wrong = trial(source)
            ended = "read"
            if isinstance(wrong, str):
                found = wrong
        except MvrecEdgeError:
            ended = "refused"
        except Exception as error:
            ended, found = "escaped", _told(error)
        seconds, megabytes = time.process_time() - begin, _peak_mb() - self._floor
        self.longest, self.largest = max(self.longest, seconds), max(self.largest, megabytes)
        if seconds > SECONDS:
            found = found or f"took {seconds:.1f} s"
        if megabytes > MB:
            found = found or f"took {megabytes:.0f} MB"
        if megabytes > MB / 4:
            self._begin_anew()
        return ended, found


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _told(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"[:300]


def _in_turn(readers: dict[str, Trial]) -> list[tuple[str, Trial]]:
    """The order of the kinds; those that take long are tried less often."""
    often = [(kind, trial) for kind, trial in readers.items() if kind not in _SLOW]
    return [*often * _OFTEN, *((kind, readers[kind]) for kind in _SLOW)]


def _readers(folder: Path) -> dict[str, Trial]:
    """A trial for each kind of file, by its name."""
    makers = (
        _manifests,
        _caches,
        _goldens,
        _graphs,
        _plans,
        _speeds,
        _configs,
        _entries,
        _results,
        _resumed,
        _versions,
    )
    readers = {}
    for make in makers:
        place = folder / make.__name__.strip("_")
        place.mkdir(parents=True)
        readers[make.__name__.strip("_")] = make(place)
    return readers


def _changed_document(data: bytes, source: random.Random) -> bytes:
    """A signed document, changed behind its digest, or anywhere."""
    if source.random() < _RAW:
        return mutated_bytes(data, source)
    return signed(mutated_json(json.loads(data), source))


def _show(description: dict[str, Any]) -> None:
    """As `inspect` does."""
    console_json(description, indent=2).encode("utf-8", "backslashreplace")
    for value in description.values():
        for line in value if isinstance(value, list) else [value]:
            escaped(line).encode("utf-8", "backslashreplace")


def _manifests(folder: Path) -> Trial:
    for name, data in BUNDLE_FILES.items():
        (folder / name).write_bytes(data)
    seed, file = manifest().serialise(), folder / "manifest.json"

    def trial(source: random.Random) -> None:
        file.write_bytes(_changed_document(seed, source))
        _show(describe_bundle(Bundle.load(folder)))

    return trial


def _caches(folder: Path) -> Trial:
    seed, file = cache().to_bytes(), folder / "line.safetensors"
    engine = FakeEngine(image_size=VIEW_SIZE, embedding_dim=8, fingerprint=ENCODER)
    image = np.zeros((40, 40, 3), np.uint8)
    image[10:20, 10:20] = 200
    regions = [Region.from_box((8, 8, 22, 22), (40, 40), None, "a.png#0")]

    def trial(source: random.Random) -> None:
        raw = source.random() < _RAW
        file.write_bytes(mutated_bytes(seed, source) if raw else mutated_tensor_file(seed, source))
        loaded = SupportCache.load(file)
        _show(describe_cache(loaded))
        classifier = DefectClassifier(engine, loaded)
        if source.random() < _CLASSIFIED:
            for prediction in classifier.classify(image, regions):
                json.dumps(prediction.to_record(), allow_nan=False)

    return trial


def _goldens(folder: Path) -> Trial:
    bundle, file = Bundle(folder, manifest()), folder / "golden.safetensors"
    draw = np.random.default_rng(0)
    embeddings = {name: draw.standard_normal((2, 8)).astype(np.float32) for name in bundle.precisions}
    Golden(np.zeros((2, VIEW_SIZE, VIEW_SIZE, 4), np.uint8), embeddings["fp32"], embeddings).save(file)
    seed = file.read_bytes()

    def trial(source: random.Random) -> None:
        raw = source.random() < _RAW
        file.write_bytes(mutated_bytes(seed, source) if raw else mutated_tensor_file(seed, source))
        Golden.of(bundle)

    return trial


def _graphs(folder: Path) -> Trial:
    weights, file = folder / WEIGHTS[0], folder / "encoder.fp32.onnx"
    weights.write_bytes(WEIGHTS[1])

    def trial(source: random.Random) -> str | None:
        raw = source.random() < _RAW
        data = mutated_bytes(GRAPH, source) if raw else mutated_protobuf(GRAPH, source)
        file.write_bytes(data)
        screen_onnx(file, weights, VARIANT_DOMAINS if source.random() < 0.5 else ())
        return _passed_by_mistake(data)

    return trial


def _passed_by_mistake(data: bytes) -> str | None:
    """What the onnx library, where it is there, finds in a graph that the screen let pass."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        return None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        # No engine opens it either.
        return None
    if model.functions or model.training_info or model.graph.sparse_initializer:
        return "the screen let functions, graphs for training or sparse tensors pass"
    for tensor in model.graph.initializer:
        places = {entry.key: entry.value for entry in tensor.external_data}
        if places and places.get("location") != WEIGHTS[0]:
            return f"the screen let a tensor in {places.get('location')!r} pass"
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx", *VARIANT_DOMAINS):
            return f"the screen let an operator of {node.domain!r} pass"
        for attribute in node.attribute:
            tensors = [attribute.t, *attribute.tensors]
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                return "the screen let a sparse tensor in an attribute pass"
            if any(each.external_data or each.data_location for each in tensors):
                return "the screen let an attribute in another file pass"
    before = model.ByteSize()
    model.DiscardUnknownFields()
    return None if model.ByteSize() == before else "the screen let an unknown field pass"


def _plans(folder: Path) -> Trial:
    del folder
    key = PlanKey("12" * 32, "10.3.0", "Orin \u00b5", "8.7", "1:27:54", "Linux aarch64")
    path = plan_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = bytes(range(200))
    path.write_bytes(plan)
    record_plan(key, path)
    file = path.with_suffix(".json")
    seed = Seed("plan", file.read_bytes(), "json")

    def trial(source: random.Random) -> str | None:
        file.write_bytes(mutated(seed, source))
        built_profiles(key)
        found = verified_plan(key, path)
        return None if found in (None, plan) else "another plan was loaded"

    return trial


def _speeds(folder: Path) -> Trial:
    del folder
    user = Path(os.environ["MVREC_EDGE_CACHE"])
    user.mkdir(exist_ok=True, mode=0o700)
    times = {f"{place:02x}" * 32: 1.5 + place for place in range(5)}
    seed = Seed(
        "speeds", json.dumps({"schema": "mvrec-edge/speeds/1", "milliseconds_per_view": times}).encode(), "json"
    )
    file = user / "speeds.json"

    def trial(source: random.Random) -> None:
        file.write_bytes(mutated(seed, source))
        read_speeds([])

    return trial


def _configs(folder: Path) -> Trial:
    settings, file = command_settings(), folder / "mvrec-edge.toml"
    lines = [line.lstrip("#") for line in render_template(settings).splitlines() if line and not line.startswith("# ")]
    tables: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("["):
            tables[line] = []
        else:
            tables[list(tables)[-1]].append(line.partition("  # ")[0])

    def trial(source: random.Random) -> None:
        table = source.choice(list(tables))
        kept = source.sample(tables[table], min(6, len(tables[table])))
        text = "\n".join([table, *kept, "[engine]", "threads = 2", ""])
        file.write_bytes(mutated(Seed("config", text.encode(), "lines"), source))
        read_config(file, settings, "classify")

    return trial


def _entries(folder: Path) -> Trial:
    store, key = EmbeddingStore(folder), "ef" * 32
    embedding = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    store.put(key, embedding)
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    seed = file.read_bytes()

    def trial(source: random.Random) -> str | None:
        if source.random() < 0.3:
            values = mutated_bytes(embedding.tobytes(), source)
            changed = entry_bytes(key, values)
            expected = np.frombuffer(values, np.float32) if len(values) == embedding.nbytes else None
        else:
            changed = mutated_bytes(seed, source)
            expected = embedding.ravel() if changed == seed else None
        file.write_bytes(changed)
        found = store.get(key, (3, 8))
        if found is None:
            return None
        fits = expected is not None and np.isfinite(found).all() and np.array_equal(found.ravel(), expected)
        return None if fits else "an embedding that was changed is used"

    return trial


def _lines(source: random.Random, records: list[dict[str, Any]]) -> bytes:
    """A results file of which a record or a byte was changed."""
    texts = [json.dumps(record).encode() for record in records]
    place = source.randrange(len(texts))
    texts[place] = mutated(Seed("record", texts[place], "json"), source).replace(b"\n", b" ")
    data = b"\n".join([*texts, b""])
    return mutated_bytes(data, source) if source.random() < _RAW else data


def _results(folder: Path) -> Trial:
    records, loaded, file = result_records(), cache(), folder / "results.jsonl"

    def trial(source: random.Random) -> None:
        file.write_bytes(_lines(source, records))
        last_run(file)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            ReportWriter(folder / "report.html", loaded, title="", overwrite=True) as page,
        ):
            add_recorded(page, read_results(file), folder)

    return trial


def _resumed(folder: Path) -> Trial:
    from mvrec_edge.cli.records import ResultPlaces, open_sink
    from mvrec_edge.cli.run_facts import RunFacts

    run = RunFacts(**{**dict.fromkeys(RunFacts.__dataclass_fields__), "cache_digest": ENCODER})  # type: ignore[arg-type]
    records = [{**record, "run": run.to_record(ENCODER)} for record in result_records()]
    file = folder / "results.jsonl"
    places = ResultPlaces(out=file, csv=folder / "results.csv", resume=True)

    def trial(source: random.Random) -> None:
        for each in folder.iterdir():
            each.unlink()
        file.write_bytes(_lines(source, records))
        with contextlib.redirect_stderr(io.StringIO()), open_sink(places, run):
            pass

    return trial


def _versions(folder: Path) -> Trial:
    made = cache()
    data = made.to_bytes()
    names = ("1", "2", "3", "7", "999999999", "01", "1e3", "-1", "9999999999", "2026-01-01", "partial", "\u0664")

    def trial(source: random.Random) -> None:
        place = folder / "versions"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        file = place / "line.safetensors"
        file.write_bytes(data)
        for name in source.sample(names, 3):
            other = file.with_name(f"{file.name}.{name}")
            source.choice(_OTHERS)(other, data, source)
        versions = SupportVersions(file)
        with versions.change():
            [(version.name, version.path) for version in versions.history()]
            if source.random() < 0.5:
                versions.write(made.changed(encoder_name="another"))
            versions.rollback(source.choice((None, None, 1, 2)))
        SupportCache.load(file)

    return trial


_OTHERS: tuple[Callable[[Path, bytes, random.Random], object], ...] = (
    lambda path, data, source: path.write_bytes(mutated_bytes(data, source)),
    lambda path, data, source: path.write_bytes(mutated_tensor_file(data, source)),
    lambda path, data, source: path.write_bytes(data),
    lambda path, data, source: path.write_bytes(b""),
    lambda path, data, source: path.mkdir(),
    lambda path, data, source: os.mkfifo(path),
    lambda path, data, source: path.symlink_to("nowhere"),
    lambda path, data, source: path.symlink_to("/dev/zero"),
)
