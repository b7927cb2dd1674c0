"""Which head a support cache was made for, and its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mvrec_edge.runtime.files.json_documents import Fields

__all__ = ["LARGEST_PARAMETER", "SMALLEST_PARAMETER", "HeadSettings"]

#: Bounds of a head's beta and temperature.
SMALLEST_PARAMETER, LARGEST_PARAMETER = 1e-6, 1e6

_MOST_EXPERTS = 8


@dataclass(frozen=True)
class HeadSettings:
    """Which head a cache was made for, and its parameters.

    Attributes:
        name: `"zip"`, `"zip-c"`, `"zip-f"`, `"zip-w"`, `"zip-vw"` or `"average"`.
        beta: Sharpness of the similarity, 1e-6 to 1e6.
        aggregate: `"uncertainty"` or `"mean"`.
        temperature: Divides the logits before the softmax, 1e-6 to 1e6.
        experts: Of `"average"`, the heads that are averaged, each with its own temperature; else none.
    """

    name: str = "zip"
    beta: float = 32.0
    aggregate: str = "uncertainty"
    temperature: float = 1.0
    experts: tuple[HeadSettings, ...] = ()

    def __str__(self) -> str:
        if self.experts:
            return f"{self.name} of {', '.join(expert.name for expert in self.experts)}"
        return f"{self.name}, beta {self.beta:g}, {self.aggregate}"

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types; without experts where there are none, as earlier versions wrote it."""
        described = {
            "name": self.name,
            "beta": self.beta,
            "aggregate": self.aggregate,
            "temperature": self.temperature,
        }
        return described | ({"experts": [expert.to_dict() for expert in self.experts]} if self.experts else {})

    @classmethod
    def from_fields(cls, fields: Fields, *, expert: bool = False) -> HeadSettings:
        """Reads what `to_dict` gave.

        Args:
            fields: The description of a head.
            expert: Whether it is that of an expert, which has none of its own.

        Raises:
            IntegrityError: A value is missing, of another type, or out of bounds.
        """
        held = "experts" in fields.payload and not expert
        experts = fields.objects("experts", most=_MOST_EXPERTS) if held else []
        return cls(
            name=fields.text("name", longest=64),
            beta=fields.number("beta", SMALLEST_PARAMETER, LARGEST_PARAMETER),
            aggregate=fields.choice("aggregate", "uncertainty", "mean"),
            temperature=fields.number("temperature", SMALLEST_PARAMETER, LARGEST_PARAMETER),
            experts=tuple(cls.from_fields(each, expert=True) for each in experts),
        )
