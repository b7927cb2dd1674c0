"""A campaign: many numbered trials of one property, each of which can be done again by its number."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

#: Findings that are kept word for word; the others are counted.
_KEPT = 50


@dataclass(frozen=True)
class Finding:
    """A trial in which the property did not hold.

    Attributes:
        trial: The number of the trial: `python -m tests.harness NAME --trial NUMBER` does it again.
        what: What was seen, in one line.
    """

    trial: int
    what: str


@dataclass
class Tally:
    """What some trials of a campaign came to.

    Attributes:
        trials: How many were done.
        findings: Those in which the property did not hold.
        counts: What is counted beside, such as the trials of each format; added up.
        peaks: The largest of what is measured beside, such as memory in MB.
    """

    trials: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, float] = field(default_factory=dict)

    def peak(self, name: str, value: float) -> None:
        """Notes a measured value, of which the largest stays."""
        self.peaks[name] = max(value, self.peaks.get(name, value))

    def add(self, other: Tally) -> None:
        """Takes in what further trials came to."""
        self.trials += other.trials
        self.findings += other.findings
        self.counts += other.counts
        for name, value in other.peaks.items():
            self.peak(name, value)

    def payload(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "trials": self.trials,
            "findings": len(self.findings),
            "first_findings": [[each.trial, each.what] for each in self.findings[:_KEPT]],
            "counts": dict(sorted(self.counts.items())),
            "peaks": {name: round(value, 3) for name, value in sorted(self.peaks.items())},
        }


class Campaign(ABC):
    """Many trials of one property. A trial depends on its number alone, so that each can be done again.

    Attributes:
        name: Its name on the command line and in the results.
        goal: What must hold, in one line.
        short: How many trials CI does.
        full: How many `make harness` does.
        chunk: How many are done between two looks at the clock and two notes of what was done.
        at_once: How many processes may share the trials.
    """

    name: ClassVar[str]
    goal: ClassVar[str]
    short: ClassVar[int]
    full: ClassVar[int]
    chunk: ClassVar[int] = 1000
    at_once: ClassVar[int] = 2

    def amount(self, *, full: bool) -> int:
        """How many trials there are. Campaigns that try every place of something count the places here."""
        return self.full if full else self.short

    def needs(self) -> str | None:
        """What it needs and this machine lacks, as the reason of a skipped test; None where it can run."""
        return None

    @abstractmethod
    def run(self, trials: range, folder: Path) -> Tally:
        """Does some trials.

        Args:
            trials: Their numbers, from 0.
            folder: An empty folder, for files.
        """


def chunks(trials: range, size: int) -> Iterator[range]:
    """Cuts a range into ranges of at most `size`."""
    for start in range(trials.start, trials.stop, size):
        yield range(start, min(trials.stop, start + size))


def run_for(campaign: Campaign, trials: range, folder: Path, seconds: float) -> Tally:
    """Does trials until all are done or the time is up; how many were done is in the tally."""
    tally, end = Tally(), time.monotonic() + seconds
    for number, part in enumerate(chunks(trials, campaign.chunk)):
        if time.monotonic() >= end:
            break
        place = folder / str(number)
        place.mkdir(parents=True)
        tally.add(campaign.run(part, place))
    return tally


def loaded(payload: dict[str, Any]) -> Tally:
    """The tally of what `Tally.payload` gave; findings that were only counted come back without words."""
    findings = [Finding(trial, what) for trial, what in payload["first_findings"]]
    findings += [Finding(-1, "not kept")] * (payload["findings"] - len(findings))
    return Tally(payload["trials"], findings, Counter(payload["counts"]), dict(payload["peaks"]))


def written(tally: Tally) -> str:
    """A tally as a text of JSON."""
    return json.dumps(tally.payload(), indent=1)
