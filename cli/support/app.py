"""The group `mvrec-edge support`."""

from __future__ import annotations

import typer

from mvrec_edge.cli.config.command import CONFIGURED, add_configured

__all__ = ["support"]

support = typer.Typer(
    name="support",
    help="Change a support cache on the line: add, remove, rename or merge, and go back to an earlier version.",
    no_args_is_help=True,
)
for _name in CONFIGURED:
    if _name.startswith("support."):
        add_configured(support, _name)
