"""What a shell offers for a value: the names that an option takes, and the classes of the support cache on the line.

The names come from where they are checked. That is loaded when a shell asks, and at no other time. Whatever goes wrong
then offers nothing: a message would land in the middle of the line that somebody types.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from mvrec_edge.cli.shell_word import offered

__all__ = [
    "aggregations",
    "complete_class",
    "complete_listed",
    "complete_merged",
    "complete_name",
    "engines",
    "engines_with_providers",
    "formats",
    "heads",
    "precisions",
    "providers",
    "recipes",
    "region_inputs",
    "resamplings",
    "splits",
    "view_uses",
]

# zsh evaluates what it is offered, and a class name may come from anybody: one with other characters is not offered.
_HARMLESS = re.compile(r"[\w .,+@%/-]+")


def complete_name(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Makes what typer calls for an option that takes one name.

    Args:
        names: Gives all names; called when a shell asks.
    """

    def complete(incomplete: str) -> list[str]:
        return offered(_or_none(names), incomplete)

    return complete


def complete_listed(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Makes what typer calls for an option that takes several names with commas between them.

    Args:
        names: Gives all names; called when a shell asks.
    """

    def complete(incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        there = before.split(",")
        return offered((before + comma + name for name in _or_none(names) if name not in there), incomplete)

    return complete


def complete_class(ctx: typer.Context, incomplete: str) -> list[str]:
    """The classes of the support cache that stands on the line, or in the config file that does."""
    return offered((name for name in _classes(ctx) if _HARMLESS.fullmatch(name)), incomplete)


def _or_none(names: Callable[[], Iterable[str]]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(names())
        except Exception:
            return []


def complete_merged(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `support merge` makes one: classes with `--into`, and else files, which the shell knows itself."""
    return complete_class(ctx, incomplete) if ctx.params.get("into") else []


def _classes(ctx: typer.Context) -> list[str]:
    # Before an option that has no value yet, the parser has given no word to an argument: the first one is the cache.
    words = [ctx.params.get("cache"), *ctx.args[:1]]
    found = next(filter(None, (_or_none(functools.partial(_classes_of, word)) for word in words if word)), [])
    return found or _or_none(lambda: _classes_of(_from_config(ctx)))


def _classes_of(cache: str | Path) -> Iterable[str]:
    from mvrec_edge.cli.class_names import class_names_in

    # The shell expands a home folder when the line is run, and not before.
    return class_names_in(Path(cache).expanduser())


def _from_config(ctx: typer.Context) -> Path:
    """The support cache that the config file on the line names."""
    from mvrec_edge.cli.config.command import command_settings
    from mvrec_edge.cli.config.reading import read_config

    table = getattr(ctx.command, "table", "")
    return Path(read_config(Path(ctx.params["config"]).expanduser(), command_settings(), table)["cache"])


def part_places() -> Iterable[str]:
    """The words of `--part-from`."""
    from mvrec_edge.runtime.regions.part_sources import PART_FROM

    return PART_FROM


def engines() -> Iterable[str]:
    """The names of `--engine`."""
    from mvrec_edge.runtime.engines.engine_registry import engine_names

    return engine_names()


def engines_with_providers() -> Iterable[str]:
    """The engines that a command opens by their names, each with every provider that it has."""
    from mvrec_edge.runtime.engines.engine_registry import AUTO

    named = [name for name in engines() if name != AUTO]
    return [*named, *(f"onnxruntime:{provider}" for provider in providers())]


def formats() -> Iterable[str]:
    """The names of `--format`."""
    from mvrec_edge.runtime.regions.opening import SOURCE_FORMATS

    return ("auto", *SOURCE_FORMATS)


def heads() -> Iterable[str]:
    """The names of `--head`."""
    from mvrec_edge.runtime.heads.head_registry import head_names

    return ("auto", *head_names())


def precisions() -> Iterable[str]:
    """The names of `--precision`."""
    from mvrec_edge.runtime.bundle.precision import PRECISIONS

    return PRECISIONS


def providers() -> Iterable[str]:
    """The names of `--provider`."""
    from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import PROVIDERS

    return PROVIDERS


def recipes() -> Iterable[str]:
    """The names of `--view-recipe`."""
    from mvrec_edge.runtime.views.plan import RECIPES

    return RECIPES


def resamplings() -> Iterable[str]:
    """The names of `--resample`."""
    from mvrec_edge.runtime.views.plan import RESAMPLINGS

    return RESAMPLINGS


def view_uses() -> Iterable[str]:
    """What `--views` takes beside a number."""
    return ("all", "auto", "cache")


def region_inputs() -> Iterable[str]:
    """The names of `--input`."""
    from mvrec_edge.runtime.regions.region import REGION_INPUTS

    return REGION_INPUTS


def aggregations() -> Iterable[str]:
    """The names of `--aggregate`."""
    from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS

    return AGGREGATIONS


def splits() -> Iterable[str]:
    """The names of `--split`."""
    from mvrec_edge.calib.evaluation.splitting import SPLITS

    return SPLITS
