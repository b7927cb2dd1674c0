"""A plan that travels in a bundle: what it was built from and what it runs on."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.bundle.precision import PRECISIONS
from mvrec_edge.runtime.files.json_documents import Fields

__all__ = ["PLAN_LIBRARIES", "PLAN_VARIANTS", "PlanRecord"]

#: Engines whose plans are for more than one machine, so that a bundle may hold them.
PLAN_LIBRARIES = ("tensorrt-rtx",)
#: Variants of graphs that plans are built of: the one of standard operators that cuts views.
PLAN_VARIANTS = ("views",)


@dataclass(frozen=True)
class PlanRecord:
    """One plan of a bundle.

    Attributes:
        file: Its file name.
        precision: Of which precision the graph is that it was built from.
        variant: Which graph of that precision: `""` for the one of standard operators that takes views, or one of
            `PLAN_VARIANTS`.
        graph: Hash of that graph and its weights, see `Manifest.graph_digest`.
        library: The engine that runs it: one of `PLAN_LIBRARIES`.
        release: The library's version, which is the only one that runs it.
        capabilities: Compute capabilities of the GPUs that run it, in words.
        profile: The batch sizes, `SMALLEST:USUAL:LARGEST`.
    """

    file: str
    precision: str
    variant: str
    graph: str
    library: str
    release: str
    capabilities: str
    profile: str

    @classmethod
    def parse(cls, fields: Fields) -> PlanRecord:
        """Reads one record of a manifest."""
        return cls(
            file=fields.text("file", longest=255),
            precision=fields.choice("precision", *PRECISIONS),
            variant=fields.choice("variant", "", *PLAN_VARIANTS),
            graph=fields.text("graph", longest=64),
            library=fields.choice("library", *PLAN_LIBRARIES),
            release=fields.text("release", longest=64),
            capabilities=fields.text("capabilities", longest=128),
            profile=fields.text("profile", longest=64),
        )

    @property
    def how_to_build(self) -> str:
        """What to do where the plan is lost or damaged: it is made of what else is in the bundle."""
        return f"build the plan again: mvrec-edge build BUNDLE --for rtx --into-bundle --precision {self.precision}"

    def __str__(self) -> str:
        return (
            f"{self.file}  {self.precision}, {self.library} {self.release}, compute capability {self.capabilities}, "
            f"batch {self.profile}"
        )
