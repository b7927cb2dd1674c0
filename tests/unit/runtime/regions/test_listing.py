"""Which files of a folder are looked at: links, loops, what cannot be read, and what we wrote ourselves."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.regions import open_source
from mvrec_edge.runtime.regions.listing import list_files, looking

BOX = (10, 5, 19, 14)


def names(folder, suffixes=(".jpg",)):
    return [path.relative_to(folder).as_posix() for path in list_files(folder, suffixes)]


def test_links_to_folders_are_followed(tmp_path, save_image):
    save_image(tmp_path / "elsewhere" / "Imgs" / "a.jpg")
    save_image(tmp_path / "labelled" / "dent" / "b.jpg")
    (tmp_path / "labelled" / "scratch").symlink_to(tmp_path / "elsewhere")

    with looking() as look:
        assert names(tmp_path / "labelled") == ["dent/b.jpg", "scratch/Imgs/a.jpg"]
    assert (look.problems, look.warnings) == ({}, {})


def test_a_folder_is_read_once_and_a_loop_ends(tmp_path, save_image):
    root = tmp_path / "labelled"
    save_image(root / "dent" / "b.jpg")
    save_image(tmp_path / "other" / "c.jpg")
    (root / "again").symlink_to(root / "dent")
    (root / "dent" / "up").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "one").symlink_to(tmp_path / "other")
    (root / "two").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(root / "dent")

    with looking() as look:
        assert names(root) == ["dent/b.jpg", "one/c.jpg"]
    said = {path.relative_to(root).as_posix(): warning.what for path, warning in look.warnings.items()}
    assert set(said) == {"again", "dent/up", "above", "two", "one/back"}
    assert "lies in" in said["above"]
    assert "lies in" in said["dent/up"]
    assert "read already" in said["two"]


def test_a_link_that_leads_nowhere_is_a_problem(tmp_path, save_image, save_mask):
    save_image(tmp_path / "dent" / "a.jpg")
    save_mask(tmp_path / "dent" / "a.png", BOX)
    (tmp_path / "scratch").symlink_to(tmp_path / "not mounted")
    (tmp_path / "dent" / "b.jpg").symlink_to(tmp_path / "b.jpg")
    (tmp_path / "dent" / "self").symlink_to(tmp_path / "dent" / "self")
    (tmp_path / "dent" / "b.txt").symlink_to(tmp_path / "b.txt")

    source = open_source(tmp_path)

    assert [image.id for image in source] == ["dent/a.jpg"]
    assert sorted(problem.where.rsplit("/", 1)[1] for problem in source.problems) == ["b.jpg", "scratch", "self"]
    assert {problem.what for problem in source.problems} == {"the link leads nowhere"}


def test_warnings_of_links_are_those_of_the_source(tmp_path, save_image, save_mask):
    save_image(tmp_path / "dent" / "a.jpg")
    save_mask(tmp_path / "dent" / "a.png", BOX)
    (tmp_path / "dent" / "up").symlink_to(tmp_path)

    source = open_source(tmp_path)

    assert [warning.where for warning in source.warnings] == [str(tmp_path / "dent" / "up")]


@pytest.mark.parametrize("named", ["pictures", "pictures/a.jpg"])
def test_what_this_run_writes_is_left_out(tmp_path, save_image, named):
    save_image(tmp_path / "pictures" / "a.jpg")
    save_image(tmp_path / "b.jpg")

    with looking([tmp_path / named]) as look:
        assert names(tmp_path) == ["b.jpg"]
    assert [path.name for path in look.own] == ["a.jpg"]
