"""A start from nothing: `init`, and the commands with the config file it writes."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from mvrec_edge.runtime import Bundle, SupportCache, open_source
from mvrec_edge.testing import HELD_OUT_FAMILIES
from tests.e2e.commands import error_line, run

#: What `init --examples` puts there to be classified.
INCOMING = sorted([f"{family}_0001.jpg" for family in HELD_OUT_FAMILIES] + ["chatter_0002.jpg"])
QUICK = "engine = 'onnxruntime'\nthreads = 1\n"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def labels(path: Path) -> list[str]:
    return [json.loads(line)["label"] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder of `init --examples` with an encoder and a support cache in it, made through its config file."""
    folder = tmp_path_factory.mktemp("made") / "line 1"
    run("init", folder, "--examples")
    shutil.copytree(tiny_bundle_path, folder / "encoder.bundle")
    config = folder / "mvrec-edge.toml"
    text = config.read_text().replace("#view_recipe", "view_recipe")
    config.write_text(text.replace("[engine]\n", f"[engine]\n{QUICK}"))
    run("calibrate", "--config", "mvrec-edge.toml", cwd=folder)
    return folder


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    return Path(shutil.copytree(made, tmp_path / "line"))


# init


def test_a_fresh_folder(tmp_path: Path) -> None:
    result = run("init", "new/line1", cwd=tmp_path)
    folder = tmp_path / "new" / "line1"
    assert set(tree(folder)) == {
        "mvrec-edge.toml",
        "README.md",
        "labelled/README.txt",
        "labelled/dent/README.txt",
        "labelled/scratch/README.txt",
        "incoming/README.txt",
        "results/README.txt",
    }
    commands = [text.split("#")[0].strip() for text in result.stdout.splitlines() if text.startswith("  mvrec-edge")]
    assert [command.split()[1] for command in commands] == ["export", "calibrate", "classify"]
    assert "  cd new/line1\n" in result.stdout
    readme = (folder / "README.md").read_text()
    for command in commands:
        assert command in readme
    assert "written: new/line1/mvrec-edge.toml" in result.stderr


def test_what_is_printed_and_documented_can_be_typed(line: Path) -> None:
    """Every command of the README, but for `export pocket`, in the order it names them."""
    (block,) = re.findall(r"```\n(.*?)```", (line / "README.md").read_text(), re.S)
    commands = block.splitlines()
    assert commands[0] == "mvrec-edge export pocket --out encoder.bundle"
    (line / "line.safetensors").unlink()
    for command in commands[1:]:
        run(*command.split()[1:], cwd=line)
    assert SupportCache.load(line / "line.safetensors").counts == dict.fromkeys(sorted(HELD_OUT_FAMILIES), 5)
    assert len(labels(line / "results" / "results.jsonl")) == len(INCOMING)
    run("evaluate", "--config", "mvrec-edge.toml", "--shots", "1", "--draws", 1, "--no-keep", cwd=line)
    assert (line / "results" / "evaluation" / "evaluation.json").is_file()


def test_the_commands_of_a_folder_with_examples_can_be_typed_from_the_first_to_the_last(tmp_path: Path) -> None:
    """With the encoder that comes along, and with nothing changed."""
    printed = run("init", tmp_path / "try", "--examples").stdout
    (block,) = re.findall(r"```\n(.*?)```", (tmp_path / "try" / "README.md").read_text(), re.S)
    for command in block.splitlines():
        assert command in printed
        result = run(*command.split()[1:], cwd=tmp_path / "try")
        assert "random weights" not in result.stderr
    assert set(labels(tmp_path / "try" / "results" / "results.jsonl")) <= set(HELD_OUT_FAMILIES)


def test_every_command_runs_with_the_written_config_and_the_examples(tmp_path: Path) -> None:
    """All but `build`, which needs TensorRT, and `bench`, whose pages take seconds."""
    folder = tmp_path / "try"
    run("init", folder, "--examples")
    configured = ("--config", "mvrec-edge.toml")
    for words in (
        *(
            ("export",),
            ("calibrate",),
            ("classify",),
            ("evaluate", "--draws", 1, "--no-keep"),
            ("verify",),
            ("inspect",),
        ),
        *(("doctor",), ("report", "results/results.jsonl"), ("support", "list"), ("support", "history")),
        ("support", "add", "incoming/chatter_0002.jpg", "--label", "chatter"),
    ):
        run(*words, *configured, cwd=folder)
    evaluated = json.loads((folder / "results" / "evaluation" / "evaluation.json").read_text())
    assert evaluated["shots"] == [1, 3]


def test_an_empty_start_says_what_is_missing(tmp_path: Path, tiny_bundle_path: Path) -> None:
    run("init", tmp_path / "a")
    shutil.copytree(tiny_bundle_path, tmp_path / "a" / "encoder.bundle")
    result = run("calibrate", "--config", tmp_path / "a" / "mvrec-edge.toml", code=3)
    assert "the folder holds no labelled images" in result.stderr


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    result = run("init", tmp_path, code=6)
    assert "is not empty" in result.stderr
    assert result.stderr.count("\n") == 1
    assert tree(tmp_path) == {"notes.txt": b"mine"}


def test_overwrite_removes_and_replaces_nothing(tmp_path: Path) -> None:
    mine = {
        "notes.txt": b"mine",
        "README.md": b"my readme",
        "README.md.old": b"my older readme",
        "labelled/hole/a.jpg": b"a",
    }
    for name, data in mine.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    result = run("init", tmp_path, "--overwrite")
    after = tree(tmp_path)
    assert after["README.md.old2"] == b"my readme"
    assert {name: after[name] for name in mine if name != "README.md"} == {
        name: data for name, data in mine.items() if name != "README.md"
    }
    assert f"earlier file kept: {tmp_path / 'README.md.old2'}" in result.stderr
    # Who has classes of their own gets no example classes.
    assert not (tmp_path / "labelled" / "dent").exists()
    assert "mvrec-edge.toml" in after
    # And once more: what is there already stays, and nothing is renamed.
    again = run("init", tmp_path, "--overwrite")
    assert tree(tmp_path) == after
    assert "every file is there already" in again.stderr


def test_a_changed_config_survives_overwrite(tmp_path: Path) -> None:
    run("init", tmp_path / "a")
    config = tmp_path / "a" / "mvrec-edge.toml"
    config.write_text("[engine]\nthreads = 3\n")
    run("init", tmp_path / "a", "--overwrite")
    assert (tmp_path / "a" / "mvrec-edge.toml.old").read_text() == "[engine]\nthreads = 3\n"
    assert "[paths]" in config.read_text()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other.toml").write_text("other")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mvrec-edge.toml").symlink_to(tmp_path / "other.toml")
    run("init", tmp_path / "a", "--overwrite")
    assert (tmp_path / "other.toml").read_text() == "other"
    assert (tmp_path / "a" / "mvrec-edge.toml.old").is_symlink()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "labelled").symlink_to(tmp_path / "elsewhere")
    assert "is not a folder" in run("init", tmp_path / "b", "--overwrite", code=6).stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [item.name for item in (tmp_path / "b").iterdir()] == ["labelled"]


@pytest.mark.parametrize("blocked", ["labelled", "mvrec-edge.toml", "."])
def test_what_stands_in_the_way_is_named_before_anything_changes(tmp_path: Path, blocked: str) -> None:
    folder = tmp_path / "a"
    if blocked == "mvrec-edge.toml":
        (folder / blocked).mkdir(parents=True)
    elif blocked == "labelled":
        folder.mkdir()
        (folder / blocked).write_text("a list of labels")
    else:
        folder.write_text("a file")
    before = tree(tmp_path)
    result = run("init", folder, "--overwrite", code=6)
    assert str(folder / blocked) in result.stderr
    assert tree(tmp_path) == before


def test_examples_are_not_mixed_with_ones_own_images(tmp_path: Path) -> None:
    (tmp_path / "labelled" / "hole").mkdir(parents=True)
    (tmp_path / "labelled" / "hole" / "a.jpg").write_bytes(b"a")
    result = run("init", tmp_path, "--examples", "--overwrite", code=6)
    assert "holds files already" in result.stderr
    assert set(tree(tmp_path)) == {"labelled/hole/a.jpg"}


def test_the_examples_are_a_few_small_images_of_every_class(made: Path) -> None:
    labelled = open_source(made / "labelled")
    assert Counter(image.annotations[0].label for image in labelled) == dict.fromkeys(HELD_OUT_FAMILIES, 5)
    incoming = open_source(made / "incoming")
    assert [image.id for image in incoming] == INCOMING
    assert not labelled.problems
    assert not incoming.problems
    assert "The images in this folder are rendered" in (made / "README.md").read_text()
    assert sum(path.stat().st_size for path in made.rglob("*.[jp]*g")) < 4e6


# --config


def test_relative_paths_begin_at_the_folder_of_the_file(line: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = run("classify", "--config", "../line/mvrec-edge.toml", cwd=elsewhere)
    assert "6 regions on 6 images" in result.stderr
    assert len(labels(line / "results" / "results.jsonl")) == 6
    assert list(elsewhere.iterdir()) == []


def test_the_command_line_comes_first_then_the_file_then_the_default(line: Path) -> None:
    config = line / "mvrec-edge.toml"
    cache = SupportCache.load(line / "line.safetensors")
    assert (cache.view_plan.count, cache.shots) == (27, None)
    config.write_text(config.read_text().replace('view_recipe = "mso"', 'view_recipe = "ms"\nshots = 2', 1))
    run("calibrate", "--config", config, "--overwrite")
    cache = SupportCache.load(line / "line.safetensors")
    assert (cache.view_plan.count, cache.shots, cache.seed) == (3, 2, 0)
    run("calibrate", "--view-recipe", "mf", "--config", config, "--shots", 1, "--out", line / "own.safetensors")
    cache = SupportCache.load(line / "own.safetensors")
    assert (cache.view_plan.count, cache.shots) == (5, 1)


def test_given_arguments_come_before_those_of_the_file(line: Path) -> None:
    config = line / "mvrec-edge.toml"
    first = line / "incoming" / INCOMING[0]
    one = run("classify", "--config", config, first, "--out", line / "one.jsonl")
    assert "1 region on 1 image" in one.stderr
    (line / "line.safetensors").rename(line / "moved.safetensors")
    run("classify", "--config", config, line / "moved.safetensors", first, "--out", line / "2.jsonl")
    everything = (line / "encoder.bundle", line / "moved.safetensors", line / "incoming")
    run("classify", *everything, "--config", config, "--out", line / "3.jsonl")
    assert labels(line / "one.jsonl") == labels(line / "2.jsonl") == labels(line / "3.jsonl")[:1]
    assert "line.safetensors" in run("classify", "--config", config, code=3).stderr


def test_random_weights_come_before_the_checkpoint_of_the_file(tmp_path: Path) -> None:
    run("init", tmp_path / "a")
    words = ("export", "--config", "mvrec-edge.toml")
    # The sizes of the pocket encoder: the largest that is traced in no time.
    run(*words, "--random-weights", "pocket", "--out", "random.bundle", cwd=tmp_path / "a")
    assert Bundle.load(tmp_path / "a" / "random.bundle").weights.is_random
    # And the other way round.
    (tmp_path / "a" / "c.toml").write_text("[export]\nrandom_weights = 'pocket'\n")
    run("export", "pocket", "--config", "c.toml", "--out", "pocket.bundle", cwd=tmp_path / "a")
    assert not Bundle.load(tmp_path / "a" / "pocket.bundle").weights.is_random
    # Who writes both on one line, or both into one file, has to choose.
    (tmp_path / "a" / "c.toml").write_text("[export]\nrandom_weights = 'pocket'\ncheckpoint = 'pocket'\n")
    for both in (("pocket", "--random-weights", "pocket"), ("--config", "c.toml")):
        said = error_line(run("export", *both, "--out", "both.bundle", cwd=tmp_path / "a", code=2))
        assert "give either a CHECKPOINT or --random-weights" in said


def test_features_come_before_the_sets_of_the_file(made: Path, tmp_path: Path) -> None:
    """The file of `init` names a bundle and a support; nothing reads either here."""
    missing = tmp_path / "features.safetensors"
    said = error_line(run("evaluate", "--config", "mvrec-edge.toml", "--features", missing, code=3, cwd=made))
    assert str(missing) in said
    (tmp_path / "c.toml").write_text("[evaluate]\nfeatures = 'features.safetensors'\n")
    said = error_line(run("evaluate", "no.bundle", "labelled", "--config", tmp_path / "c.toml", code=3, cwd=made))
    assert "no.bundle" in said


def test_a_switch_of_the_file_and_its_opposite(line: Path) -> None:
    config = line / "c.toml"
    config.write_text(
        f"[paths]\nbundle = 'encoder.bundle'\ncache = 'line.safetensors'\n[engine]\n{QUICK}"
        f"[classify]\ninputs = ['incoming/{INCOMING[0]}', 'incoming/{INCOMING[-1]}']\ntable = true\nneighbours = 0\n"
    )
    assert "probability" in run("classify", "--config", config).stdout
    records = [json.loads(text) for text in run("classify", "--config", config, "--jsonl").stdout.splitlines()]
    assert len(records) == 2
    assert all(record["nearest"] == [] for record in records)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "[classify]\nneighbors = 2\n",
            2,
            "c.toml: [classify] has no setting 'neighbors' (did you mean 'neighbours'?)",
        ),
        ("[clasify]\n", 2, "c.toml: there is no table [clasify] (did you mean [classify]?)"),
        ("[engine]\nthreads = 'two'\n", 2, "[engine] 'threads' is the text 'two', and a whole number is wanted"),
        ("[engine]\nengine = 'abacus'\n", 2, "onnxruntime"),
        ("[classify]\noverwrite = true\n", 2, "give --overwrite on the command line"),
        ("[classify\n", 3, "c.toml: is not valid TOML"),
        ("[paths]\ncache = 'none'\n", 3, "none"),
        (None, 3, "c.toml: there is no such config file"),
    ],
)
def test_mistakes_in_a_config_file(line: Path, text: str | None, code: int, message: str) -> None:
    if text is not None:
        (line / "c.toml").write_text(text)
    cache = () if text is not None and "cache" in text else ("line.safetensors",)
    result = run("classify", "encoder.bundle", *cache, "incoming", "--config", "c.toml", code=code, cwd=line)
    assert message in error_line(result)
    assert result.stdout == ""


def test_what_neither_the_file_nor_the_command_line_gives_is_still_asked_for(line: Path) -> None:
    (line / "c.toml").write_text("[paths]\nbundle = 'encoder.bundle'\n")
    for name, words in (("CACHE", ("classify",)), ("--out", ("calibrate", "labelled"))):
        said = error_line(run(*words, "--config", "c.toml", code=2, cwd=line))
        assert f"{name} is neither on the command line nor in the config file" in said


def test_the_help_is_shown_whatever_the_file(tmp_path: Path) -> None:
    for command in ("calibrate", "classify", "evaluate"):
        shown = run(command, "--config", tmp_path / "none.toml", "--help").stdout
        assert "--config" in shown
        assert "Example: mvrec-edge" in shown
    assert "--config" not in run("init", "--help").stdout
