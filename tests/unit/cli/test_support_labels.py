"""A class name that is close to one of the cache is asked about, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, SupportCache, ViewPlan
from tests.e2e.commands import run

NAMES = ("MT_Break", "MT_Crack", "MT_Fray")


def make_cache(path: Path, names: tuple[str, ...] = NAMES, encoder: str = "e", seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(names)), 3)
    embeddings = (4 * np.eye(64)[labels])[:, None] + 0.2 * rng.standard_normal((len(labels), 1, 64))
    plan = ViewPlan.by_name("none", size=56)
    SupportCache.from_embeddings(embeddings, labels, names, view_plan=plan, encoder=encoder).save(path)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return make_cache(tmp_path / "line.safetensors")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("rename", "MT_Fray", "MT_crack"), 2, "there is no class 'MT_crack' yet: did you mean 'MT_Crack'?"),
        (("rename", "MT_frey", "edge"), 3, "there is no class 'MT_frey' (did you mean 'MT_Fray'? it has MT_Break"),
        (("merge", "MT_Break", "MT_Crack", "--into", "MT_Fry"), 2, "did you mean 'MT_Fray'? (give --new-class"),
        (
            ("merge", "MT_Break", "MT_Crak", "--into", "line"),
            3,
            "there is no class 'MT_Crak' (did you mean 'MT_Crack'?",
        ),
    ],
)
def test_a_slip_is_asked_about(cache: Path, words: tuple[str, ...], code: int, message: str) -> None:
    before = cache.read_bytes()
    ended = run("support", words[0], cache, *words[1:], code=code)
    assert message in ended.stderr
    assert cache.read_bytes() == before


def test_who_insists_gets_a_new_class(cache: Path) -> None:
    run("support", "rename", cache, "MT_Fray", "MT_crack", "--new-class")
    assert SupportCache.load(cache).class_names == ("MT_Break", "MT_Crack", "MT_crack")


def test_another_spelling_of_the_class_itself_is_no_slip(cache: Path) -> None:
    run("support", "rename", cache, "MT_Fray", "MT_fray")
    run("support", "merge", cache, "MT_Break", "MT_Crack", "--into", "MT_Breaks")
    assert SupportCache.load(cache).class_names == ("MT_Breaks", "MT_fray")


def test_classes_of_a_cache_that_is_merged_are_looked_at(cache: Path) -> None:
    other = make_cache(cache.with_name("other.safetensors"), ("MT_Break", "MT crack"), seed=1)
    refused = run("support", "merge", cache, other, code=3)
    assert "other.safetensors: there is no class 'MT crack' yet: did you mean 'MT_Crack'?" in refused.stderr
    run("support", "merge", cache, other, "--new-class", "--force")
    assert SupportCache.load(cache).class_names == (*NAMES, "MT crack")


def test_a_label_typed_for_new_defects_is_asked_about(tiny_bundle_path: Path, tmp_path: Path) -> None:
    fingerprint = Bundle.load(tiny_bundle_path).fingerprint()
    cache = make_cache(tmp_path / "line.safetensors", encoder=fingerprint)
    image, mask = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.uint8)
    mask[20:40, 20:40] = 255
    image[mask > 0] = 20
    for folder in ("", "MT_brake/", "mt_break/"):
        (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / folder / "part.jpg"), image)
        cv2.imwrite(str(tmp_path / "in" / folder / "part.png"), mask)
    add = ("support", "add", cache, "--bundle", tiny_bundle_path, "--engine", "onnxruntime", "--force")
    typed = run(*add, tmp_path / "in" / "part.jpg", "--label", "MT_break", code=2)
    assert "there is no class 'MT_break' yet: did you mean 'MT_Break'? (give --new-class" in typed.stderr
    # And one that the name of a folder gives.
    (tmp_path / "in" / "part.jpg").unlink()
    (tmp_path / "in" / "part.png").unlink()
    read = run(*add, tmp_path / "in", code=3)
    assert "did you mean 'MT_Break'?" in read.stderr
    assert len(SupportCache.load(cache).labels) == 9
    run(*add, tmp_path / "in", "--new-class")
    assert SupportCache.load(cache).class_names == (*NAMES, "MT_brake", "mt_break")
