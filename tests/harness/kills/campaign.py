"""kill -9 at random moments, and `--resume` in between: the end is that of a run that nobody killed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.faults.campaign import Bases, what_is_wrong, what_is_wrong_afterwards
from tests.harness.faults.cases import CASES, Case
from tests.harness.faults.shim import KILL_BEFORE, Runner, Upset, runner

__all__ = ["Kills"]

#: Most kills in a chain.
_MOST = 4
_NAMES = (
    "classify",
    "classify --resume",
    "classify --overwrite",
    "calibrate --overwrite",
    "support add",
    "support rename",
)


class Kills(Campaign):
    """A command is killed at a random moment, the next one too, and the last one is left alone."""

    name = "kills"
    goal = "kill -9 at random moments: nothing torn or lost, and chains of --resume end as an uninterrupted run"
    short = 60
    full = 2000
    chunk = 60
    at_once = 1

    def run(self, trials: range, folder: Path) -> Tally:
        tally = Tally()
        cases = [case for case in CASES if case.name in _NAMES]
        with runner(under_shim=False) as run:
            bases = Bases(run, folder)
            for number in trials:
                chance = random.Random(number)
                # Half of them are runs of `classify`, which take longest and leave most.
                case = chance.choice([*cases, *cases[:3]])
                wrong, kills = _chain(run, bases, case, chance, folder / "trial")
                tally.trials += 1
                tally.counts[case.name] += 1
                tally.counts["processes killed"] += kills
                tally.findings += [Finding(number, f"{case.name}: {each}") for each in wrong]
        return tally


def _chain(run: Runner, bases: Bases, case: Case, chance: random.Random, folder: Path) -> tuple[list[str], int]:
    """What did not hold, and how many processes were killed before they had ended."""
    before, after, undisturbed = bases.of(case)
    place, kills = folder / "w", 0
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, place, symlinks=True)
    arguments = case.arguments
    # A change of a cache is made once.
    for number in range(1 if case.states else chance.randint(1, _MOST)):
        earlier = folder / f"before-{number}"
        shutil.copytree(place, earlier, symlinks=True)
        moment = chance.uniform(0, 1.1 * undisturbed.seconds * 1000)
        ended = run.run(arguments, place, Upset(after_ms=moment))
        kills += ended.code == -9
        wrong = what_is_wrong(case, earlier, place, ended, KILL_BEFORE)
        if wrong:
            return [f"kill {number + 1} after {moment:.0f} ms: {each}" for each in wrong], kills
        arguments = case.again
    return what_is_wrong_afterwards(run, case, after, place), kills
