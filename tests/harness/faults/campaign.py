"""Faults and kills at every call that changes a file, in every command that writes."""

from __future__ import annotations

import errno
import functools
import itertools
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.faults.cases import CASES, Case, broken, leftovers, lost, make_base, records, snapshot, told
from tests.harness.faults.shim import Ended, Runner, Upset, compiler, runner

__all__ = ["Faults"]

FAIL_ONCE, FAIL_EVER, KILL_BEFORE, KILL_AFTER, KILL_HALF, SHORT = range(1, 7)
_KILLS = (KILL_BEFORE, KILL_AFTER, KILL_HALF)

#: What happens at a call. The first are those of CI.
KINDS = (
    ("a full disk, once", FAIL_ONCE, errno.ENOSPC),
    ("killed after half of it", KILL_HALF, 0),
    ("killed before", KILL_BEFORE, 0),
    ("a full disk, from then on", FAIL_EVER, errno.ENOSPC),
    ("an I/O error, once", FAIL_ONCE, errno.EIO),
    ("an I/O error, from then on", FAIL_EVER, errno.EIO),
    ("a quota, once", FAIL_ONCE, errno.EDQUOT),
    ("an interrupted call", FAIL_ONCE, errno.EINTR),
    ("killed after", KILL_AFTER, 0),
    ("half of it written", SHORT, 0),
)
_OF_CI, _KINDS_OF_CI = 2, 2
#: Exit codes of a command that could not do its work, and said so: of these, 1 is one failed item.
_SAID = (1, 5, 6)


@dataclass(frozen=True)
class _Trial:
    case: Case
    number: int
    kind: int


class Bases:
    """The folders from which trials start, and how the commands end in them undisturbed."""

    def __init__(self, run: Runner, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._base = folder / "base" / "w"
        self._base.mkdir(parents=True)
        make_base(run, self._base)
        self._of: dict[str, tuple[Path, Path, Ended]] = {}

    def of(self, case: Case) -> tuple[Path, Path, Ended]:
        """The folder before the command, the one after it, and how it ended."""
        if case.name not in self._of:
            place = self._folder / case.name.replace(" ", "_")
            before, after = place / "before" / "w", place / "after" / "w"
            shutil.copytree(self._base, before, symlinks=True)
            case.before(self._run, before)
            shutil.copytree(before, after, symlinks=True)
            ended = self._run.run(case.arguments, after)
            if ended.code not in (0, 1):
                raise RuntimeError(f"{case.name} ends with {ended.code} undisturbed: {ended.stderr}")
            self._of[case.name] = before, after, ended
        return self._of[case.name]


class Faults(Campaign):
    """Each call that changes a file fails or is the last one, in every way; and the next run makes everything good."""

    name = "faults"
    goal = "a fault or kill at every write, fsync, rename, open: nothing torn, nothing lost, and the next run succeeds"
    short = 0
    full = 0
    chunk = 75
    at_once = 1

    def needs(self) -> str | None:
        return None if compiler() else "no C compiler to build the shim that makes calls fail"

    def amount(self, *, full: bool) -> int:
        return len(_trials() if full else _trials_of_ci())

    def run(self, trials: range, folder: Path) -> Tally:
        tally, chosen = Tally(), _trials_of_ci()
        if trials.stop > len(chosen):
            chosen = _trials()
        with runner() as run:
            bases = Bases(run, folder)
            for number in trials:
                trial = chosen[number]
                wrong = try_once(run, bases, trial.case, trial.number, trial.kind, folder / "trial")
                tally.trials += 1
                tally.counts[trial.case.name] += 1
                title = f"{trial.case.name}, call {trial.number}, {KINDS[trial.kind][0]}"
                tally.findings += [Finding(number, f"{title}: {each}") for each in wrong]
        return tally


@functools.cache
def _trials_of_ci() -> list[_Trial]:
    return _trials_of(itertools.product(CASES[:_OF_CI], range(_KINDS_OF_CI)))


@functools.cache
def _trials() -> list[_Trial]:
    """All trials, those of CI first."""
    first = set(itertools.product(CASES[:_OF_CI], range(_KINDS_OF_CI)))
    every = itertools.product(CASES, range(len(KINDS)))
    return [*_trials_of_ci(), *_trials_of(pair for pair in every if pair not in first)]


def _trials_of(pairs: Iterable[tuple[Case, int]]) -> list[_Trial]:
    """One trial for each call of a command, in each way."""
    pairs = list(pairs)
    with runner() as run, tempfile.TemporaryDirectory() as folder:
        bases = Bases(run, Path(folder))
        calls = {case.name: bases.of(case)[2].calls for case in dict.fromkeys(case for case, _ in pairs)}
    return [_Trial(case, number, kind) for case, kind in pairs for number in range(1, calls[case.name] + 1)]


def try_once(run: Runner, bases: Bases, case: Case, number: int, kind: int, folder: Path) -> list[str]:
    """One command with one fault, and the next one after it; what did not hold."""
    before, after, _ = bases.of(case)
    _, how, error = KINDS[kind]
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "w"
    shutil.copytree(before, place, symlinks=True)
    ended = run.run(case.arguments, place, Upset(number, how, error))
    wrong = what_is_wrong(case, before, place, ended, how)
    return wrong or what_is_wrong_afterwards(run, case, after, place)


def what_is_wrong(case: Case, before: Path, place: Path, ended: Ended, how: int) -> list[str]:
    """What did not hold right after the fault."""
    killed = how in _KILLS
    wrong = lost(snapshot(before), place, before, case)
    wrong += broken(place, killed=killed or ended.code < 0, before=before)
    if ended.code < 0:
        return wrong if ended.code == -9 and killed else [*wrong, f"ended by signal {-ended.code}"]
    # What a disk that takes nothing any more does not remove either, the next run removes.
    wrong += [each for each in leftovers(place) if not each.endswith(".claim")] if how != FAIL_EVER else []
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    if "Traceback" in ended.stderr or (ended.code not in (0, *_SAID)):
        wrong.append(f"exit code {ended.code}: {ended.stderr[-300:]}")
    if len(lines) != (ended.code in (5, 6)):
        wrong.append(f"{len(lines)} error lines, exit code {ended.code}: {ended.stderr[-300:]}")
    return wrong


def what_is_wrong_afterwards(run: Runner, case: Case, after: Path, place: Path) -> list[str]:
    """What did not hold after the next run of the command."""
    states = [(name, snapshot(place)[name], snapshot(after)[name]) for name in case.states]
    done = bool(states) and all(now == new for _, now, new in states)
    ended = run.run(case.again, place)
    # A change that was made already may be refused, and then nothing is to be made good.
    if ended.code not in (0, 1) and not (done and ended.code in (2, 3, 7)):
        return [f"the next run ends with {ended.code}: {ended.stderr[-300:]}"]
    wrong = [*broken(place, killed=False), *leftovers(place)]
    now = snapshot(place)
    wrong += [f"not as without the fault: {name}" for name, _, new in states if not done and now[name] != new]
    if told(records(place / "o/r.jsonl")) != told(records(after / "o/r.jsonl")):
        wrong.append("other records than without the fault")
    if (missing := set(snapshot(after)) - set(now)) and not done:
        wrong.append(f"missing after the next run: {sorted(missing)[:5]}")
    return wrong
