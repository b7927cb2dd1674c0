"""`make harness`: all trials of all campaigns, taken up where an earlier call ended.

    python -m tests.harness                          all campaigns
    python -m tests.harness parsers --seconds 600    one of them, for ten minutes
    python -m tests.harness parsers --trial 4711     one trial once more

What was done is kept in `.harness/`, a file for each campaign; `--results FILE` writes all of it as one file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._machine import write_result
from tests.harness.campaign import Campaign, Tally, chunks, loaded, written
from tests.harness.registry import campaigns

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Parses, runs, prints; the exit code is 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="the campaigns; by default all")
    parser.add_argument("--trial", type=int, help="do this trial alone once more, and keep its files")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the time for each campaign")
    parser.add_argument("--state", type=Path, default=REPOSITORY / ".harness", help="where what was done is kept")
    parser.add_argument("--anew", action="store_true", help="begin with the first trial, whatever was done")
    parser.add_argument("--results", type=Path, help="write what was done so far to this file")
    options = parser.parse_args()
    known = campaigns()
    if strange := [name for name in options.names if name not in known]:
        parser.error(f"there is no campaign '{strange[0]}'; there are: {', '.join(known)}")
    chosen = [known[name] for name in options.names or known]
    if options.trial is not None:
        return _once_more(chosen, options.trial)
    options.state.mkdir(exist_ok=True)
    found = 0
    for campaign in chosen:
        if (reason := campaign.needs()) is not None:
            print(f"{campaign.name}: left out: {reason}")
            continue
        tally = _campaign(campaign, options.state, options.seconds, anew=options.anew)
        found += len(tally.findings)
    if options.results is not None:
        write_result(options.results, "What does the harness find, in how many trials?", _results(known, options.state))
    return 1 if found else 0


def _once_more(chosen: list[Campaign], trial: int) -> int:
    found = 0
    for campaign in chosen:
        folder = Path(tempfile.mkdtemp(prefix=f"{campaign.name}-{trial}-"))
        tally = campaign.run(range(trial, trial + 1), folder)
        for finding in tally.findings:
            print(f"{campaign.name} {finding.trial}: {finding.what}")
        print(f"{campaign.name}: {len(tally.findings)} found; the files are in {folder}")
        found += len(tally.findings)
    return 1 if found else 0


def _campaign(campaign: Campaign, state: Path, seconds: float, *, anew: bool) -> Tally:
    """Does what is left of a campaign, as far as the time goes, and notes after each round what was done."""
    file = state / f"{campaign.name}.json"
    tally = Tally() if anew or not file.exists() else loaded(json.loads(file.read_text("utf-8")))
    amount, begin = campaign.amount(full=True), time.monotonic()
    workers = min(campaign.at_once, os.cpu_count() or 1)
    before = tally.trials
    with ProcessPoolExecutor(workers) as pool:
        left = chunks(range(before, amount), campaign.chunk)
        while time.monotonic() - begin < seconds and (round_ := list(itertools.islice(left, workers))):
            for part in pool.map(_part, [campaign.name] * len(round_), round_):
                for finding in part.findings:
                    print(f"\n{campaign.name} {finding.trial}: {finding.what}")
                tally.add(part)
            file.write_text(written(tally), "utf-8")
            _say(campaign, tally, before, amount, time.monotonic() - begin)
    print()
    return tally


def _part(name: str, trials: range) -> Tally:
    folder = Path(tempfile.mkdtemp(prefix="harness-"))
    try:
        return campaigns()[name].run(trials, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(campaign: Campaign, tally: Tally, before: int, amount: int, seconds: float) -> None:
    done = tally.trials - before
    left = (amount - tally.trials) * seconds / done if done else 0.0
    line = f"{campaign.name}: {tally.trials:,} of {amount:,}, {len(tally.findings)} found, {left / 60:.0f} min left"
    print(f"\r{line:<78}", end="", file=sys.stderr, flush=True)


def _results(known: dict[str, Campaign], state: Path) -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "campaigns": {
            name: {"goal": campaign.goal, "wanted": campaign.amount(full=True), **json.loads(file.read_text("utf-8"))}
            for name, campaign in known.items()
            if (file := state / f"{name}.json").exists()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
