"""`--config` of commands that read a cache or a bundle, and options that have another name now."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import SupportCache, ViewPlan
from tests.e2e.commands import run


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A folder with a support cache of three classes and a config file that names it."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 4)
    embeddings = (4 * np.eye(8)[labels])[:, None] + 0.2 * rng.standard_normal((12, 3, 8))
    cache = SupportCache.from_embeddings(
        embeddings.astype(np.float32), labels, ["dent", "scratch", "stain"], view_plan=ViewPlan.by_name("ms")
    )
    cache.save(tmp_path / "line.safetensors")
    (tmp_path / "c.toml").write_text(
        "[paths]\nbundle = 'no.bundle'\ncache = 'line.safetensors'\n[support.list]\njson = true\n"
    )
    return tmp_path


def test_a_cache_comes_from_the_file(line: Path) -> None:
    config = ("--config", line / "c.toml")
    assert len(json.loads(run("support", "list", *config).stdout)) == 12
    removed = run("support", "remove", *config, "0", "4")
    assert "10 instances" in removed.stderr
    run("support", "rename", *config, "stain", "oil")
    assert SupportCache.load(line / "line.safetensors").class_names == ("dent", "scratch", "oil")
    assert run("support", "history", *config).stdout.count("\n") == 3
    run("support", "rollback", *config, "--to", 1)
    assert len(SupportCache.load(line / "line.safetensors").labels) == 12


@pytest.mark.parametrize(
    ("words", "spelled", "key", "table"),
    [
        (("inspect",), "PATH", "path", "inspect"),
        (("verify",), "BUNDLE", "bundle", "paths"),
        (("support", "list"), "CACHE", "cache", "paths"),
        (("support", "add", "part.jpg"), "--bundle", "bundle", "paths"),
    ],
)
def test_what_is_in_neither_place_is_said_with_both(
    line: Path, words: tuple[str, ...], spelled: str, key: str, table: str
) -> None:
    config = "[paths]\nbundle = 'no.bundle'\ncache = 'line.safetensors'\n"
    (line / "c.toml").write_text("\n".join(row for row in config.splitlines() if not row.startswith(key)))
    ended = run(*words, "--config", line / "c.toml", code=2)
    assert f"{spelled} is neither on the command line nor in the config file" in ended.stderr
    assert f"give it on the command line, or write '{key}' below [{table}] in the file" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_inspect_takes_its_path_from_either_place(line: Path) -> None:
    shown = run("inspect", "--config", line / "c.toml", line / "line.safetensors")
    (line / "c.toml").write_text("[inspect]\npath = 'line.safetensors'\n")
    assert run("inspect", "--config", line / "c.toml").stdout == shown.stdout


def test_a_bundle_comes_from_the_file(line: Path) -> None:
    for words in (("verify",), ("bench",), ("build",), ("doctor",)):
        ended = run(*words, "--config", line / "c.toml", code=None)
        assert "no.bundle" in ended.stderr + ended.stdout, words
        assert ended.returncode != 0


def test_the_file_is_checked_by_every_command(line: Path) -> None:
    (line / "c.toml").write_text("[support.add]\nlable = 'dent'\n")
    for words in (("support", "list", line / "line.safetensors"), ("inspect", line / "line.safetensors"), ("doctor",)):
        ended = run(*words, "--config", line / "c.toml", code=2)
        assert "[support.add] has no setting 'lable'" in ended.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("calibrate", "b", "s", "--views", "ms", "-o", "c"), "'calibrate' has no option --views any more"),
        (("calibrate", "b", "s", "--views=ms", "-o", "c"), "(it is named --view-recipe now)"),
        (("evaluate", "--views", "ms"), "(it is named --view-recipe now)"),
        (("bench", "b", "--views", "9"), "(it is named --views-per-defect now)"),
        (("export", "x", "--calibration-views", "ms", "-o", "b"), "(it is named --calibration-view-recipe now)"),
    ],
)
def test_an_old_name_is_refused_with_the_new_one(words: tuple[str, ...], message: str) -> None:
    ended = run(*words, code=2)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_number_of_views_of_classify_keeps_its_name() -> None:
    shown = run("classify", "--views", "3", "--help")
    assert "--views" in shown.stdout
    assert "--view-recipe" not in shown.stdout
