"""Every documented error, through the command line: its exit code, and its one line."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.commands import run
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.messages.sites import ERRORS, all_sites, watched
from tests.harness.messages.triggers import TRIGGERS, Trigger, write_line

__all__ = ["Messages"]

# Errors that need a machine, a library or data that cannot be arranged in a folder; they have unit tests.
_ELSEWHERE = {
    "EnvironmentUnfitError": "tests/unit/runtime/images/test_libraries.py",
    "MissingDependencyError": "tests/unit/runtime/engines",
    "BrokenDependencyError": "tests/unit/runtime/engines",
    "FingerprintMismatchError": "tests/e2e/test_command_line.py",
    "CheckpointError": "tests/e2e/test_checkpoints.py",
}

_ITEMS_FAILED = 1
_DOCS = Path(__file__).resolve().parents[3] / "docs"
_RUN_BY_THE_DOCS = "bring-your-own-defects"


class Messages(Campaign):
    """Each trial is one trigger."""

    name = "messages"
    goal = "every kind of error ends with its exit code and one line that says what, where and what to do"
    short = full = len(TRIGGERS)
    chunk = len(TRIGGERS)
    at_once = 1

    def run(self, trials: range, folder: Path) -> Tally:
        """Runs each call in a folder of its own, within this process."""
        tally = Tally()
        template = folder / "template"
        template.mkdir(parents=True)
        with _own_cache(folder), _in(template), watched() as seen:
            write_line(template, run)
            seen.clear()
            for trial in trials:
                place = folder / str(trial)
                shutil.copytree(template, place, symlinks=True)
                with _in(place):
                    wrong = _wrong(TRIGGERS[trial])
                shutil.rmtree(place)
                tally.trials += 1
                tally.counts[f"exit code {TRIGGERS[trial].code}"] += 1
                if wrong is not None:
                    tally.findings.append(Finding(trial, f"{TRIGGERS[trial].words}: {wrong}"))
        sites = all_sites()
        kinds = {sites[site] for site in seen if site in sites}
        tally.counts["places where errors are made"] = len(sites)
        tally.counts["of them come by"] = len(seen & sites.keys())
        if len(trials) == len(TRIGGERS):
            missing = [f"no trigger raises {kind}" for kind in sorted(ERRORS.keys() - kinds - _ELSEWHERE.keys())]
            missing += [f"no trigger says what a page says: {line}" for line in _documented()]
            tally.findings += [Finding(-1, what) for what in missing]
        return tally


def _wrong(trigger: Trigger) -> str | None:
    """What is not as it should be of how a call ends; None where all is."""
    trigger.prepare()
    try:
        ended = run(*shlex.split(trigger.words), code=trigger.code)
    except AssertionError as error:
        return " ".join(str(error).split())[:300]
    printed = ended.stderr.splitlines()
    pieces = (trigger.said,) if isinstance(trigger.said, str) else trigger.said
    beginning = "error: " if trigger.code != _ITEMS_FAILED else "skipped: "
    lines = [line for line in printed if line.startswith(beginning)]
    # A word that the library of the command line does not know is said in its own frame.
    searched = lines or ([" ".join(ended.stderr.split())] if "Usage: " in ended.stderr else [])
    for piece in pieces:
        if sum(piece in line for line in searched) != 1:
            return f"does not say '{piece}' once, but {ended.stderr[-600:]!r}"
    if trigger.code != _ITEMS_FAILED and lines and (len(lines) != 1 or printed[-1] != lines[0]):
        return f"the error is not one line, the last: {printed}"
    return None


def _documented() -> list[str]:
    """Messages on pages whose examples are not run by `tests/docs`, and that no trigger has."""
    pieces = [piece for each in TRIGGERS for piece in ((each.said,) if isinstance(each.said, str) else each.said)]
    pages = [page for page in _DOCS.rglob("*.md") if _RUN_BY_THE_DOCS not in str(page)]
    lines = [line for page in pages for line in page.read_text("utf-8").splitlines()]
    said = [line for line in lines if line.startswith(("error: ", "skipped: "))]
    return [line for line in said if not any(piece in line for piece in pieces)]


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Keeps what is measured out of the user's cache folder."""
    before = os.environ.get("MVREC_EDGE_CACHE")
    os.environ["MVREC_EDGE_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        os.environ.pop("MVREC_EDGE_CACHE")
        if before is not None:
            os.environ["MVREC_EDGE_CACHE"] = before
