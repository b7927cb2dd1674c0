"""The campaigns, by name."""

from __future__ import annotations

from tests.harness.campaign import Campaign


def campaigns() -> dict[str, Campaign]:
    """All campaigns by name, in the order in which they run: the longest first, so that no core is idle at the end."""
    return {campaign.name: campaign for campaign in _all()}


def _all() -> list[Campaign]:
    from tests.harness.faults.campaign import Faults
    from tests.harness.faults.crashes import Crashes
    from tests.harness.images.campaigns import DamagedImages, ImageIndependence
    from tests.harness.kills.campaign import Kills
    from tests.harness.messages.campaign import Messages
    from tests.harness.messages.terminal import TerminalEscapes
    from tests.harness.parsers.outside import OutsideImages, OutsideLabels, OutsideTensors
    from tests.harness.parsers.own_files import OwnFiles
    from tests.harness.sharing.campaign import Sharing
    from tests.harness.soak.campaign import Soak
    from tests.harness.tampering.copied import CopiedOver
    from tests.harness.tampering.swapped import SwappedFiles
    from tests.harness.tampering.tampered import Tampering

    return [
        Soak(),
        OwnFiles(),
        OutsideLabels(),
        OutsideImages(),
        OutsideTensors(),
        Faults(),
        Crashes(),
        Kills(),
        Tampering(),
        SwappedFiles(),
        CopiedOver(),
        Sharing(),
        DamagedImages(),
        ImageIndependence(),
        Messages(),
        TerminalEscapes(),
    ]
