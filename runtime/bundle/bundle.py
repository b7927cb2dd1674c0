"""A bundle: the folder that `export` writes and every engine starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mvrec_edge.runtime.bundle.architecture import EncoderArchitecture
from mvrec_edge.runtime.bundle.certificate import GraphRecord, VariantRecord
from mvrec_edge.runtime.bundle.manifest import MANIFEST_NAME, FileRecord, Manifest, WeightsSource
from mvrec_edge.runtime.bundle.screen import VARIANT_DOMAINS, screen_onnx
from mvrec_edge.runtime.errors import InputError, IntegrityError, OutputError
from mvrec_edge.runtime.files import atomic_write, sha256_file
from mvrec_edge.runtime.files.draft_folder import DraftFolder, recover_folder
from mvrec_edge.runtime.files.regular_files import read_bounded

__all__ = ["Bundle", "check_free", "write_bundle"]

_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: Its folder.
        manifest: What it holds.
    """

    path: Path
    manifest: Manifest
    _verified: set[str] = field(default_factory=set, repr=False, compare=False)
    _screened: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def load(cls, path: str | Path, *, graphs: Sequence[str] | None = None) -> Bundle:
        """Opens a bundle and checks its bytes before any library sees one.

        Args:
            path: The folder that `mvrec-edge export` wrote.
            graphs: The precisions whose graphs and weights are hashed now; by default all. The others are hashed when
                `graph` is asked for them, so that whoever runs one precision does not wait for the others.

        Raises:
            InputError: There is no bundle at `path`.
            IntegrityError: A file is missing, was changed, or is not listed in the manifest.
        """
        folder = Path(path)
        recover_folder(folder)
        source = folder / MANIFEST_NAME
        if not folder.exists():
            raise InputError(
                "there is no such folder", where=folder, fix="give the folder that 'mvrec-edge export' wrote"
            )
        if not folder.is_dir() or not source.is_file():
            raise InputError(
                f"is not a bundle: there is no {MANIFEST_NAME}",
                where=folder,
                fix="give the folder that 'mvrec-edge export' wrote",
            )
        try:
            data = read_bounded(source, _LARGEST_MANIFEST)
        except OSError as error:
            raise IntegrityError(
                f"cannot be read: {error.strerror or error}", where=source, fix="copy or export the bundle again"
            ) from error
        manifest = Manifest.parse(data, str(source))
        _check_names_and_sizes(folder, manifest)
        bundle = cls(folder, manifest)
        later = {
            name
            for record in manifest.graphs
            if graphs is not None and record.precision not in graphs
            for name in record.files
        }
        for record in manifest.files:
            if record.name not in later:
                bundle._check_hash(record.name)
        return bundle

    @property
    def architecture(self) -> EncoderArchitecture:
        """The encoder's size."""
        return self.manifest.architecture

    @property
    def weights(self) -> WeightsSource:
        """Where the weights came from."""
        return self.manifest.weights

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions it has a graph of."""
        return self.manifest.precisions

    def fingerprint(self, precision: str = "fp32") -> str:
        """What an embedding of this bundle depends on, as a hash. See `Manifest.fingerprint`."""
        return self.manifest.fingerprint(precision)

    def precision_of(self, fingerprint: str) -> str | None:
        """The precision whose embeddings have this fingerprint; None where they come from another bundle."""
        return next((name for name in self.precisions if self.fingerprint(name) == fingerprint), None)

    def graph(self, precision: str = "fp32") -> Path:
        """The path of the ONNX graph of one precision. Its weights lie beside it, where it says; both may be opened.

        The hashes of both were checked, and the graph was looked through for what must not be run.

        Raises:
            UsageError: The bundle has none of that precision.
            IntegrityError: A file was changed, or the graph holds something that must not be run.
        """
        record = self.manifest.graph(precision)
        return self._checked(record.file, record.weights)

    def variant(self, precision: str, target: str) -> tuple[Path, VariantRecord] | None:
        """The graph of one precision with the operators of one engine, checked like `graph`, and its record.

        Args:
            precision: The precision.
            target: One of `VARIANT_TARGETS`.

        Returns:
            None where the bundle has no such variant.

        Raises:
            The same as `graph`.
        """
        record = self.manifest.graph(precision)
        for variant in record.variants:
            if variant.target == target:
                return self._checked(variant.file, record.weights, VARIANT_DOMAINS), variant
        return None

    def _checked(self, file: str, weights: str, domains: Sequence[str] = ()) -> Path:
        self._check_hash(file)
        self._check_hash(weights)
        if file not in self._screened:
            screen_onnx(self.path / file, self.path / weights, domains)
            self._screened.add(file)
        return self.path / file

    def _check_hash(self, name: str) -> None:
        """Hashes a file once, and compares with the manifest."""
        if name in self._verified:
            return
        if sha256_file(self.path / name) != self.manifest.file(name).sha256:
            raise IntegrityError(
                "was changed after it was exported: its hash differs from the manifest's",
                where=self.path / name,
                fix="copy or export the bundle again",
            )
        self._verified.add(name)


def _check_names_and_sizes(folder: Path, manifest: Manifest) -> None:
    """Compares the folder with the manifest, cheapest first; hashes come after this."""
    listed = {record.name for record in manifest.files}
    if strangers := sorted(
        item.name for item in folder.iterdir() if item.name not in listed and item.name != MANIFEST_NAME
    ):
        raise IntegrityError(
            f"holds '{strangers[0]}', which its manifest does not list",
            where=folder,
            fix="remove it from the bundle",
        )
    for record in manifest.files:
        file = folder / record.name
        if file.is_symlink() or not file.is_file():
            raise IntegrityError("is missing or not a plain file", where=file, fix="export the bundle again")
        if file.stat().st_size != record.size:
            raise IntegrityError(
                f"has {file.stat().st_size} bytes, its manifest says {record.size}",
                where=file,
                fix="copy or export the bundle again",
            )
    for graph in manifest.graphs:
        for name in graph.files:
            manifest.file(name)


def _readable(manifest: Manifest, where: Path) -> bytes:
    """The bytes of a manifest, which were read back: an export takes long, and its bundle shall be one."""
    try:
        data = manifest.serialise()
        if len(data) > _LARGEST_MANIFEST:
            raise ValueError("it is too large")
        Manifest.parse(data, str(where))
    except (ValueError, IntegrityError) as error:
        reason = error.what if isinstance(error, IntegrityError) else str(error)
        raise OutputError(f"is not written, since nothing could read it: {reason}", where=where) from error
    return data


def check_free(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuses a place where a bundle cannot go, before any work is done for it.

    Args:
        path: The folder to be.
        overwrite: Whether a bundle that is there may be replaced.

    Raises:
        OutputError: Something is there that is not to be replaced.
    """
    folder = Path(path)
    recover_folder(folder)
    if not folder.exists() and not folder.is_symlink():
        return
    if not overwrite:
        raise OutputError("exists already", where=folder, fix="choose another name, or give --overwrite")
    if not (folder / MANIFEST_NAME).is_file():
        raise OutputError("exists and is not a bundle, so it is not replaced", where=folder, fix="choose another name")


class write_bundle:  # noqa: N801 (a context manager, used like a function)
    """Builds a bundle in a temporary folder beside `path` and puts it in place when the block ends well.

    Use it as `with write_bundle(path) as draft: ...; draft.finish(...)`. Nothing stays behind when the block
    fails; a bundle that was at `path` before stays as it was. Whatever ends the process, the old bundle or the new one
    is there afterwards.

    Args:
        path: The folder to be. It must not exist, unless `overwrite` is given and it is a bundle.
        overwrite: Whether to replace a bundle that is already there.

    Raises:
        OutputError: The folder exists or cannot be written.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.overwrite = overwrite
        self._draft: DraftFolder | None = None
        self._finished = False

    @property
    def folder(self) -> Path:
        """Where the files of the bundle are put."""
        return self.path if self._draft is None else self._draft.path

    def __enter__(self) -> write_bundle:
        check_free(self.path, overwrite=self.overwrite)
        self._draft = DraftFolder(self.path)
        return self

    def finish(
        self,
        *,
        created_by: str,
        architecture: EncoderArchitecture,
        weights: WeightsSource,
        graphs: tuple[GraphRecord, ...],
    ) -> Manifest:
        """Hashes what the folder holds and writes the manifest, last.

        Raises:
            OutputError: It cannot be written, or could not be read again.
        """
        files = tuple(
            FileRecord(name=file.name, size=file.stat().st_size, sha256=sha256_file(file))
            for file in sorted(self.folder.iterdir())
        )
        manifest = Manifest(
            created_by=created_by, architecture=architecture, weights=weights, graphs=graphs, files=files
        )
        data = _readable(manifest, self.path / MANIFEST_NAME)
        with atomic_write(self.folder / MANIFEST_NAME) as stream:
            stream.write(data)
        self._finished = True
        return manifest

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        draft, self._draft = self._draft, None
        if draft is None:
            return
        try:
            if kind is None and self._finished:
                draft.put_in_place()
        finally:
            draft.close()
