"""What reaches a terminal: nothing from outside that it would obey, and nothing that its encoding lacks."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from mvrec_edge.cli.console import (
    ConsoleObserver,
    escaped,
    image_bar,
    json_text,
    phase_bar,
    say,
    show,
    show_json,
    show_table,
    spell_out_what_is_missing,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Riß, größer als 5 µm", "Riß, größer als 5 µm"),
        ("裂纹 🔧 C:\\parts", "裂纹 🔧 C:\\parts"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
        ("\x7f and \x9b2J", "\\x7f and \\x9b2J"),
        ("gpj.\u202etnirp", "gpj.\\u202etnirp"),
        ("a\u200bb\u2066c\ufeff", "a\\u200bb\\u2066c\\ufeff"),
        ("one\u2028two\u2029", "one\\u2028two\\u2029"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("name \udcff.jpg", "name \\xff.jpg"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text(max_size=20))
@example("name \udcff.jpg")
def test_json_is_harmless_and_comes_back_as_it_was(text: str) -> None:
    for narrow in (False, True):
        line = json_text({"label": text}, narrow=narrow)
        assert json.loads(line) == {"label": text}
        # Nothing is left to be spelled out, and it is text in any encoding of Unicode.
        assert escaped(line) == line
        assert line.encode("ascii" if narrow else "utf-8")


def test_json_with_indents_keeps_its_lines() -> None:
    assert json_text({"a": "\x9b"}, indent=2) == '{\n  "a": "\\u009b"\n}'


def test_lines_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    say("error: no 'a\nb\x1b[2J'")
    show("class \u202ex")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("class \\u202ex\n", "error: no 'a\\nb\\x1b[2J'\n")


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"\\xfc\\u2192\n"), ("latin-1", b"\xfc\\u2192\n")])
def test_a_narrow_console_gets_letters_spelled_out(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes
) -> None:
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    spell_out_what_is_missing()
    show("ü→")
    say("ü→")
    for stream in streams:
        assert stream.buffer.getvalue() == shown  # type: ignore[attr-defined]
    show_json("ü→")
    assert json.loads(streams[0].buffer.getvalue().removeprefix(shown)) == "ü→"  # type: ignore[attr-defined]


def test_a_table_in_a_file_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("image", "class")
    long = "a very long name of a folder/" * 12 + "part.jpg"
    table.add_row(Text(long), Text("[bold]dent :bug:"))
    show_table(table)
    shown = capsys.readouterr().out
    assert long in shown
    assert "[bold]dent :bug:" in shown
    assert "…" not in shown


def test_bars_show_titles_and_notes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with ConsoleObserver().phase("[red]reading\u202e", 2, "images") as advance:
        advance(1, "[dim]a\nb")
    with phase_bar("building [x]") as show_phase:
        show_phase("layer\x07", 1, 2)
    assert "[red]reading\\u202e, [dim]a\\nb" in terminal.getvalue()
    assert "building [x]: layer\\x07" in terminal.getvalue()


def test_the_bar_of_a_run_shows_images_views_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with image_bar("classifying", 4) as progress:
        progress.views(27)
        progress.image()
    assert "1/4" in terminal.getvalue()
    assert "images" in terminal.getvalue()
    assert "views/s" in terminal.getvalue()
    assert "-:--:--" in terminal.getvalue()
