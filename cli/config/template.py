"""The commented config file: every setting of every command, its default, and one line why."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from mvrec_edge.cli.config.setting import Setting
from mvrec_edge.cli.config.tables import about_table, settings_rows, toml_value

__all__ = ["EXAMPLES", "LAYOUT", "render_template"]

#: What is set, and not only shown, so that the commands need no more than the file: the folders of `init`.
LAYOUT: Mapping[str, Mapping[str, Any]] = {
    "paths": {"bundle": "encoder.bundle", "cache": "line.safetensors"},
    "calibrate": {"support": "labelled", "out": "line.safetensors"},
    "classify": {"inputs": ["incoming"], "out": "results/results.jsonl"},
    # Fewer than the five of each class that a start has, so that some are left to classify.
    "evaluate": {"support": "labelled", "out": "results/evaluation", "shots": "1,3"},
    "export": {"out": "encoder.bundle", "checkpoint": "pocket"},
    "inspect": {"path": "line.safetensors"},
}

#: What to show of a setting that has no default, by its key, or by its table and key where tables differ. Each is a
#: value that the command takes; a number or a switch that is not here is shown with a value of its type.
EXAMPLES: Mapping[str, Any] = {
    "aggregate": "mean",
    "batch": 9,
    "beta": 8.0,
    "bench.checkpoint": "checkpoint.pth",
    "bench.engine": "openvino",
    "budget_ms": 400.0,
    "capability": "8.6",
    "calibration": "labelled",
    "calibration_window_sizes": "128,192,256",
    "csv": "results/results.csv",
    "features": "features.safetensors",
    "image_root": "images",
    "input": "box",
    "json": "results/bench.json",
    "markdown": "results/bench.md",
    "masks": "masks",
    "min_area": 16,
    "overlay": "results/pictures",
    "part": "knob",
    "part_from": "folder",
    "plot": "results/bench.html",
    "precision": "fp32",
    "provider": "cpu",
    "query": "query",
    "random_weights": "ViT-B/16",
    "rebase": "old.safetensors",
    "reject_rate": "5%",
    "report": "results/report.html",
    "report.images": "incoming",
    "report.out": "results/report.html",
    "right_at_least": "95%",
    "shots": 5,
    "store": "embeddings",
    "table": True,
    "threads": 2,
    "timing_cache": "timing.cache",
    "tune_plot": "results/tuning.png",
    "tune_precisions": "fp32,int8",
    "verify.engine": "openvino",
    "window_sizes": "128,192,256",
    "workspace_gb": 0.5,
}

_HEAD = """\
Settings of mvrec-edge. Every command that reads or writes files, but 'init', reads this file with --config.
A value on the command line overrides the value in this file; a value in this file overrides the default.
Remove the # in front of a setting to set it. Relative paths begin at the folder of this file.
The option --overwrite, which replaces files, is taken from the command line only.
"""
_WIDTH = 116


def render_template(commands: Mapping[str, Mapping[str, Setting]]) -> str:
    """Writes the config file for the folders that `init` lays out.

    Every line that begins with `#` and no blank is a setting that holds its default or, where there is none, an
    example; the remark behind it says which.

    Args:
        commands: The settings of each command, by its name.

    Returns:
        TOML with Unix line ends; it is valid as it stands, and with every setting in force.
    """
    lines = _comment(_HEAD)
    for table, rows in settings_rows(commands).items():
        lines += ["", f"[{table}]", *_comment(about_table(table))]
        for row in rows:
            lines += ["", *_comment(row.setting.help), _line(table, row.setting)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, _WIDTH)]


def _line(table: str, setting: Setting) -> str:
    layout = LAYOUT.get(table, {})
    if setting.key in layout:
        return f"{setting.key} = {toml_value(layout[setting.key])}"
    if setting.default is not None:
        return f"#{setting.key} = {toml_value(setting.default)}  # the default"
    return f"#{setting.key} = {toml_value(_example(table, setting))}  # an example; by default not set"


def _example(table: str, setting: Setting) -> Any:
    value = EXAMPLES.get(f"{table}.{setting.key}", EXAMPLES.get(setting.key))
    if value is None:
        number = setting.low if setting.low is not None else 1
        by_kind: dict[str, Any] = {
            "integer": int(number),
            "number": float(number),
            "path": setting.key,
            "switch": True,
            "text": setting.choices[0] if setting.choices else "...",
        }
        value = by_kind[setting.kind]
    return [value] if setting.many else value
