"""Numbers in sentences."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.wording import counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "region", "0 regions"),
        (1, "region", "1 region"),
        (2, "region", "2 regions"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (3, "support instance", "3 support instances"),
        (2, "box", "2 boxes"),
        (2, "patch", "2 patches"),
    ],
)
def test_a_noun_follows_its_number(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text
