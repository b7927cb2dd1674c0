"""`mvrec-edge settings`: every setting of a config file, with its default and what it means."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["settings"]

_WIDTH_WITHOUT_A_TERMINAL = 160


def settings(
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the page docs/config.md, with the same tables in Markdown."),
    ] = False,
) -> None:
    """Show every setting that a config file (--config) may hold, with its default and its meaning.

    Example: mvrec-edge settings --markdown
    """
    import shutil
    import sys

    from mvrec_edge.cli.config.command import command_settings
    from mvrec_edge.cli.config.tables import settings_page, settings_text

    if markdown:
        typer.echo(settings_page(command_settings()), nl=False)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_WITHOUT_A_TERMINAL
    typer.echo(settings_text(command_settings(), width))
