"""What a shell is offered for a value, through the protocol of each shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.cli.options import SourceFormat
from mvrec_edge.runtime import SupportCache, ViewPlan
from mvrec_edge.runtime.engines.engine_registry import engine_names
from mvrec_edge.runtime.heads.head_registry import head_names
from mvrec_edge.runtime.regions.opening import SOURCE_FORMATS
from tests.e2e.commands import MVREC_EDGE, run

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What is offered for the last word of a line, which ends in a blank where a new word begins."""

    def offered(line: str, shell: str = "bash") -> list[str]:
        words = f"mvrec-edge {line}"
        monkeypatch.setenv("_MVREC_EDGE_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("COMP_WORDS", words)
        # Blanks within a word are escaped there.
        monkeypatch.setenv("COMP_CWORD", str(len(words.replace("\\ ", "_").split(" ")) - 1))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        result = run()
        assert result.stderr == ""
        return [name for name in result.stdout.splitlines() if name]

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("classify --engine ", [*engine_names()]),
        ("classify --engine open", ["openvino"]),
        ("calibrate --head ", ["auto", *head_names()]),
        ("calibrate bundle labelled --head zip-", ["zip-c", "zip-f", "zip-w", "zip-vw"]),
        ("evaluate --heads auto,zip-", ["auto,zip-c", "auto,zip-f", "auto,zip-w", "auto,zip-vw"]),
        ("classify --format m", ["mvtec-fs"]),
        ("calibrate --format ", ["auto", *SOURCE_FORMATS]),
        ("calibrate --precision ", ["fp32", "fp16", "bf16", "int8"]),
        ("export pocket --precision fp32,", ["fp32,fp16", "fp32,bf16", "fp32,int8"]),
        ("verify b --precision i", ["int8"]),
        ("build b --precision f", ["fp32", "fp16"]),
        ("calibrate --tune-precisions fp32,i", ["fp32,int8"]),
        ("calibrate --view-recipe ms", ["ms", "mso", "msr", "msf", "mso_bbox"]),
        ("export --calibration-view-recipe non", ["none"]),
        ("calibrate --resample ", ["exact", "fast"]),
        ("calibrate --input ", ["mask", "box", "full"]),
        ("calibrate --aggregate ", ["uncertainty", "mean"]),
        ("evaluate --split ", ["region", "image"]),
        ("classify --provider ", ["cpu", "cuda", "tensorrt"]),
        ("classify --views ", ["all", "auto", "cache"]),
        ("classify --empty ", ["skip", "error"]),
        ("verify b --engine onnxruntime:", ["onnxruntime:cpu", "onnxruntime:cuda", "onnxruntime:tensorrt"]),
        ("bench b --engine openvino,onnxruntime:cu", ["openvino,onnxruntime:cuda"]),
        ("classify --engine nonsense", []),
        ("calibrate --format nonsense --head zip-f", ["zip-f"]),
    ],
)
def test_names_of_an_option(complete: Complete, line: str, offered: list[str]) -> None:
    assert complete(line) == offered


@pytest.fixture
def complete_words(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is offered for the last of the words that bash gives; they have their quotes, and line ends between them."""

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("_MVREC_EDGE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("mvrec-edge", *words, "behind the cursor")))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        result = run()
        assert result.stderr == ""
        return [name for name in result.stdout.splitlines() if name]

    return offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("verify", "b", "--engine", "onnxruntime", ":"), ["cpu", "cuda", "tensorrt"]),
        (("verify", "b", "--engine", "onnxruntime", ":", "cu"), ["cuda"]),
        (("verify", "b", "--engine", "onnxruntime:cu"), ["onnxruntime:cuda"]),
        (("verify", "b", "--engine", '"onnxruntime:cu'), ["onnxruntime:cuda"]),
        (("verify", "b", "--engine", "=", "onnxruntime", ":", "cu"), ["cuda"]),
        (("bench", "b", "--engine", "openvino,onnxruntime", ":", "cu"), ["cuda"]),
        (("classify", "--engine", "=", "open"), ["openvino"]),
        (("classify", "--engine", "="), [*engine_names()]),
        (("classify", "--engine", "=", "openvino", "--format", "=", "mv"), ["mvtec-fs"]),
        # A blank behind the colon begins another word.
        (("verify", "b", "--engine", "onnxruntime", ":", "x", "--precision", "fp1"), ["fp16"]),
    ],
)
def test_words_that_bash_splits(
    complete_words: Callable[..., list[str]], words: tuple[str, ...], offered: list[str]
) -> None:
    assert complete_words(*words) == offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (('"crack l',), ["crack long"]),
        (("'crack l",), ["crack long"]),
        (('"',), ["crack", "crack long", "Öl"]),
        (('crack" l',), [" long"]),
        (('"nonsense',), []),
        (('"crack"\\ l',), ["crack\\ long"]),
        (("crack\\ l",), ["crack\\ long"]),
        (("--label", "=", '"crack l'), ["crack long"]),
    ],
)
def test_a_class_in_quotes(
    complete_words: Callable[..., list[str]], cache: Path, typed: tuple[str, ...], offered: list[str]
) -> None:
    """A backslash in quotes would be a part of the name."""
    before = ("support", "add", "line.cache", "p.png", *(() if typed[0] == "--label" else ("--label",)))
    assert complete_words(*before, *typed) == offered


def test_what_bash_splits_at_an_at_sign(complete_words: Callable[..., list[str]], cache: Path, tmp_path: Path) -> None:
    cache.rename(tmp_path / "line@2.cache")
    assert complete_words("support", "rename", "line", "@", "2.cache", "cra") == ["crack", "crack\\ long"]


def test_shells_that_replace_the_whole_word(complete: Complete, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete("classify --engine=open", "fish") == ["--engine=openvino"]
    assert complete("classify --engine=open", "zsh") == ["""_arguments '*: :(("--engine=openvino"))'"""]
    assert complete('support rename line.cache "crack l', "fish") == ["crack long"]
    for typed, offered in (("crack", ["crack", "'crack long'"]), ('"crack l', ['"crack long"'])):
        monkeypatch.setenv("_TYPER_COMPLETE_WORD_TO_COMPLETE", typed)
        shown = complete(f"support rename line.cache {typed}", "powershell")
        assert [line.partition(":::")[0] for line in shown] == offered


def test_both_lists_of_formats_are_one() -> None:
    assert [member.value for member in SourceFormat] == ["auto", *SOURCE_FORMATS]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A support cache in the present folder, whose classes are not all harmless."""
    monkeypatch.chdir(tmp_path)
    names = ("crack", "crack long", "Öl", 'a" ) ; touch x ; ( "', "$(touch x)", "`touch x`", "a;b", "a\\b", "a'b", "a*")
    labels = np.repeat(np.arange(len(names)), 2)
    embeddings = np.eye(16)[labels][:, None]
    plan = ViewPlan.by_name("none", size=56)
    SupportCache.from_embeddings(embeddings, labels, names, view_plan=plan, encoder="e").save(tmp_path / "line.cache")
    return tmp_path / "line.cache"


@pytest.mark.parametrize(
    "line",
    [
        "support rename line.cache ",
        "support add line.cache part.png --label ",
        "support add line.cache part.png -l ",
        "support merge line.cache Öl --into ",
        "support merge line.cache --into Öl ",
    ],
)
def test_the_classes_of_the_cache_on_the_line(complete: Complete, cache: Path, line: str) -> None:
    assert complete(line) == ["crack", "crack\\ long", "Öl"]
    assert complete(line, "fish") == ["crack", "crack long", "Öl"]
    assert complete(line + "Ö") == ["Öl"]
    assert complete(line + "crack\\ l") == ["crack\\ long"]
    assert complete(line, "zsh") == ["""_arguments '*: :(("crack\"""", '"crack long"', """"Öl"))'"""]


def test_a_cache_in_the_home_folder(complete: Complete, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(cache.parent))
    assert complete("support rename ~/line.cache cra") == ["crack", "crack\\ long"]


def test_a_cache_that_the_config_file_names(complete: Complete, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "line.toml").write_text('[support.add]\ncache = "line.cache"\n')
    assert complete("support add --config line.toml --label cra") == ["crack", "crack\\ long"]
    assert complete("support add --config line.toml part.png --label cra") == ["crack", "crack\\ long"]


def test_what_cannot_be_read_offers_nothing_and_says_nothing(complete: Complete, cache: Path) -> None:
    cache.write_bytes(b"no cache")
    assert complete("support rename line.cache ") == []
    assert complete("support rename missing.cache ") == []
    assert complete("support add --label ") == []
    assert complete("support add --config missing.toml --label ") == []
    # Without --into the others are files, which the shell offers.
    assert complete("support merge line.cache ") == []


def test_an_old_name_on_the_line_is_not_told_off(complete: Complete) -> None:
    assert complete("calibrate --views mso --head zip-f") == ["zip-f"]


def test_bash_itself_takes_what_is_offered(cache: Path) -> None:
    script = (
        'eval "$(_MVREC_EDGE_COMPLETE=source_bash "$0")"\n'
        'COMP_WORDS=("$0" support rename line.cache "crack\\ l"); COMP_CWORD=4\n'
        '_mvrec_edge_completion "$0"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("_MVREC")}
    call = ["bash", "--norc", "-c", script, str(MVREC_EDGE)]
    ended = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
    assert (ended.stdout, ended.stderr) == ("crack\\ long\n", "")
