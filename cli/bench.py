"""`mvrec-edge bench`: what each engine takes on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvrec_edge.cli.completion import complete_listed, engines_with_providers
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import BundlePath, Overwrite, Threads

if TYPE_CHECKING:
    from mvrec_edge.bench.budget import Budget
    from mvrec_edge.cli.output_paths import Outputs

__all__ = ["bench"]

# A load from which on the figures are another program's as well.
_BUSY = 0.5
_PLOTS = (".png", ".html")


@dataclass(frozen=True)
class _BudgetOptions:
    """How often each engine is run."""

    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            min=1,
            help="Number of runs of each engine at each batch size, shared among the rounds; fewer where --seconds is "
            "used up.",
        ),
    ] = 20
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.01,
            help="Seconds for each engine at each batch size, shared among the rounds. Each of the first 3 rounds "
            "has a run, even where that takes longer.",
        ),
    ] = 20.0
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Number of rounds; in each round every engine has its turn.")
    ] = 5
    warm_up: Annotated[
        int, typer.Option("--warm-up", min=1, help="Number of runs before the first one that counts.")
    ] = 2
    starts: Annotated[
        int, typer.Option("--starts", min=1, help="Number of processes that are started to measure the start-up time.")
    ] = 3
    views_per_defect: Annotated[
        int,
        typer.Option("--views-per-defect", min=1, max=1024, help="Number of views that a defect has in the tables."),
    ] = 27

    def budget(self, batch: str, threads: int | None) -> Budget:
        """What they mean; see `Budget` for what is raised."""
        from mvrec_edge.bench.budget import Budget

        return Budget(
            batches=_numbers(batch),
            repeats=self.repeats,
            seconds=self.seconds,
            rounds=self.rounds,
            warm_up=self.warm_up,
            starts=self.starts,
            threads=threads,
            views=self.views_per_defect,
        )


@dataclass(frozen=True)
class _FileOptions:
    """Files that are written beside the tables on stdout."""

    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="JSON file for the whole record; by default none is written.", show_default=False),
    ] = None
    markdown_file: Annotated[
        Path | None,
        typer.Option(
            "--markdown", help="Markdown file for the tables; by default none is written.", show_default=False
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            help="File for a plot, ending in .html or .png (needs the extra 'plot'); by default no plot is drawn.",
            show_default=False,
        ),
    ] = None

    @property
    def outputs(self) -> Outputs:
        """The files that are written."""
        from mvrec_edge.cli.output_paths import Outputs

        return Outputs({"--json": self.json_file, "--markdown": self.markdown_file, "--plot": self.plot})

    def check(self, *, overwrite: bool) -> None:
        """Refuses files that could not be written, before the first minute of measuring.

        Raises:
            UsageError: The plot is of no known kind.
            MissingDependencyError: The plot needs matplotlib.
            OutputError: A file exists already, or its folder does not.
        """
        from mvrec_edge.runtime.errors import OutputError, UsageError

        if self.plot is not None:
            kind = self.plot.suffix.lower()
            if kind not in _PLOTS:
                raise UsageError(
                    f"a plot ends in {' or '.join(_PLOTS)}", where=self.plot, fix="example: --plot bench.html"
                )
            if kind == ".png":
                from mvrec_edge.bench.charts_png import PURPOSE
                from mvrec_edge.calib.plotting import require_matplotlib

                require_matplotlib(PURPOSE)
        for file in (self.json_file, self.markdown_file, self.plot):
            if file is not None and file.exists() and not overwrite:
                raise OutputError("exists already", where=file, fix="choose another name, or give --overwrite")
            if file is not None and not file.absolute().parent.is_dir():
                raise OutputError("its folder does not exist", where=file, fix="make the folder first")

    def write(self, record: Mapping[str, Any]) -> None:
        """Writes those that were asked for."""
        from mvrec_edge.bench.charts import write_html
        from mvrec_edge.bench.charts_png import write_png
        from mvrec_edge.bench.tables import markdown
        from mvrec_edge.runtime.files import atomic_write, canonical_json

        if self.json_file is not None:
            with atomic_write(self.json_file) as stream:
                stream.write(canonical_json(record))
        if self.markdown_file is not None:
            with atomic_write(self.markdown_file) as stream:
                stream.write(markdown(record).encode())
        if self.plot is not None:
            (write_png if self.plot.suffix.lower() == ".png" else write_html)(record, self.plot)


_Engines = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        autocompletion=complete_listed(engines_with_providers),
        help="Engines to measure: NAME, NAME:PROVIDER, NAME/PRECISION or NAME:PROVIDER/PRECISION, separated by "
        "commas, such as openvino,onnxruntime:cuda/fp16. Without a precision, every one of the bundle. By default "
        "every engine that opens.",
        show_default=False,
    ),
]


@flattened
def bench(
    bundle: BundlePath,
    batch: Annotated[
        str, typer.Option("--batch", help="Batch sizes to measure, in views, such as 1,9,27.")
    ] = "1,3,9,27,54",
    engine: _Engines = None,
    torch: Annotated[
        bool, typer.Option("--torch/--no-torch", help="Also measure the encoder as it was released, in PyTorch.")
    ] = True,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="Checkpoint that the bundle was made from, for the PyTorch baselines. By default they are left out; "
            "only random weights need none, as they are drawn again.",
            show_default=False,
        ),
    ] = None,
    *,
    measuring: _BudgetOptions,
    files: _FileOptions,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep",
            help="Keep the measured speeds in the user's cache folder, where --engine auto finds them.",
        ),
    ] = True,
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure latency, throughput, start-up and memory of every engine, side by side.

    Example: mvrec-edge bench encoder.bundle --batch 1,9,27 --json bench.json --plot bench.html
    """
    from mvrec_edge.bench.bench import measure_bundle
    from mvrec_edge.bench.candidates import default_candidates, parse_candidates
    from mvrec_edge.bench.speeds import speeds_of
    from mvrec_edge.cli.console import count_bar, say
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.engines.speeds import record_speeds
    from mvrec_edge.runtime.threads import usable_cpus

    budget = measuring.budget(batch, threads)
    files.outputs.check([bundle, checkpoint])
    files.outputs.claim("--json", "--markdown", "--plot", make_folders=False)
    files.check(overwrite=overwrite)
    opened = Bundle.load(bundle)
    precisions = opened.precisions
    candidates = parse_candidates(engine, precisions) if engine else default_candidates(precisions)
    record = measure_bundle(
        opened,
        candidates,
        budget,
        torch=torch,
        checkpoint=checkpoint,
        bar=lambda total: count_bar("measuring", total, "turns"),
    )
    files.write(record)
    _show(record)
    if (record["load_before"] or 0.0) > _BUSY:
        say(f"warning: another program was using the machine (load {record['load_before']:.1f}); measure again")
    if keep:
        record_speeds(speeds_of(record, opened, threads or usable_cpus()))
    asked = {candidate.name for candidate in candidates if candidate.required}
    failed = [row["candidate"] for row in record["candidates"] if row["error"] is not None]
    failed += [row["candidate"] for row in record["unavailable"] if row["candidate"] in asked]
    if failed:
        say(f"not measured, or not to the end: {', '.join(failed)}")
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[int, ...]:
    from mvrec_edge.runtime.errors import UsageError

    with contextlib.suppress(ValueError):
        return tuple(int(part) for part in text.split(",") if part.strip())
    raise UsageError(f"'{text}' is not a list of whole numbers", fix="example: --batch 1,9,27")


def _show(record: Mapping[str, Any]) -> None:
    """Prints the tables on stdout."""
    from rich.table import Table
    from rich.text import Text

    from mvrec_edge.bench.tables import tables
    from mvrec_edge.cli.console import escaped, show_table

    for shown in tables(record):
        grid = Table(title=Text(shown.title), caption=Text(shown.note) if shown.note else None, title_justify="left")
        for place, name in enumerate(shown.header):
            grid.add_column(name, justify="left" if place in shown.words else "right", overflow="fold")
        for row in shown.rows:
            grid.add_row(*(Text(escaped(cell)) for cell in row))
        show_table(grid)
