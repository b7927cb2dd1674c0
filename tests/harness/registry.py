"""The campaigns, by name."""

from __future__ import annotations

from tests.harness.campaign import Campaign


def campaigns() -> dict[str, Campaign]:
    """All campaigns by name, in the order in which they run."""
    return {campaign.name: campaign for campaign in _all()}


def _all() -> list[Campaign]:
    from tests.harness.sharing.campaign import Sharing
    from tests.harness.soak.campaign import Soak
    from tests.harness.tampering.copied import CopiedOver
    from tests.harness.tampering.swapped import SwappedFiles

    return [
        Sharing(),
        Soak(),
        SwappedFiles(),
        CopiedOver(),
    ]
