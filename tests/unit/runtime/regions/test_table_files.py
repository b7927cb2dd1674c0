"""CSV tables: what separates their cells, how numbers are written, and rows that do not fit the header."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.table_files import parse_number, read_table


def write(folder, text, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n1;5\t2\n", "\t"),
        ('"a, or so";b;c\n1;2;3\n', ";"),
        ('"a; b",c\n1,2\n', ","),
        ("sep=;\na;b\n1;2\n", ";"),
        ("sep=,\r\na,b\r\n1,2\r\n", ","),
        ("\n\na;b\n1;2\n", ";"),
        ("alone\n1\n", ","),
    ],
)
def test_the_header_says_what_separates_cells(tmp_path, text, delimiter):
    table = read_table(write(tmp_path, text))

    assert table.delimiter == delimiter
    assert table.decimal_comma == (delimiter != ",")
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_quotes_are_as_csv_has_them(tmp_path):
    table = read_table(write(tmp_path, 'a,b\n"1,5","say ""no"""\n"two\nlines",x\n'))

    assert table.rows == (["1,5", 'say "no"'], ["two\nlines", "x"])


def test_blank_rows_and_cells_without_a_name_are_passed_over(tmp_path):
    table = read_table(write(tmp_path, " a , b ,,\n1,2,,\n,,,\n\n3,4,,\n"))

    assert table.header == ("a", "b")
    assert [(number, source) for number, source, _ in table.numbered()] == [(0, "table.csv#0"), (1, "table.csv#1")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_tables_that_a_spreadsheet_saved_as_unicode_are_read(tmp_path, encoding):
    assert read_table(write(tmp_path, "name\tÖl\nä\t1\n", encoding)).header == ("name", "Öl")


@pytest.mark.parametrize(("text", "said"), [("\n \n", "empty"), ("abcd,e\0f\n", "zero byte")])
def test_what_is_no_table_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_table(write(tmp_path, text))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,2", None),
        ("1,2,,", None),
        ("1,2, ,", None),
        ("1,2,3", "the row has 3 cells, but the table only 2 columns"),
        ("1,2,,3", "the row has 4 cells"),
        ("1", "the row has 1 of 2 cells"),
    ],
)
def test_a_row_fits_the_header(tmp_path, row, said):
    table = read_table(write(tmp_path, f"a,b\n{row}\n"))

    if said is None:
        table.check_width(table.rows[0], 2, "t#0")
    else:
        with pytest.raises(AnnotationError, match=said):
            table.check_width(table.rows[0], 2, "t#0")


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), (" -2.5 ", -2.5), ("+3.", 3), (".5", 0.5), ("1e2", 100), ("4,5", 4.5), ("-4,5", -4.5)]
)
def test_numbers(text, value):
    assert parse_number(text, "x1", "t#0", decimal_comma=True) == value


@pytest.mark.parametrize(
    "text", ["", "x", "nan", "inf", "1_0", "\u0661", "1.234,5", "1,2,3", "0x10", "1 0", "9" * 100, "1e999"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(AnnotationError, match="x1 is not a number"):
        parse_number(text, "x1", "t#0", decimal_comma=True)


def test_a_comma_is_decimal_only_where_it_separates_nothing():
    with pytest.raises(AnnotationError, match="not a number: '4,5'"):
        parse_number("4,5", "x1", "t#0")


def test_a_blank_before_a_quote_is_no_part_of_the_cell(tmp_path):
    table = read_table(write(tmp_path, 'a, "b"\n"x, y", "d, e"\n 1,  "f"\n'))

    assert table.rows == (["x, y", "d, e"], ["1", "f"])


def test_a_quote_within_a_cell_is_text(tmp_path):
    assert read_table(write(tmp_path, 'a;b\n5";x"y\n')).rows == (['5"', 'x"y'],)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a,b\n1,"dent\n2,pit\n', "opens in the row of line 2 is never closed"),
        ('a,b\n1,x\n"2,pit\n3,y', "line 3 is never closed"),
        ('sep=;\na;b\n1;"dent\n', "line 3 is never closed"),
        ('a,b\n1,x\n\n1,"dent\n2,"pit\n', "in the row of line 4 a closing quote is followed by neither ','"),
        ('a\tb\n1\t"de"nt\n', "line 2 a closing quote is followed by neither a tab"),
    ],
)
def test_a_quote_that_takes_in_other_cells_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_table(write(tmp_path, text))
