"""The manifest of a bundle: what is in it, where it came from, and what it was checked against."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.bundle.architecture import EncoderArchitecture, LiteArchitecture, TransformerArchitecture
from mvrec_edge.runtime.bundle.certificate import GraphRecord
from mvrec_edge.runtime.bundle.plan_record import PLAN_LIBRARIES, PLAN_VARIANTS, PlanRecord
from mvrec_edge.runtime.bundle.precision import PRECISIONS
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files import canonical_json, sha256_bytes
from mvrec_edge.runtime.files.json_documents import Fields, read_json, read_signed_json, signed_json

__all__ = ["MANIFEST_NAME", "FileRecord", "Manifest", "WeightsSource"]

MANIFEST_NAME = "manifest.json"
SCHEMA = "mvrec-edge/bundle/3"
# Its graphs held their weights. It is refused with the command that makes the bundle anew.
_SCHEMA_BEFORE = "mvrec-edge/bundle/2"

# What a manifest may claim; a file that claims more is refused before anything is allocated for it.
_MOST_FILES = 64
_LARGEST_FILE = 1 << 40


@dataclass(frozen=True)
class FileRecord:
    """One file of a bundle.

    Attributes:
        name: File name within the bundle, without folders.
        size: Bytes.
        sha256: Hash of the bytes in hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights came from.

    Attributes:
        kind: `"checkpoint"`, or `"random"` for weights that were drawn and can classify nothing.
        name: The checkpoint's file name, or the architecture's name for drawn weights.
        sha256: Hash of the checkpoint file; empty for drawn weights.
        seed: The seed of drawn weights.
    """

    kind: str
    name: str
    sha256: str
    seed: int | None = None

    @property
    def is_random(self) -> bool:
        """Whether the weights were drawn rather than trained."""
        return self.kind == "random"

    def __str__(self) -> str:
        if self.is_random:
            return f"random weights, seed {self.seed}"
        return f"{self.name} (sha256 {self.sha256[:12]})"


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds. Round trip: `Manifest.parse(manifest.serialise())` equals the manifest.

    Attributes:
        created_by: Name and version of the program that wrote it.
        architecture: The encoder's size.
        weights: Where the weights came from.
        graphs: The graphs, one for each precision.
        files: Every file but the manifest itself.
        plans: Plans for one of the graphs, at most one for a graph and an engine.
    """

    created_by: str
    architecture: EncoderArchitecture
    weights: WeightsSource
    graphs: tuple[GraphRecord, ...]
    files: tuple[FileRecord, ...]
    plans: tuple[PlanRecord, ...] = ()

    def file(self, name: str) -> FileRecord:
        """The record of one file.

        Raises:
            IntegrityError: The manifest does not list it.
        """
        for record in self.files:
            if record.name == name:
                return record
        raise IntegrityError(f"the file '{name}' is not listed", where=MANIFEST_NAME, fix="export the bundle again")

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions there is a graph of, in the order of the graphs."""
        return tuple(graph.precision for graph in self.graphs)

    def graph(self, precision: str) -> GraphRecord:
        """The record of one graph.

        Raises:
            UsageError: There is none of that precision.
        """
        for graph in self.graphs:
            if graph.precision == precision:
                return graph
        raise UsageError(
            f"the bundle has no {precision} graph, it has {', '.join(self.precisions) or 'none'}",
            fix=f"export it with --precision {','.join(dict.fromkeys((*self.precisions, precision)))}",
        )

    def plan(self, precision: str, library: str, variant: str = "") -> PlanRecord | None:
        """The plan for a graph and an engine, see `PlanRecord`; None where the bundle holds none."""
        for plan in self.plans:
            if (plan.precision, plan.library, plan.variant) == (precision, library, variant):
                return plan
        return None

    def graph_bytes(self, precision: str) -> int:
        """Bytes of a graph together with its weights.

        Raises:
            UsageError: There is no graph of that precision.
        """
        graph = self.graph(precision)
        return self.file(graph.file).size + self.file(graph.weights).size

    def graph_digest(self, precision: str, variant: str = "") -> str:
        """Identifies a graph together with its weights, as a hash over the hashes of both files.

        Args:
            precision: The graph's precision.
            variant: The target of one of its variants; empty for the graph of standard operators that takes views.

        Raises:
            UsageError: There is no such graph.
        """
        graph = self.graph(precision)
        file = graph.file
        if variant:
            record = graph.variant(variant)
            if record is None:
                raise UsageError(f"the bundle has no {precision} graph for '{variant}'", fix="export it again")
            file = record.file
        return sha256_bytes(canonical_json([self.file(file).sha256, self.file(graph.weights).sha256]))

    def fingerprint(self, precision: str) -> str:
        """Identifies what an embedding depends on: weights, graph and the way pixels go in.

        Embeddings made under different fingerprints must not be compared.

        Raises:
            UsageError: There is no graph of that precision.
        """
        parts = {
            "architecture": self.architecture.record(),
            "graph": self.graph_digest(precision),
            "input": _INPUT,
            "precision": precision,
            "weights": dataclasses.asdict(self.weights),
        }
        return sha256_bytes(canonical_json(parts))

    def serialise(self) -> bytes:
        """The bytes of `manifest.json`."""
        payload = dataclasses.asdict(self)
        if not self.plans:
            # A bundle without plans has the manifest that it had before there were any.
            del payload["plans"]
        payload["schema"] = SCHEMA
        payload["input"] = _INPUT
        payload["output"] = _OUTPUT
        return signed_json(payload)

    @classmethod
    def parse(cls, data: bytes, where: str = MANIFEST_NAME) -> Manifest:
        """Reads the bytes of `manifest.json`, trusting none of them.

        Raises:
            IntegrityError: A byte was changed, or the manifest is of a schema this version does not know.
        """
        earlier = _earlier(data, where)
        if earlier is not None:
            fix = "export the bundle again"
            with contextlib.suppress(IntegrityError):
                fix = f"export it again: {_export_command(earlier, where)}"
            raise IntegrityError("is of an earlier version, whose graphs held their weights", where=where, fix=fix)
        fields = read_signed_json(data, where, schema=SCHEMA, again="export the bundle again")
        if fields.payload.get("input") != _INPUT or fields.payload.get("output") != _OUTPUT:
            raise IntegrityError("describes an input or output this version does not know", where=where)
        return cls(
            created_by=fields.text("created_by"),
            architecture=_architecture(fields.object("architecture")),
            weights=_weights(fields.object("weights")),
            graphs=tuple(
                GraphRecord.parse(Fields(item, f"{where}: graphs"))
                for item in fields.sequence("graphs", most=_MOST_FILES)
            ),
            files=tuple(_file(Fields(item, f"{where}: files")) for item in fields.sequence("files", most=_MOST_FILES)),
            plans=_plans(fields, where),
        )


_INPUT: dict[str, Any] = {
    "name": "views",
    "dtype": "uint8",
    "layout": "NHWC",
    "channels": ["red", "green", "blue", "mask"],
}
_OUTPUT: dict[str, Any] = {"name": "embedding", "dtype": "float32"}


def _architecture(fields: Fields) -> EncoderArchitecture:
    # The record of a transformer has the fields that it had before there was any other.
    if "family" in fields.payload:
        family = fields.choice("family", LiteArchitecture.family)
        size = fields.integer("image_size", LiteArchitecture.stride, 4096)
        if size % LiteArchitecture.stride:
            raise IntegrityError(
                f"'image_size' is no multiple of {LiteArchitecture.stride}",
                where=fields.where,
                fix="make the file anew",
            )
        return LiteArchitecture(size, fields.integer("embedding_dim", 1, 65536), family)
    return TransformerArchitecture(
        image_size=fields.integer("image_size", 1, 4096),
        patch_size=fields.integer("patch_size", 1, 4096),
        width=fields.integer("width", 64, 65536),
        layers=fields.integer("layers", 1, 1024),
        embedding_dim=fields.integer("embedding_dim", 1, 65536),
    )


def _weights(fields: Fields) -> WeightsSource:
    return WeightsSource(
        kind=fields.choice("kind", "checkpoint", "random"),
        name=fields.text("name"),
        sha256=fields.text("sha256", longest=64),
        seed=fields.optional_integer("seed", 0, 2**63),
    )


def _file(fields: Fields) -> FileRecord:
    name = fields.text("name", longest=255)
    # A name is one file of the bundle's own folder, never a way out of it.
    if name in ("", ".", "..", MANIFEST_NAME) or "/" in name or "\\" in name or "\0" in name:
        raise IntegrityError(f"the file name {name!r} is not allowed", where=fields.where)
    return FileRecord(
        name=name, size=fields.integer("size", 0, _LARGEST_FILE), sha256=fields.text("sha256", longest=64)
    )


def _plans(fields: Fields, where: str) -> tuple[PlanRecord, ...]:
    if "plans" not in fields.payload:
        return ()
    most = len(PRECISIONS) * len(PLAN_LIBRARIES) * (1 + len(PLAN_VARIANTS))
    plans = tuple(PlanRecord.parse(Fields(item, f"{where}: plans")) for item in fields.sequence("plans", most=most))
    if len({(plan.precision, plan.library, plan.variant) for plan in plans}) < len(plans):
        raise IntegrityError(
            "two plans are for one graph and engine", where=f"{where}: plans", fix="export the bundle again"
        )
    return plans


def _earlier(data: bytes, where: str) -> Fields | None:
    """A manifest of the schema before; None for any other."""
    try:
        return read_json(data, where, schema=_SCHEMA_BEFORE)
    except IntegrityError:
        return None


def _export_command(fields: Fields, where: str) -> str:
    """The command that makes a bundle of the schema before anew, as far as its manifest says how.

    Raises:
        IntegrityError: It does not say so.
    """
    weights = _weights(fields.object("weights"))
    graphs = [Fields(item, f"{where}: graphs") for item in fields.sequence("graphs", most=_MOST_FILES)]
    precisions = [graph.choice("precision", *PRECISIONS) for graph in graphs]
    # The word for the small encoder that comes with the package, and not the file that it stands for.
    source = "pocket" if weights.name == "pocket.safetensors" else shlex.quote(weights.name)
    if weights.is_random:
        source = f"--random-weights {source} --seed {weights.seed}"
    options = f"--precision {','.join(precisions)}"
    # Without them a graph that is there now could be left out of the new bundle.
    if any(graph.payload.get("labels") is not None for graph in graphs):
        options += " --calibration SUPPORT"
    if any(graph.payload.get("within_limits") is not True for graph in graphs):
        options += " --accept"
    folder = shlex.quote(str(Path(where).parent))
    return (
        f"mvrec-edge export {source} {options} --out {folder} --overwrite; then move its support caches: "
        f"mvrec-edge calibrate {folder} SUPPORT --rebase CACHE --out NEW"
    )
