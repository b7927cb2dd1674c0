"""YOLO sets: boxes and outlines in shares of the image, class names, and where images lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import Region, RegionSource, open_source

SIZE = (40, 60)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


def labels(source: RegionSource) -> dict[str, list[str | None]]:
    return {item.id: [entry.label for entry in item.annotations] for item in source}


@pytest.fixture
def folder(tmp_path, save_image):
    """An image beside its label file, and the names of two classes."""
    save_image(tmp_path / "a.png")
    write(tmp_path / "classes.txt", "dent", "scratch", "")
    write(tmp_path / "a.txt", "0 0.5 0.5 0.5 0.5")
    return tmp_path


def test_boxes_and_outlines(folder):
    write(
        folder / "a.txt",
        "0 0.5 0.5 0.5 0.5",
        "",
        "1 0.1 0.1 0.9 0.1 0.9 0.5",
        "1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75",
    )

    source = open_source(folder)

    assert (source.format, source.problems, source.warnings) == ("yolo", (), ())
    assert labels(source) == {"a.png": ["dent", "scratch", "scratch"]}
    reading = source.images[0].regions(SIZE)
    box, outline, turned = reading.regions
    assert (box.box, box.area, box.source) == ((15, 10, 44, 29), 600, "a.txt#0")
    np.testing.assert_array_equal(outline.mask, Region.from_polygon([(6, 4), (54, 4), (54, 20)], SIZE).mask)
    assert turned.box == (15, 10, 45, 30)
    assert [index for index, _ in reading.indexed] == [0, 1, 2]


@pytest.mark.parametrize(
    ("x", "width"), [("0.166667", "0.033333"), ("0.1666666667", "0.0333333333"), ("0.16667", "0.03333")]
)
def test_rounded_shares_give_whole_pixels(folder, x, width):
    """Pixels 9 and 10 of 60."""
    write(folder / "a.txt", f"0 {x} 0.5 {width} 0.05")

    assert open_source(folder).images[0].regions(SIZE).regions[0].box == (9, 19, 10, 20)


def test_a_box_at_the_edge_and_one_below_a_pixel(folder):
    write(
        folder / "a.txt",
        "0 0.9917 0.9875 0.0166 0.025",
        "0 1 1 0.5 0.5",
        "0 0.505 0.51 0.001 0.001",
        "0 1.0000001 0.5 0.1 0.1",
    )

    boxes = [region.box for region in open_source(folder).images[0].regions(SIZE).regions]

    assert boxes == [(59, 39, 59, 39), (45, 30, 74, 49), (30, 20, 30, 20), (57, 18, 62, 21)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 0.5", "3 numbers after its class"),
        ("0", "0 numbers after its class"),
        ("dent 0.5 0.5 0.5 0.5", "the class is not a number: 'dent'"),
        ("0.5 0.5 0.5 0.5 0.5", "the class is not a number"),
        ("-1 0.5 0.5 0.5 0.5", "the class is not a number"),
        ("2 0.5 0.5 0.5 0.5", "the class 2 has no name in classes.txt"),
        ("0 0.5 0.5 0 0.5", "no area"),
        ("0 30 20 10 10", "outside 0 to 1"),
        ("0 0.5 0.5 1.2 0.5", "outside 0 to 1"),
        ("0 -0.1 0.5 0.2 0.5", "outside 0 to 1"),
        ("0 nan 0.5 0.2 0.5", "not a number: 'nan'"),
        ("0 0,5 0.5 0.2 0.5", "not a number: '0,5'"),
        ("0 0.5 0.5 0.2 0.5 17", "the last one is no confidence"),
        ("0 0.1 0.1 0.9 0.1 0.9 1.5", "outside 0 to 1"),
    ],
)
def test_a_bad_line_costs_only_itself(folder, line, said):
    write(folder / "a.txt", "0 0.5 0.5 0.5 0.5", line)

    reading = open_source(folder).images[0].regions(SIZE)

    assert [index for index, _ in reading.indexed] == [0]
    assert [problem.where for problem in reading.problems] == ["a.txt#1"]
    assert said in reading.problems[0].what


def test_predictions_are_warned_of(folder):
    write(folder / "a.txt", "0 0.5 0.5 0.5 0.5 0.93", "1 0.1 0.1 0.9 0.1 0.9 0.5 0.7", "0 0.2 0.2 0.1 0.1")

    source = open_source(folder)

    assert len(source.images[0].regions(SIZE).regions) == 3
    (warning,) = source.warnings
    assert "prediction of a detector" in warning.what
    assert "1 more like this" in warning.what


def test_an_image_without_lines_is_a_part_without_a_defect(folder, save_image):
    save_image(folder / "good.png")
    (folder / "good.txt").touch()
    save_image(folder / "without.png")

    source = open_source(folder)

    assert labels(source) == {"a.png": ["dent"], "good.png": [], "without.png": []}
    (warning,) = source.warnings
    assert warning.what == "1 image has no label file and counts as a part without a defect"
    assert warning.where.endswith("without.png")


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (".", "."),
        ("images", "labels"),
        ("images/train", "labels/train"),
        ("train/images", "train/labels"),
        ("obj_train_data", "obj_train_data"),
        ("JPEGImages", "labels"),
    ],
)
def test_where_images_and_label_files_lie(tmp_path, save_image, images, texts):
    image = save_image(tmp_path / images / "a.png")
    write(tmp_path / texts / "a.txt", "1 0.5 0.5 0.5 0.5")
    write(tmp_path / "data.yaml", "train: images/train", "names: [dent, scratch]")

    for place in dict.fromkeys(
        (tmp_path, tmp_path / images, tmp_path / texts, tmp_path / "data.yaml", tmp_path / texts / "a.txt")
    ):
        source = open_source(place)
        assert (source.format, source.problems) == ("yolo", ()), place
        assert [item.path for item in source] == [image], place
        assert source.images[0].annotations[0].label == "scratch", place


def test_images_at_a_given_root(tmp_path, save_image):
    image = save_image(tmp_path / "elsewhere" / "train" / "a.png")
    write(tmp_path / "set" / "labels" / "train" / "a.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "set" / "classes.txt", "dent")

    assert [item.path for item in open_source(tmp_path / "set" / "labels", image_root=tmp_path / "elsewhere")] == [
        image
    ]


def test_subsets_keep_images_of_one_name_apart(tmp_path, save_image):
    for subset, line in (("train", "0 0.5 0.5 0.5 0.5"), ("valid", "1 0.5 0.5 0.2 0.2")):
        save_image(tmp_path / subset / "images" / "a.png")
        write(tmp_path / subset / "labels" / "a.txt", line)
    write(tmp_path / "data.yaml", "nc: 2", "names:", "- dent", "- scratch")

    source = open_source(tmp_path)

    assert labels(source) == {"train/images/a.png": ["dent"], "valid/images/a.png": ["scratch"]}
    assert [item.annotations[0].index for item in source] == [0, 1]
    assert source.images[1].annotations[0].source == "valid/labels/a.txt#0"


def test_a_folder_of_label_files_keeps_images_of_one_name_apart(tmp_path, save_image):
    for subset in ("train", "valid"):
        save_image(tmp_path / "images" / subset / "a.png")
        write(tmp_path / "labels" / subset / "a.txt", "0 0.5 0.5 0.5 0.5")

    for options in ({}, {"image_root": tmp_path / "images"}):
        assert list(labels(open_source(tmp_path / "labels", **options))) == ["train/a.png", "valid/a.png"]


def test_names_in_another_case_or_unicode_form_are_found(tmp_path, save_image):
    image = save_image(tmp_path / "FLA\u0308CHE.PNG")
    write(tmp_path / "fl\u00e4che.txt", "0 0.5 0.5 0.5 0.5")
    write(tmp_path / "classes.txt", "Fla\u0308che")

    (item,) = open_source(tmp_path)

    assert item.path == image
    assert item.annotations[0].label == "Fl\u00e4che"


def test_a_label_file_without_its_image_is_a_problem(folder):
    write(folder / "gone.txt", "0 0.5 0.5 0.5 0.5")
    write(folder / "notes.txt", "The light was changed on Monday.")
    write(folder / "README.dataset.txt", "0 0.5 0.5 0.5 0.5")

    (problem,) = open_source(folder).problems

    assert problem.where.endswith("gone.txt")
    assert "there is no image gone" in problem.what


def test_two_images_or_two_label_files_of_one_name_are_not_guessed_between(folder, save_image):
    save_image(folder / "a.jpg")
    save_image(folder / "images" / "b.png")
    write(folder / "images" / "b.txt", "0 0.5 0.5 0.5 0.5")
    write(folder / "labels" / "b.txt", "1 0.5 0.5 0.5 0.5")

    source = open_source(folder)

    assert labels(source)["images/b.png"] == ["dent"]
    assert ["a.jpg, a.png" in source.problems[0].what, "about the same image" in source.problems[1].what] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "names: [dent, 'a, b', \"no\"]",
        "names: [dent,\n  'a, b',   # the second\n  \"no\" ]",
        "path: ../x\nnames:\n  0: dent\n  1: a, b\n  2: no\nnc: 3",
        "names:\n- dent\n- 'a, b' # the second\n- no\ntrain: x",
        "# a set\n---\nnames: {0: dent, 1: 'a, b', 2: no}\nroboflow:\n  workspace: x\n  names: y",
    ],
)
def test_names_of_a_yaml_file(folder, text):
    (folder / "classes.txt").unlink()
    write(folder / "data.yaml", text.replace("1: a, b\n", "1: 'a, b'\n"))
    write(folder / "a.txt", *(f"{number} 0.5 0.5 0.5 0.5" for number in range(3)))

    assert labels(open_source(folder)) == {"a.png": ["dent", "a, b", "no"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: classes.txt", "neither a list of names"),
        ("names: &a [dent]", "neither a list of names"),
        ("names: [dent, [scratch]]", "neither a list of names"),
        ("names: [dent", "neither a list of names"),
        ("names: [*a]", "neither a list of names"),
        ("names: ['dent]", "neither a list of names"),
        ('names: ["\\q"]', "neither a list of names"),
        ("names:\n  dent: 0", "neither a list of names"),
        ("names:\n  0: dent\n  0: scratch", "have the number 0 more than once"),
        ("names: {1: dent, 7: stain, 07: scratch}", "have the number 7 more than once"),
        ("names:\n- |\n  dent", "neither a list of names"),
        ("names:", "neither a list of names"),
        ("names: [dent]\nnames: [scratch]", "neither a list of names"),
        ("names: [dent, scratch]\nnc: 3", "'nc' says 3 classes, 'names' has 2"),
        ("names: [dent]\nkpt_shape: [17, 3]", "keypoints"),
    ],
)
def test_names_that_are_not_understood_are_refused(folder, text, said):
    (folder / "classes.txt").unlink()
    write(folder / "data.yaml", text)

    with pytest.raises(InputError, match=said):
        open_source(folder, format="yolo")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["# classes", "dent", "scratch"], "line 1 looks like a comment, .*: '# classes'"),
        (["dent", " // the second", "scratch"], "line 2 looks like a comment"),
        (["", "dent", "scratch"], "line 1 is empty"),
        (["dent", " ", "scratch"], "line 2 is empty"),
    ],
)
@pytest.mark.parametrize("name", ["classes.txt", "obj.names"])
def test_a_line_that_would_shift_the_classes_is_refused(folder, name, lines, said):
    write(folder / name, *lines)

    with pytest.raises(InputError, match=said):
        open_source(folder)


@pytest.mark.parametrize("name", ["obj.names", "_darknet.labels", "part.names"])
def test_lists_of_names(folder, name):
    (folder / "classes.txt").rename(folder / name)

    assert labels(open_source(folder)) == {"a.png": ["dent"]}


def test_files_that_disagree_on_the_names_are_refused(folder):
    write(folder / "data.yaml", "names: [dent, scratch]")
    assert labels(open_source(folder)) == {"a.png": ["dent"]}

    write(folder / "data.yaml", "names: [scratch, dent]")
    with pytest.raises(InputError, match="names the classes otherwise than"):
        open_source(folder)


def test_without_names_the_classes_are_numbers_and_that_is_said(folder):
    (folder / "classes.txt").unlink()

    source = open_source(folder)

    assert labels(source) == {"a.png": ["0"]}
    assert ["called by their numbers" in warning.what for warning in source.warnings] == [True]


@pytest.mark.parametrize("name", ["notes.txt", "a.txt"])
def test_text_beside_masks_is_not_taken_for_labels(tmp_path, save_image, save_mask, name):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a_mask.png", (1, 2, 20, 30))
    write(tmp_path / name, "exposure 0.5 0.5 0.5 0.5")

    assert open_source(tmp_path).format == "folders"


def test_a_folder_without_label_files_is_refused(tmp_path, save_image):
    write(tmp_path / "data.yaml", "names: [dent]", "train: x")

    with pytest.raises(InputError, match="no YOLO label file has an image"):
        open_source(tmp_path)


def names_of(folder, save_image):
    """Opens a set of one image, whose label file lies beside it."""
    save_image(folder / "a.png")
    (folder / "a.txt").write_text("0 .5 .5 .2 .2")
    return open_source(folder, format="yolo")


@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "list.yaml"])
@pytest.mark.parametrize("above", ["", "proj"])
def test_an_unrelated_list_of_names_above_is_named_and_not_used(tmp_path, save_image, name, above):
    (tmp_path / "proj" / "set").mkdir(parents=True)
    file = tmp_path / above / name
    file.write_text("names: [other]" if name == "list.yaml" else "other\n")

    source = names_of(tmp_path / "proj" / "set", save_image)

    assert source.images[0].annotations[0].label == "0"
    assert source.warnings[0].what == (
        f"the classes have no names and are called by their numbers; {file} lies above the folder and is not used"
    )
    assert "named by" not in source.describe()


@pytest.mark.parametrize(("name", "text"), [("data.yaml", "train: images\nnames: [dent]\n"), ("classes.txt", "dent\n")])
def test_names_above_the_tree_of_labels_are_used_and_named(tmp_path, save_image, name, text):
    (tmp_path / name).write_text(text)

    source = names_of(tmp_path / "labels" / "train", save_image)

    assert source.images[0].annotations[0].label == "dent"
    assert source.describe().endswith(f"1 label, named by {tmp_path / name}")


@pytest.mark.parametrize("key", ['"names":', "'names':", "names :", '"names" :'])
def test_a_quoted_key_is_read(tmp_path, save_image, key):
    (tmp_path / "data.yaml").write_text(f"train: x\n{key} [dent, scratch]\n")

    source = names_of(tmp_path, save_image)

    assert source.images[0].annotations[0].label == "dent"
    assert source.describe().endswith("1 label, named by data.yaml")


@pytest.mark.parametrize("text", ["train: x\ndata:\n  names: [dent]\n", "# set\n{train: x, names: [dent]}\n"])
def test_names_that_are_not_found_in_a_file_are_named_with_their_line(tmp_path, save_image, text):
    (tmp_path / "data.yaml").write_text(text)
    line = 1 + next(number for number, each in enumerate(text.splitlines()) if "names" in each)

    [warning] = names_of(tmp_path, save_image).warnings

    assert f"line {line} of {tmp_path / 'data.yaml'} has 'names' not at its beginning" in warning.what
