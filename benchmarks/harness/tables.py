"""A record as tables of text, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvrec_edge.runtime.wording import counted

__all__ = ["Table", "markdown", "tables"]

_NONE = "-"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: What it shows.
        header: Names of the columns.
        rows: As many cells each as there are columns.
        note: What to know when reading it; may be empty.
        words: The columns that hold words, by place; the others hold figures.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: tuple[int, ...] = (0,)


def tables(record: Mapping[str, Any]) -> list[Table]:
    """The tables of a record: latency, start-up and memory, ceilings, stages, and what took no part."""
    found = [_latency(record), _start_up(record)]
    if record["ceilings"]["rows"] or record["ceilings"]["not_measured"]:
        found.append(_ceilings(record["ceilings"]))
    if record["stages"] is not None and record["stages"].get("rows"):
        found.append(_stages(record["stages"]))
    failures = [(row["candidate"], f"stopped: {row['error']}") for row in record["candidates"] if row["error"]]
    failures += [(item["candidate"], item["reason"]) for item in record["unavailable"]]
    if failures:
        found.append(Table("Not measured, or not to the end", ("candidate", "reason"), tuple(failures), words=(0, 1)))
    return found


def markdown(record: Mapping[str, Any]) -> str:
    """The whole record as Markdown."""
    machine, bundle, settings = record["machine"], record["bundle"], record["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    lines = [
        f"# {_plain(bundle['name'])}: {_plain(bundle['architecture'])}, {_plain(bundle['weights'])}",
        "",
        record["question"],
        "",
        f"- Machine: {_plain(str(machine['cpu']))}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['date']}; {_plain(versions)}.",
        f"- Threads: {settings['threads'] or 'as many as each library takes'}. "
        f"Load before: {_text(record['load_before'])}.",
        f"- Order: {settings['order']}; {counted(settings['rounds'], 'round')}, "
        f"{counted(settings['warm_up'], 'run')} to warm up.",
        f"- Workers: {settings['workers']}.",
    ]
    for table in tables(record):
        lines += ["", f"## {table.title}", ""]
        if table.note:
            lines += [table.note, ""]
        lines.append("| " + " | ".join(table.header) + " |")
        lines.append(
            "|" + "|".join(" --- " if at in table.words else " ---: " for at in range(len(table.header))) + "|"
        )
        lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def _latency(record: Mapping[str, Any]) -> Table:
    reference = record["reference"]
    header = (
        *("candidate", "batch", "p50 ms", "p90 ms", "p99 ms", "mean ms", "min ms", "views/s", "defects/s"),
        *("GFLOP/s", "of ceiling", "times faster", "runs"),
    )
    rows = []
    for row in record["candidates"]:
        for cell in row["cells"]:
            share, faster = cell["share_of_ceiling"], cell["times_faster_than_reference"]
            figures = [_text(cell[name]) for name in ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "min_ms")]
            figures += [_text(cell[name]) for name in ("views_per_s", "defects_per_s", "gflop_per_s")]
            figures += [_NONE if share is None else f"{100 * share:.0f}%", _text(faster), str(cell["runs"])]
            rows.append((row["candidate"], str(cell["batch"]), *figures))
    note = f"'times faster' is the median over rounds of the ratio to {reference} in the same round."
    return Table("Latency and throughput", header, tuple(rows), note)


def _start_up(record: Mapping[str, Any]) -> Table:
    header = ("candidate", "process s", "verify s", "open s", "first batch s", "total s", "peak MB", "cosine", "device")
    rows = []
    for row in record["candidates"]:
        start, memory = row["start_up"], row["memory"]
        figures = [_text(start[f"{name}_s"]) for name in ("process", "verify", "open", "first_batch", "total")]
        cosine = _NONE if row["worst_cosine"] is None else f"{row['worst_cosine']:.6f}"
        rows.append((row["candidate"], *figures, _text(memory["peak_mb"]), cosine, row["device"]))
    note = "Medians of whole starts with the files in the page cache; 'cosine' is the smallest to the reference."
    return Table("Start-up, memory and agreement", header, tuple(rows), note, words=(0, 8))


def _ceilings(ceilings: Mapping[str, Any]) -> Table:
    rows = [
        (
            row["dtype"],
            row["library"] + (" on the GPU" if row["on_gpu"] else ""),
            str(row["side"]),
            _text(row["median_gflop_per_s"]),
            _text(row["best_gflop_per_s"]),
            "yes" if row["used_for_shares"] else "",
        )
        for row in ceilings["rows"]
    ]
    rows += [(name, reason, _NONE, _NONE, _NONE, "") for name, reason in ceilings["not_measured"].items()]
    header = ("type", "library", "side", "median GFLOP/s", "best GFLOP/s", "used")
    return Table("What matrix products reach here", header, tuple(rows), words=(0, 1, 5))


def _stages(stages: Mapping[str, Any]) -> Table:
    names = ("decode", "crop", "encode", "classify")
    rows = [
        (
            row["candidate"],
            row["resample"],
            *(f"{_text(row['ms'][name])} ({100 * row['share'][name]:.1f}%)" for name in names),
            _text(row["total_ms"]),
            f"{100 * row['not_encode_share']:.1f}%",
        )
        for row in stages["rows"]
    ]
    header = ("candidate", "resampling", *(f"{name} ms" for name in names), "total ms", "not the encoder")
    instances = counted(stages["support_instances"], "support instance")
    note = f"One defect: {stages['image']}, views '{stages['recipe']}', {instances}."
    return Table("Stages of one defect", header, tuple(rows), note, words=(0, 1))


def _text(value: float | None) -> str:
    if value is None:
        return _NONE
    # Three digits say all that a noisy machine can.
    size = abs(value)
    return (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3f}"
    )


def _plain(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
