"""Portable plans that travel in a bundle, so that the machine that runs them only copies files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mvrec_edge.runtime.bundle import Bundle, Manifest, PlanRecord, write_bundle
from mvrec_edge.runtime.engines.tensorrt.plan_keys import PortablePlanKey
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files import sha256_bytes, writing
from mvrec_edge.runtime.files.held_file import HeldFile

__all__ = ["bundled_plan", "store_plans"]


def store_plans(
    bundle: Bundle,
    precision: str,
    plans: Mapping[str, tuple[PortablePlanKey, bytes]],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Puts plans into a bundle, each in the place of the one that it has for the same graph and engine.

    A new bundle is made beside the old one and takes its place whole, so whatever ends the process, the bundle is there
    with the old plans or with the new ones.

    Args:
        bundle: The bundle that the plans were built from.
        precision: Of which precision the graphs are.
        plans: By the variant, see `PlanRecord`: what the plan depends on, and its bytes.
        say: Told which other plan of the bundle is lost or damaged: the new bundle lacks it.

    Returns:
        Where the plans lie.

    Raises:
        IntegrityError: The bundle was changed meanwhile.
        LockedError: Another process is writing the bundle.
        OutputError: It cannot be written.
    """
    # What a link leads to is replaced, and not the link.
    folder = Path(os.path.realpath(bundle.path))
    records = [
        PlanRecord(_file_name(precision, variant, key), precision, variant, **dataclasses.asdict(key))
        for variant, (key, _) in plans.items()
    ]
    with write_bundle(folder, overwrite=True) as draft:
        # Read again: until now another process may have written it.
        current = Bundle.load(folder, graphs=(), plans=False)
        manifest = current.manifest
        for record in records:
            if not _is_of(record, manifest):
                raise IntegrityError("was exchanged while its plan was built", where=folder, fix="build the plan again")
        places = {(each.precision, each.library, each.variant) for each in records}
        others = tuple(
            each
            for each in manifest.plans
            if (each.precision, each.library, each.variant) not in places and _is_whole(current, each, say)
        )
        replaced = {each.file for each in manifest.plans} - {each.file for each in others}
        with writing(folder):
            for file in manifest.files:
                if file.name not in replaced:
                    shutil.copyfile(current.path / file.name, draft.folder / file.name)
            for record in records:
                (draft.folder / record.file).write_bytes(plans[record.variant][1])
        written = draft.finish(
            created_by=manifest.created_by,
            architecture=manifest.architecture,
            weights=manifest.weights,
            graphs=manifest.graphs,
            plans=(*others, *records),
        )
        for file in manifest.files:
            if file.name not in replaced and written.file(file.name) != file:
                raise IntegrityError(
                    "was changed after it was exported: its hash differs from the manifest's",
                    where=folder / file.name,
                    fix="copy or export the bundle again",
                )
    return [bundle.path / record.file for record in records]


def _is_of(record: PlanRecord, manifest: Manifest) -> bool:
    try:
        return manifest.graph_digest(record.precision, record.variant) == record.graph
    except UsageError:
        return False


def bundled_plan(bundle: Bundle, record: PlanRecord) -> tuple[bytes, str]:
    """A plan of a bundle, whose hash was checked.

    Returns:
        Its bytes and their SHA-256, in hexadecimal.

    Raises:
        IntegrityError: The file is missing, or was changed.
    """
    listed = bundle.manifest.file(record.file)
    # These very bytes are hashed, whatever was found when the bundle was opened.
    with contextlib.closing(HeldFile(bundle.path / record.file)) as file:
        with os.fdopen(os.dup(file.handle), "rb") as stream:
            data = stream.read(listed.size + 1)
        if sha256_bytes(data) != listed.sha256:
            raise IntegrityError(
                "was changed after it was built: its hash differs from the manifest's",
                where=file.path,
                fix=f"copy the bundle again, or {record.how_to_build}",
            )
    return data, listed.sha256


def _is_whole(bundle: Bundle, record: PlanRecord, say: Callable[[str], None]) -> bool:
    try:
        bundle.hold_file(record.file).close()
    except IntegrityError as error:
        say(f"{record.file} is left out of the bundle, because it {error.what} ({record.how_to_build})")
        return False
    return True


def _file_name(precision: str, variant: str, key: PortablePlanKey) -> str:
    return ".".join(filter(None, ("encoder", precision, variant, key.library, "plan")))
