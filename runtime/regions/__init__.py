"""Regions, and the readers that turn annotations into regions.

    path --open_source--> RegionSource: SourceImage (path + annotations) --regions(image size)--> Region

Opening a source reads label files and lists folders; no pixel is decoded before an image's turn comes.
"""

from __future__ import annotations

from mvrec_edge.runtime.regions.annotation import Annotation
from mvrec_edge.runtime.regions.components import DEFAULT_MIN_AREA, regions_of_mask
from mvrec_edge.runtime.regions.opening import SOURCE_FORMATS, open_source
from mvrec_edge.runtime.regions.region import Box, MaskArray, Region
from mvrec_edge.runtime.regions.source import RegionReading, RegionSource, SourceImage

__all__ = [
    "DEFAULT_MIN_AREA",
    "SOURCE_FORMATS",
    "Annotation",
    "Box",
    "MaskArray",
    "Region",
    "RegionReading",
    "RegionSource",
    "SourceImage",
    "open_source",
    "regions_of_mask",
]
