"""The bounded part of the harness: the first trials of every campaign, as many as fit into CI.

`make harness-short` runs it; `make harness` runs all trials.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.campaign import run_for
from tests.harness.registry import campaigns

pytestmark = pytest.mark.harness

#: Of one share of one campaign; a machine that is slower does fewer trials.
_SECONDS = 90.0

_SHARES = [
    pytest.param(name, share, campaign.at_once, id=f"{name}-{share}")
    for name, campaign in campaigns().items()
    for share in range(campaign.at_once)
]


@pytest.mark.parametrize(("name", "share", "shares"), _SHARES)
def test_the_first_trials_find_nothing(
    name: str, share: int, shares: int, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    campaign = campaigns()[name]
    if (reason := campaign.needs()) is not None:
        pytest.skip(reason)
    amount = campaign.amount(full=False)
    trials = range(amount * share // shares, amount * (share + 1) // shares)
    tally = run_for(campaign, trials, tmp_path, _SECONDS)
    record_property("trials", tally.trials)
    assert tally.trials > 0
    assert tally.findings == [], f"python -m tests.harness {name} --trial N does trial N again"
