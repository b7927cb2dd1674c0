"""A config file from outside: every value has a type and a range, every name is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.reading import MAX_BYTES, read_config, tables_of
from mvrec_edge.runtime.errors import InputError, MvrecEdgeError, UsageError

COMMANDS = command_settings()
Read = Callable[..., dict[str, Any]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(text: str | bytes, command: str = "classify") -> dict[str, Any]:
        path = tmp_path / "c.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(path, COMMANDS, command)

    return run


def test_values_go_to_the_parameters_of_the_command(read: Read, tmp_path: Path) -> None:
    text = (
        '[paths]\nbundle = "e.bundle"\ncache = "/abs/c"\n[engine]\nthreads = 2\nengine = "onnxruntime"\n'
        '[input]\nformat = "coco"\n[classify]\ninputs = ["a", "../b"]\ntable = false\n'
        '[calibrate]\ntriplet = 4\nsupport = "s"\n[evaluate]\ninput = "box"\n'
    )
    assert read(text) == {
        "bundle": str(tmp_path / "e.bundle"),
        "cache": "/abs/c",
        "threads": 2,
        "engine": "onnxruntime",
        "source_format": "coco",
        "inputs": [str(tmp_path / "a"), str(tmp_path / "../b")],
        "table": False,
    }
    assert read(text, "evaluate")["region_input"] == "box"
    calibrate = read(text, "calibrate")
    assert (calibrate["triplet"], calibrate["support"]) == (4, str(tmp_path / "s"))
    assert "cache" not in calibrate


def test_a_shared_setting_does_not_reach_an_option_that_only_bears_its_name(read: Read) -> None:
    text = "[engine]\nengine = 'openvino'\nbatch = 9\nthreads = 2\nprecision = 'int8'\n"
    assert read(text, "bench") == {"threads": 2}
    assert read(text, "verify") == {"threads": 2}
    assert read(text, "build") == read(text, "export") == {}
    own = text + "[bench]\nengine = ['onnxruntime:cpu']\nbatch = '1,9'\n"
    assert read(own, "bench") == {"threads": 2, "engine": ["onnxruntime:cpu"], "batch": "1,9"}
    assert read(own, "calibrate")["engine"] == "openvino"


def test_a_word_in_the_place_of_a_path_stays_one(read: Read, tmp_path: Path) -> None:
    assert read("[export]\ncheckpoint = 'pocket'", "export") == {"checkpoint": "pocket"}
    assert read("[export]\ncheckpoint = './pocket'", "export") == {"checkpoint": str(tmp_path / "./pocket")}
    assert read("[classify]\nout = '-'") == {"out": "-"}
    assert read("[classify]\noverlay = '-'") == {"overlay": str(tmp_path / "-")}


def test_a_number_is_taken_where_its_text_is_what_the_option_takes(read: Read) -> None:
    text = "[classify]\nviews = 3\nrisk = 0.01\nreject_rate = 1e-5\n[evaluate]\nshots = 5\n[bench]\nbatch = 9\n"
    assert read(text) == {"views": "3", "risk": "0.01", "reject_rate": "1e-05"}
    assert read(text, "evaluate") == {"shots": "5"}
    assert read(text, "bench") == {"batch": "9"}
    # Where the option is a number, it stays one.
    assert read("[calibrate]\nshots = 5\n[engine]\nbatch = 9\n", "calibrate") == {"shots": 5, "batch": 9}


def test_tables_of_a_group_are_read(read: Read, tmp_path: Path) -> None:
    text = "[paths]\ncache = 'c'\n[support.add]\nkeep = 3\n[support.remove]\nrefit = true\n"
    assert read(text, "support.add") == {"cache": str(tmp_path / "c"), "keep": 3}
    assert read(text, "support.remove") == {"cache": str(tmp_path / "c"), "refit": True}
    assert read(text, "support.list") == {"cache": str(tmp_path / "c")}


@pytest.mark.parametrize("order", [("engine", "classify"), ("classify", "engine")])
def test_the_commands_own_table_comes_before_a_shared_one(read: Read, order: tuple[str, str]) -> None:
    text = "".join(f"[{table}]\nthreads = {3 if table == 'engine' else 5}\n" for table in order)
    assert read(text)["threads"] == 5
    assert read(text, "calibrate")["threads"] == 3


def test_an_empty_file_and_a_byte_order_mark_are_fine(read: Read) -> None:
    assert read("") == {}
    assert read(b"\xef\xbb\xbf[engine]\r\nthreads = 1\r\n") == {"threads": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[classify]\ntreads = 2", "[classify] has no setting 'treads' (did you mean 'threads'?)"),
        ("[classify]\nmin-area = 2", "(did you mean 'min_area'?)"),
        ("[classify]\nshots = 2", "[classify] has no setting 'shots' (it belongs below [calibrate] or [evaluate])"),
        ("[engine]\nbundl = 'b'", "did you mean 'bundle', below [paths]?"),
        ("[engine]\nzzz = 2", "(it has engine, precision, provider, batch, threads)"),
        ("[classify]\noverwrite = true", "give --overwrite on the command line, each time"),
        ("[support.add]\nforce = true", "give --force on the command line, each time"),
        ("[support.remove]\ninstances = ['3']", "it says what one call does: give it on the command line, each time"),
        ("[support.ad]\nkeep = 3", "there is no table [support.ad] (did you mean [support.add]?)"),
        ("[support]\nkeep = 3", "there is no table [support.keep]"),
        ("[calibrate]\nviews = 'ms'", "[calibrate] has no setting 'views' any more (it is named 'view_recipe' now)"),
        ("[evaluate]\nviews = 'ms'", "[evaluate] has no setting 'views' any more (it is named 'view_recipe' now)"),
        ("[bench]\nviews = 9", "[bench] has no setting 'views' any more (it is named 'views_per_defect' now)"),
        ("[export]\ncalibration_views = 'ms'", "(it is named 'calibration_view_recipe' now)"),
        ("[bench]\nengine = [9]", "[bench] 'engine' is the number 9, and a text in quotes is wanted"),
        ("[calibrate]\nview_recipe = 3", "'view_recipe' is the number 3, and a text in quotes is wanted"),
        (
            "[classify]\nviews = true",
            "'views' is true, and a number or a text in quotes is wanted (example: views = \"cache\")",
        ),
        ("[classify]\nrisk = nan", "'risk' is the number nan, and a number or a text in quotes is wanted"),
        ("[evaluate]\nshots = 1" + "0" * 400, "a number beyond 64 bits, and a number or a text in quotes is wanted"),
        ("[clasify]\nout = 'a'", "there is no table [clasify] (did you mean [classify]?)"),
        ("[xyz]\nout = 'a'", "there are [paths], [engine], [input], [calibrate], [classify], [evaluate]"),
        ("threads = 2", "'threads' stands outside of every table (put it below [engine])"),
        ("classify = 2", "'classify' is a table"),
        ("[[classify]]\nout = 'a'", "'classify' is a table"),
        ("[engine]\nthreads = '2'", "[engine] 'threads' is the text '2', and a whole number is wanted"),
        ("[engine]\nthreads = true", "'threads' is true, and a whole number is wanted"),
        ("[engine]\nthreads = 2.0", "'threads' is the number 2.0, and a whole number is wanted"),
        ("[engine]\nthreads = 0", "[engine] 'threads' is 0 (give 1 to 512)"),
        ("[engine]\nthreads = 9223372036854775808", "a whole number is wanted"),
        (
            "[engine]\nthreads = -9223372036854775808",
            "'threads' is a number beyond 64 bits, and a whole number is wanted",
        ),
        ("[calibrate]\ntriplet = 1" + "0" * 400, "'triplet' is a number beyond 64 bits, and a number is wanted"),
        ("[calibrate]\ntriplet = 0x" + "f" * 9000, "'triplet' is a number beyond 64 bits, and a number is wanted"),
        ("[calibrate]\nout = 0x" + "f" * 9000, "'out' is a number beyond 64 bits, and a path in quotes is wanted"),
        ("[classify]\nresume = 1" + "0" * 400, "'resume' is a number beyond 64 bits, and true or false is wanted"),
        ("[classify]\nneighbours = 101", "'neighbours' is 101 (give 0 to 100)"),
        ("[calibrate]\ntriplet = nan", "'triplet' is the number nan, and a number is wanted"),
        ("[calibrate]\ntriplet = -1.5", "'triplet' is -1.5 (give at least 0)"),
        ("[calibrate]\nout = 1979-05-27", "'out' is a date or time, and a path in quotes is wanted"),
        ("[calibrate]\nout = ['a']", "'out' is a list, and a path"),
        ("[calibrate.out]\na = 1", "'out' is a table, and a path"),
        ("[classify]\ninputs = 'incoming'", 'write it in brackets: inputs = ["..."]'),
        ("[classify]\ninputs = []", "'inputs' has 0 items"),
        ("[classify]\ninputs = ['a', 3]", "'inputs' is the number 3"),
        ("[classify]\nout = ''", "'out' has to be a text of 1 to 4096 characters"),
        ("[classify]\nresume = 'yes'", "'resume' is the text 'yes', and true or false is wanted"),
        ("[input]\nformat = 'cocoo'", "'format' cannot be 'cocoo' (did you mean 'coco'? It is one of auto, folders"),
        # Tables of other commands are checked as well: a mistake shows before its command's turn.
        ("[evaluate]\ndraw = 3", "[evaluate] has no setting 'draw' (did you mean 'draws'?)"),
        ('[classify]\n"\\u001b[2J" = 1', "[classify] has no setting '\\x1b[2J'"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(read: Read, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'c.toml'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[classify\n", "is not valid TOML"),
        ("[classify]\nout = results.jsonl", "texts and paths need quotes"),
        ("[engine]\nthreads = 1\nthreads = 2", "is not valid TOML"),
        (b"[classify]\nout = '\xff'", "is not UTF-8 text"),
        ("#" * (MAX_BYTES + 1), "is larger than 262,144 bytes"),
        ("a." * (MAX_BYTES // 2 - 4) + "a=1", "a name of too many parts"),
        ('"a".' * (MAX_BYTES // 4 - 4) + "a=1", "a name of too many parts"),
        ("[" + "a." * (MAX_BYTES // 2 - 4) + "a]", "a name of too many parts"),
        ("a={" + "a." * (MAX_BYTES // 2 - 8) + "a=1}", "a name of too many parts"),
        ("a = " + "[" * 50_000, "is not valid TOML"),
        ("[engine]\nthreads = " + "9" * 5000, "is not valid TOML"),
    ],
)
def test_what_is_no_config_file_is_refused(read: Read, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


def test_what_is_not_there_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    whats = {"none.toml": "there is no such config file", ".": "is a folder", "pipe": "is not a regular file"}
    for name, what in whats.items():
        place = tmp_path / name
        with pytest.raises(InputError, match=rf"{what}.*mvrec-edge init"):
            read_config(place, COMMANDS, "classify")


_KEYS = sorted({key for settings in tables_of(COMMANDS).values() for key in settings})
_VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(60, 20_000).map(lambda bits: hex(1 << bits)),
    st.sampled_from(["true", "nan", "-inf", "1e400", "'a'", "['a']", "{a = 1}", "1979-05-27", '"\\u0000"', "[[]]"]),
)


@given(st.sampled_from([*tables_of(COMMANDS), "other"]), st.sampled_from([*_KEYS, "zz"]), _VALUES)
def test_any_value_fits_or_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, table: str, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"[{table}]\n{key} = {value}\n")
    values: set[str] = set()
    refusal = str(path)
    try:
        values = set(read_config(path, COMMANDS, "classify"))
    except MvrecEdgeError as error:
        refusal = str(error)
    assert values <= {setting.parameter for setting in COMMANDS["classify"].values()}
    assert refusal.startswith(str(path))
