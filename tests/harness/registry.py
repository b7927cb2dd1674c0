"""The campaigns, by name."""

from __future__ import annotations

from tests.harness.campaign import Campaign


def campaigns() -> dict[str, Campaign]:
    """All campaigns by name, in the order in which they run."""
    return {campaign.name: campaign for campaign in _all()}


def _all() -> list[Campaign]:
    from tests.harness.faults.campaign import Faults
    from tests.harness.faults.crashes import Crashes
    from tests.harness.kills.campaign import Kills

    return [
        Faults(),
        Crashes(),
        Kills(),
    ]
