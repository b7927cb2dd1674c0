"""A bundle: the folder that `export` writes and every engine starts from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mvrec_edge.runtime.bundle.architecture import EncoderArchitecture
from mvrec_edge.runtime.bundle.certificate import GraphRecord, VariantRecord
from mvrec_edge.runtime.bundle.held_graph import HeldGraph, folder_state
from mvrec_edge.runtime.bundle.manifest import MANIFEST_NAME, FileRecord, Manifest, WeightsSource
from mvrec_edge.runtime.bundle.plan_record import PlanRecord
from mvrec_edge.runtime.bundle.screen import screen_onnx, variant_domains
from mvrec_edge.runtime.errors import InputError, IntegrityError, OutputError, UsageError
from mvrec_edge.runtime.files import atomic_write, sha256_file, writing
from mvrec_edge.runtime.files.draft_folder import DraftFolder, recover_folder
from mvrec_edge.runtime.files.file_lock import claimed
from mvrec_edge.runtime.files.held_file import FileState, HeldFile
from mvrec_edge.runtime.files.mount_point import is_mount_point
from mvrec_edge.runtime.files.regular_files import read_bounded
from mvrec_edge.runtime.files.writing import make_folder

__all__ = ["Bundle", "check_free", "write_bundle"]

_LARGEST_MANIFEST = 1 << 20
# How often a bundle is read that is replaced meanwhile.
_TRIES = 100


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: Its folder.
        manifest: What it holds.
    """

    path: Path
    manifest: Manifest
    _verified: dict[str, FileState] = field(default_factory=dict, repr=False, compare=False)
    _screened: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def load(cls, path: str | Path, *, graphs: Sequence[str] | None = None, plans: bool = True) -> Bundle:
        """Opens a bundle and checks its bytes before any library sees one.

        Args:
            path: The folder that `mvrec-edge export` wrote.
            graphs: The precisions whose graphs and weights are hashed now; by default all files are. The other files of
                graphs, and plans, are hashed when they are asked for, so that whoever runs one precision does not wait
                for the others.
            plans: Whether the files of plans have to be there. Without, they may be missing or damaged, for whoever
                builds them again; all else is checked.

        Raises:
            InputError: There is no bundle at `path`.
            IntegrityError: A file is missing, was changed, or is not listed in the manifest.
        """
        folder = Path(path)
        for _ in range(_TRIES - 1):
            before = folder_state(folder)
            try:
                return cls._read(folder, graphs, plans)
            except (InputError, IntegrityError):
                # An export may just have put another bundle in its place; the number of a folder is soon used again.
                if folder_state(folder) == before:
                    raise
        return cls._read(folder, graphs, plans)

    @classmethod
    def _read(cls, folder: Path, graphs: Sequence[str] | None, plans: bool) -> Bundle:
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
        try:
            _check_names_and_sizes(folder, manifest, plans)
        except OSError as error:
            raise IntegrityError(
                f"cannot be read: {error.strerror or error}", where=folder, fix="copy or export the bundle again"
            ) from error
        bundle = cls(folder, manifest)
        later = {
            name
            for record in manifest.graphs
            if graphs is not None and record.precision not in graphs
            for name in record.files
        }
        if graphs is not None or not plans:
            later.update(plan.file for plan in manifest.plans)
        for record in manifest.files:
            if record.name not in later:
                with contextlib.closing(HeldFile(folder / record.name)) as file:
                    bundle._check_hash(file)
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
        """The path of the ONNX graph of one precision. Its weights lie beside it, where it says.

        The hashes of both were checked, and the graph was looked through for what must not be run. Whoever opens them
        afterwards asks `hold` instead, since others may take their place meanwhile.

        Raises:
            UsageError: The bundle has none of that precision.
            IntegrityError: A file was changed, or the graph holds something that must not be run.
        """
        record = self.manifest.graph(precision)
        held = self._held(record, {record.file: ()})
        held.close()
        return held.graph

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
        variant = record.variant(target)
        if variant is None:
            return None
        held = self._held(record, {variant.file: variant_domains(target)}, variant)
        held.close()
        return held.variant

    def hold(self, precision: str, target: str | None = None) -> HeldGraph:
        """Opens the graph of one precision and its weights, checks both like `graph`, and keeps them open.

        Args:
            precision: The precision.
            target: One of `VARIANT_TARGETS`: the variant for it is opened and checked as well, where there is one.

        Returns:
            The files; whoever asks for them closes them.

        Raises:
            The same as `graph`.
        """
        record = self.manifest.graph(precision)
        variant = record.variant(target)
        graphs: dict[str, Sequence[str]] = {record.file: ()}
        if variant is not None:
            graphs[variant.file] = variant_domains(variant.target)
        return self._held(record, graphs, variant)

    def hold_file(self, name: str) -> HeldFile:
        """Opens one of the files, checks its hash, and keeps it open.

        Args:
            name: Its name.

        Returns:
            The file; whoever asks for it closes it.

        Raises:
            IntegrityError: The bundle has no such file, or it was changed.
        """
        sha256 = self.manifest.file(name).sha256
        file = HeldFile(self._folder() / name)
        try:
            if self._verified.get(name) != file.state:
                file.settle()
                self._check_hash(file)
        except BaseException:
            file.close()
            raise
        file.sha256 = sha256
        return file

    def _held(
        self, record: GraphRecord, graphs: Mapping[str, Sequence[str]], variant: VariantRecord | None = None
    ) -> HeldGraph:
        """Opens, hashes and screens graphs, each with the domains that it may use, and their weights."""
        with contextlib.ExitStack() as opened:
            folder = self._folder()
            before = folder_state(folder)
            files: dict[str, HeldFile] = {}
            for name in (*graphs, record.weights):
                files[name] = self.hold_file(name)
                opened.callback(files[name].close)
            for name, domains in graphs.items():
                if name not in self._screened:
                    screen_onnx(folder / name, folder / record.weights, domains, handle=files[name].handle)
                    self._screened.add(name)
            opened.pop_all()
            return HeldGraph(folder, files.values(), record.file, variant, before)

    def _folder(self) -> Path:
        """The folder without links: one on the way may lead elsewhere between two files."""
        return Path(os.path.realpath(self.path))

    def _check_hash(self, file: HeldFile) -> None:
        """Compares a file's hash with the manifest; one that was changed just now is hashed again before it is used."""
        name = file.path.name
        if file.digest() != self.manifest.file(name).sha256:
            raise IntegrityError(
                "was changed after it was exported: its hash differs from the manifest's",
                where=self.path / name,
                fix=_fix(self.manifest, name, "copy or export the bundle again"),
            )
        if file.settled:
            self._verified[name] = file.state


def _fix(manifest: Manifest, name: str, otherwise: str) -> str:
    """What to do about a file that is lost or damaged."""
    return next((plan.how_to_build for plan in manifest.plans if plan.file == name), otherwise)


def _check_names_and_sizes(folder: Path, manifest: Manifest, plans: bool) -> None:
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
    passed_over = set() if plans else {plan.file for plan in manifest.plans}
    for record in manifest.files:
        if record.name in passed_over:
            continue
        file = folder / record.name
        if file.is_symlink() or not file.is_file():
            raise IntegrityError(
                "is missing or not a plain file",
                where=file,
                fix=_fix(manifest, record.name, "export the bundle again"),
            )
        if file.stat().st_size != record.size:
            raise IntegrityError(
                f"has {file.stat().st_size} bytes, its manifest says {record.size}",
                where=file,
                fix=_fix(manifest, record.name, "copy or export the bundle again"),
            )
    for graph in manifest.graphs:
        for name in graph.files:
            manifest.file(name)
    for plan in manifest.plans:
        manifest.file(plan.file)
        if plan.graph != _graph_of(plan, manifest):
            raise IntegrityError(
                "is listed as a plan, but not of a graph of this bundle",
                where=folder / plan.file,
                fix="copy or export the bundle again",
            )


def _graph_of(plan: PlanRecord, manifest: Manifest) -> str | None:
    """The digest of the graph that a plan is listed for; None where there is no such graph."""
    try:
        return manifest.graph_digest(plan.precision, plan.variant)
    except UsageError:
        return None


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
    if is_mount_point(folder):
        raise OutputError(
            "is a mount point, so it cannot be exchanged for another bundle",
            where=folder,
            fix="mount the folder above it instead, or write a bundle elsewhere and copy its files",
        )


class write_bundle:  # noqa: N801 (a context manager, used like a function)
    """Builds a bundle in a temporary folder beside `path` and puts it in place when the block ends well.

    Use it as `with write_bundle(path) as draft: ...; draft.finish(...)`. Nothing stays behind when the block
    fails; a bundle that was at `path` before stays as it was. Whatever ends the process, the old bundle or the new one
    is there afterwards.

    Args:
        path: The folder to be. It must not exist, unless `overwrite` is given and it is a bundle.
        overwrite: Whether to replace a bundle that is already there.

    Raises:
        LockedError: Another process is writing a bundle there.
        OutputError: The folder exists or cannot be written.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.overwrite = overwrite
        self._draft: DraftFolder | None = None
        self._finished = False
        self._claim = claimed(self.path)

    @property
    def folder(self) -> Path:
        """Where the files of the bundle are put."""
        return self.path if self._draft is None else self._draft.path

    def __enter__(self) -> write_bundle:
        with writing(self.path):
            make_folder(self.path.parent)
        self._claim.__enter__()
        try:
            check_free(self.path, overwrite=self.overwrite)
            self._draft = DraftFolder(self.path)
        except BaseException:
            self._claim.__exit__(None, None, None)
            raise
        return self

    def finish(
        self,
        *,
        created_by: str,
        architecture: EncoderArchitecture,
        weights: WeightsSource,
        graphs: tuple[GraphRecord, ...],
        plans: tuple[PlanRecord, ...] = (),
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
            created_by=created_by, architecture=architecture, weights=weights, graphs=graphs, files=files, plans=plans
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
            self._claim.__exit__(None, None, None)
