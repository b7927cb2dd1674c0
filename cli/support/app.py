"""The group `mvrec-edge support`."""

from __future__ import annotations

import typer

from mvrec_edge.cli.support.add import add
from mvrec_edge.cli.support.looking import history, list_instances, rollback
from mvrec_edge.cli.support.others import merge, remove, rename

__all__ = ["support"]

support = typer.Typer(
    name="support",
    help="Change a support cache on the line: add, remove, rename or merge, and go back to an earlier version.",
    no_args_is_help=True,
)
support.command("add")(add)
support.command("remove")(remove)
support.command("list")(list_instances)
support.command("rename")(rename)
support.command("merge")(merge)
support.command("history")(history)
support.command("rollback")(rollback)
