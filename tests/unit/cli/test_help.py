"""Every command's help: an example that can be typed, a text for every option, and its default."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from mvrec_edge.cli.main import app
from mvrec_edge.cli.options import FORMATS, SourceFormat
from mvrec_edge.runtime.regions import DEFAULT_MIN_AREA, SOURCE_FORMATS

_EXAMPLE = re.compile(r"^Example: (mvrec-edge .+)$", re.MULTILINE)
#: Words that say what holds where a value is left out.
_SAID = ("default", "instead of")
#: Parameters that take labelled images, or images to classify.
_TAKES_IMAGES = (
    ("calibrate", "support"),
    ("classify", "inputs"),
    ("evaluate", "support"),
    ("export", "calibration"),
)


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """All commands with their full names, those of groups within the group too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


GROUP = get_command(app)
COMMANDS = dict(_commands(GROUP))
PARAMETERS = [
    (name, parameter)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if not getattr(parameter, "hidden", False)
]
_NAMES = [f"{name}: {parameter.name}" for name, parameter in PARAMETERS]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does_and_gives_an_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert text.strip().splitlines()[0].endswith((".", ")")), f"'{name}': begin its docstring with one sentence"
    examples = _EXAMPLE.findall(text)
    assert examples, f"'{name}': add a line 'Example: mvrec-edge {name} ...' to its docstring, after an empty line"
    for example in examples:
        assert example.startswith(f"mvrec-edge {name} "), f"'{name}' has the example of another command: {example}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_can_be_typed(name: str) -> None:
    """Each is parsed as the command line would: names of options, numbers in range, nothing missing, nothing left."""
    for example in _EXAMPLE.findall(COMMANDS[name].help or ""):
        words = shlex.split(example)[1 + len(name.split()) :]
        context = COMMANDS[name].make_context(name, words)
        assert not context.args, f"'{name}': not understood in '{example}': {context.args}"


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=_NAMES)
def test_every_option_says_what_it_is_for(name: str, parameter: Any) -> None:
    text = parameter.help or ""
    where = f"'{parameter.name}' of '{name}'"
    assert text, f"{where}: give it a help text"
    assert text.rstrip(".") + "." == text, f"{where}: end its help text with a full stop: {text}"
    assert text[0].isupper() or text[0] in "'-", f"{where}: begin its help text with a capital: {text}"


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=_NAMES)
def test_every_default_is_said(name: str, parameter: Any) -> None:
    """By typer where it is a value, in words where leaving the option out means something else."""
    if parameter.required or getattr(parameter, "is_flag", False) or parameter.param_type_name == "argument":
        return
    shown = parameter.default is not None and parameter.show_default is not False
    assert shown or any(word in parameter.help.lower() for word in _SAID), (
        f"'{parameter.name}' of '{name}': its help does not say what holds without it; add '... by default ...'"
    )


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=_NAMES)
def test_an_option_of_one_name_reads_alike_everywhere(name: str, parameter: Any) -> None:
    shared = ("format", "masks", "image_root", "min_area", "provider", "threads", "config")
    if parameter.name.replace("source_", "") not in shared:
        return
    texts = {other.help for _, other in PARAMETERS if other.name == parameter.name}
    assert len(texts) == 1, f"'{parameter.name}' has several help texts: take it from cli/options.py"


@pytest.mark.parametrize(("name", "parameter"), _TAKES_IMAGES)
def test_annotation_formats_are_named_alike(name: str, parameter: str) -> None:
    (found,) = [item for item in COMMANDS[name].params if item.name == parameter]
    assert FORMATS in found.help, f"'{parameter}' of '{name}': take the formats from FORMATS of cli/options.py"


def test_the_formats_in_words_are_those_there_are() -> None:
    words = {"folders": "class folders", "voc": "pascal voc"}
    for name in SOURCE_FORMATS:
        assert words.get(name, name) in FORMATS.lower(), f"name the format '{name}' in FORMATS of cli/options.py"
    assert {member.value for member in SourceFormat} == {"auto", *SOURCE_FORMATS}


def test_the_smallest_area_is_the_one_that_is_used() -> None:
    (text,) = {item.help for _, item in PARAMETERS if item.name == "min_area"}
    assert f"By default {DEFAULT_MIN_AREA}." in text


def test_the_list_of_commands_says_what_exit_codes_mean() -> None:
    assert "Exit codes: 0 done; 1 finished, but some items failed" in (GROUP.epilog or "")
