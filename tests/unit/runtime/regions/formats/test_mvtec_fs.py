"""MVTec-FS tables."""

from __future__ import annotations

import csv

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
HEADER = [
    "imageName",
    "imageHeight",
    "imageWidth",
    "img_id",
    "part",
    "id",
    "img_rel_path",
    "x1",
    "x2",
    "y1",
    "y2",
    "label",
    "points",
]
SQUARE = "[[10, 5], [20, 5], [20, 15], [10, 15]]"


def row(name, label="dent", points=SQUARE, box=(10, 20, 5, 15), part="nut"):
    return [name, 40, 60, 0, part, 0, f"training/{name}", *box, label, points]


def write(path, rows, header=HEADER, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture
def root(tmp_path, save_image):
    for name in ("a.png", "b.png"):
        save_image(tmp_path / "image" / "nut" / "training" / name)
    return tmp_path


def test_rows_are_grouped_by_image_and_keep_their_index(root):
    rows = [row("b.png", box=(9, 21, 4, 16)), row("a.png", "combined"), row("b.png", "pit")]
    path = write(root / "CONFIG" / "nut1" / "train.csv", rows, encoding="utf-8-sig")

    source = open_source(path)

    assert (source.format, source.problems) == ("mvtec-fs", ())
    assert [item.id for item in source] == ["nut/training/b.png", "nut/training/a.png"]
    assert [[entry.index for entry in item.annotations] for item in source] == [[0, 2], [1]]
    assert source.images[0].path == root / "image" / "nut" / "training" / "b.png"
    first, third = source.images[0].regions(SIZE).regions
    # The table's order is x1, x2, y1, y2, and its box counts, not the polygon's bounds.
    assert (first.box, first.area, first.source) == ((9, 4, 21, 16), 121, "train.csv#0")
    assert (third.label, third.source) == ("pit", "train.csv#2")
    assert source.images[1].regions(SIZE).regions[0].label == "combined"


def test_images_beside_the_folder_of_tables_or_at_a_given_root(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    path = write(elsewhere / "train.csv", [row("a.png")])

    with pytest.raises(InputError, match="none of the table's images was found"):
        open_source(path)
    assert len(open_source(path, image_root=root / "image")) == 1
    assert len(open_source(write(root / "image" / "valid.csv", [row("a.png")]))) == 1


def test_a_bad_row_costs_only_itself(root):
    bad = [
        row("a.png", points="__import__('os').system('true')"),
        row("a.png", points="[[1, 2], [3, 4]]"),
        row("a.png", points="[[1, 2], [3, 4], [NaN, 5]]"),
        row("a.png", points="[[1, 2], [3, 4], [1e300, 5]]"),
        row("a.png", points=""),
        row("a.png", points="[" * 100_000),
        row("a.png", box=("x", 20, 5, 15)),
        row("a.png", box=("nan", 20, 5, 15)),
        row("a.png", box=(20, 10, 5, 15)),
        row("a.png", label="x" * 300),
    ]
    source = open_source(write(root / "train.csv", [*bad, row("a.png")]))
    reading = source.images[0].regions(SIZE)

    assert [index for index, _ in reading.indexed] == [len(bad)]
    assert len(reading.problems) == len(bad)
    assert all(str(problem.where).startswith(f"train.csv#{n}") for n, problem in enumerate(reading.problems))


def test_short_rows_and_missing_images_are_problems_of_the_source(root):
    source = open_source(write(root / "train.csv", [["a.png"], row("gone.png"), row("b.png"), row("gone.png")]))

    assert [item.annotations[0].index for item in source] == [2]
    assert [problem.where for problem in source.problems] == ["train.csv#0", str(root / "train.csv")]
    assert "gone.png" in source.problems[1].what


def test_a_long_outline_fits_and_the_csv_limit_is_put_back(root):
    outline = str([[x % 60, x // 60 % 40] for x in range(60_000)])
    before = csv.field_size_limit()

    source = open_source(write(root / "train.csv", [row("a.png", points=outline)]))

    assert len(outline) > before
    assert csv.field_size_limit() == before
    assert source.images[0].regions(SIZE).regions[0].box == (10, 5, 20, 15)


def test_a_malformed_header_is_refused(root):
    path = write(root / "train.csv", [row("a.png")], header=[*HEADER[:-1], "outline"])

    with pytest.raises(InputError, match="lacks the columns points"):
        open_source(path, format="mvtec-fs")
    with pytest.raises(InputError, match="no known annotation format"):
        open_source(path)


def test_a_row_whose_outline_is_empty_is_its_box(root):
    (item,) = open_source(write(root / "train.csv", [row("a.png", points="[]")]))
    (region,) = item.regions(SIZE).regions
    assert region.box == (10, 5, 20, 15)
    assert region.area == 11 * 11


def test_a_row_with_an_outline_without_quotes_is_a_problem(root):
    path = write(root / "train.csv", [row("a.png")])
    path.write_text(
        path.read_text() + "b.png,40,60,0,nut,0,training/b.png,10,20,5,15,dent,[[10, 5], [20, 5], [20, 15]]\n"
    )

    source = open_source(path)

    assert [item.id for item in source] == ["nut/training/a.png"]
    assert "18 cells, but the table only 13 columns" in source.problems[0].what
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "a.png" not in line))
    with pytest.raises(InputError, match=r"no row of the table is usable.*18 cells"):
        open_source(path)


def test_a_column_that_turns_the_region_is_a_problem(root):
    path = write(root / "train.csv", [[*row("a.png"), 30], [*row("a.png"), 0]], header=[*HEADER, "Angle"])

    reading = open_source(path).images[0].regions(SIZE)

    assert [index for index, _ in reading.indexed] == [1]
    assert "'Angle' turns the region" in reading.problems[0].what


def test_semicolons_and_decimal_commas(root):
    path = root / "train.csv"
    lines = [";".join(HEADER), f"a.png;40;60;0;nut;0;training/a.png;10,4;20,6;5;15,0;dent;{SQUARE}"]
    path.write_text("\n".join(lines))

    assert open_source(path).images[0].regions(SIZE).regions[0].box == (10, 5, 20, 15)


@pytest.mark.parametrize(("size", "odd"), [((40, 60), False), ((0, ""), False), ((80, 120), True), ((60, 40), True)])
def test_the_size_that_the_table_gives_is_compared_with_the_image(root, size, odd):
    line = row("a.png")
    line[1:3] = size

    reading = open_source(write(root / "train.csv", [line, line])).images[0].regions(SIZE)

    assert len(reading.regions) == 2
    assert len(reading.warnings) == odd


def test_several_tables_of_a_folder_count_through(root):
    for name in ("a", "b"):
        write(root / "CONFIG" / f"{name}.csv", [row(f"{name}.png"), row(f"{name}.png", "pit")])

    source = open_source(root / "CONFIG")

    assert [item.id for item in source] == ["nut/training/a.png", "nut/training/b.png"]
    assert [(entry.index, entry.source) for item in source for entry in item.annotations] == [
        (0, "a.csv#0"),
        (1, "a.csv#1"),
        (2, "b.csv#0"),
        (3, "b.csv#1"),
    ]


def test_an_instance_that_is_there_twice_is_warned_of(root):
    (warning,) = open_source(write(root / "train.csv", [row("a.png"), row("a.png"), row("a.png", "pit")])).warnings

    assert "twice" in warning.what
    assert warning.where == "train.csv#1"


def test_images_in_another_case_are_found(root):
    image = root / "image" / "nut" / "training" / "a.png"
    image.rename(image.with_name("A.PNG"))

    assert open_source(write(root / "train.csv", [row("a.png")])).images[0].path.name == "A.PNG"


def test_a_line_break_belongs_into_points_only(root):
    rows = [row("a.png", points=SQUARE.replace(" ", "\n")), row("a.png", "de\nnt"), row("b.png", "pit")]
    source = open_source(write(root / "train.csv", rows))

    assert [len(item.annotations) for item in source] == [1, 1]
    assert [(problem.where, "'label' goes over several lines" in problem.what) for problem in source.problems] == [
        ("train.csv#1", True)
    ]


def test_a_box_in_thousands_is_refused(root):
    path = write(root / "train.csv", [row("a.png", box=("1.100", "1.300", "1.001", "1.200"))])

    with pytest.raises(InputError, match=r"'x1' of train.csv#0 is '1.100', .* thousands or fractions"):
        open_source(path)
