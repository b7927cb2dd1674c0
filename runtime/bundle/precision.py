"""The precisions a graph may have, and how close to the float32 module each must stay."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.errors import UsageError

__all__ = ["PRECISIONS", "PrecisionLimits", "limits_of", "parse_precisions"]

#: From the most exact to the coarsest, as they are named on the command line.
PRECISIONS = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class PrecisionLimits:
    """What a graph must reach against the PyTorch module in float32.

    Attributes:
        cosine: Smallest allowed cosine between the two embeddings of a view.
        error: Largest allowed difference of a component, as a share of the embedding's norm.
        flips: Most decisions that may differ, where labels are known.
    """

    cosine: float
    error: float
    flips: int = 0


# The error bound follows from the cosine for all but float32: a unit vector at that angle, whatever its direction.
_LIMITS = {
    "fp32": PrecisionLimits(cosine=0.99999, error=1e-4),
    "fp16": PrecisionLimits(cosine=0.9995, error=0.05),
    "bf16": PrecisionLimits(cosine=0.999, error=0.1),
    "int8": PrecisionLimits(cosine=0.99, error=0.3),
}


def limits_of(precision: str) -> PrecisionLimits:
    """The limits of a precision.

    Raises:
        KeyError: There is no such precision.
    """
    return _LIMITS[precision]


def parse_precisions(text: str) -> tuple[str, ...]:
    """Reads a list such as `fp32,fp16`; the order and repetitions do not matter.

    Raises:
        UsageError: A name is not known, or there is none.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(names - set(PRECISIONS)):
        raise UsageError(f"there is no precision '{unknown[0]}'", fix="any of " + ",".join(PRECISIONS))
    if not names:
        raise UsageError("no precision is named", fix="for example --precision fp32,fp16")
    return tuple(name for name in PRECISIONS if name in names)
