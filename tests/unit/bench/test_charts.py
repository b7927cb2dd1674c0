"""The plots of a bench: what they show, that it can be read, and that the page stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.bench.chart_axis import LogAxis, ticks
from mvrec_edge.bench.charts import charts, figure_text, write_html
from mvrec_edge.bench.charts_png import write_png


def record(**cells: dict[int, float]) -> dict[str, Any]:
    """A record of candidates with their milliseconds for each batch size."""
    return {
        "bundle": {"name": "<script>&", "architecture": "ViT-Ti/16"},
        "machine": {"cpu": "a <b> processor"},
        "question": "How long?",
        "settings": {"views_per_defect": 27},
        "candidates": [
            {"candidate": name, "cells": [{"batch": batch, "p50_ms": ms} for batch, ms in times.items()]}
            for name, times in cells.items()
        ],
    }


ONE = record(**{"onnxruntime/fp32": {9: 60.0}, "openvino:cpu/bf16": {9: 20.0}, "broken": {}})
SEVERAL = record(**{"onnxruntime/fp32": {1: 8.0, 27: 181.0}, "openvino:cpu/bf16": {27: 160.0, 1: 7.5}})


def drawings(path: Path) -> list[ElementTree.Element]:
    text = path.read_text()
    assert "<script>" not in text
    assert "http" not in text
    pieces = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]
    return [ElementTree.fromstring(piece) for piece in pieces]  # noqa: S314 (our own page)


def texts(drawing: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in drawing.findall(".//text")]


def test_the_defect_is_the_unit() -> None:
    time, rate = charts(ONE)
    assert (time.title, rate.title) == ("time for a defect of 27 views, median, ms", "defects/s, each 27 views")
    assert [curve.name for curve in time.curves] == ["onnxruntime/fp32", "openvino:cpu/bf16"]
    # A batch of 9 takes 60 ms, so a defect takes three of them.
    assert [curve.values for curve in time.curves] == [(180.0,), (60.0,)]
    assert [curve.values[0] for curve in rate.curves] == pytest.approx([1000 / 180, 1000 / 60])
    several = charts(SEVERAL)[0]
    assert [curve.batches for curve in several.curves] == [(1, 27), (1, 27)]
    assert several.curves[1].values == pytest.approx((7.5 * 27, 160.0))


def test_one_batch_size_is_bars_with_their_figures(tmp_path: Path) -> None:
    write_html(ONE, tmp_path / "bench.html")
    drawn = drawings(tmp_path / "bench.html")
    assert len(drawn) == 2
    assert texts(drawn[0])[1:] == ["onnxruntime/fp32", "180", "openvino:cpu/bf16", "60.0"]
    assert texts(drawn[1])[1:] == ["onnxruntime/fp32", "5.56", "openvino:cpu/bf16", "16.7"]
    for drawing in drawn:
        widths = [float(bar.attrib["width"]) for bar in drawing.findall(".//rect")]
        assert max(widths) / min(widths) == pytest.approx(3, rel=1e-2)
        assert not drawing.findall(".//circle")
        # Nothing lies outside of the drawing.
        assert all(
            float(bar.attrib["x"]) + float(bar.attrib["width"]) < float(drawing.attrib["width"])
            for bar in drawing.findall(".//rect")
        )
    assert "in batches of 9 views" in (tmp_path / "bench.html").read_text()


def test_several_batch_sizes_are_lines_with_ticks(tmp_path: Path) -> None:
    write_html(SEVERAL, tmp_path / "bench.html")
    lines = [drawing for drawing in drawings(tmp_path / "bench.html") if drawing.attrib.get("role") == "img"]
    assert [len(drawing.findall(".//circle")) for drawing in lines] == [4, 4]
    for drawing in lines:
        assert not drawing.findall(".//rect")
        assert {"1", "27", "views in a batch"} <= set(texts(drawing))
        # Beside the title, the two batch sizes and the name of the axis, at least three values.
        assert len(texts(drawing)) >= 7


@pytest.mark.parametrize("made", [ONE, SEVERAL, record(), record(a={})], ids=["one", "several", "none", "no cells"])
def test_every_record_can_be_drawn(made: dict[str, Any], tmp_path: Path) -> None:
    write_html(made, tmp_path / "bench.html")
    assert len(drawings(tmp_path / "bench.html")) >= 2
    pytest.importorskip("matplotlib", reason="matplotlib draws it")
    write_png(made, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (1.0, 100.0, [1, 2, 5, 10, 20, 50, 100]),
        (0.02, 1e5, [0.1, 1, 10, 100, 1000, 10000, 100000]),
        (6.1, 7.4, [6.2, 6.4, 6.6, 6.8, 7.0, 7.2, 7.4]),
        (0.9, 1.1, [0.9, 0.95, 1.0, 1.05, 1.1]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


@given(st.floats(1e-3, 1e5), st.floats(1.44, 1e6))
def test_an_axis_always_has_values(low: float, times: float) -> None:
    axis = LogAxis(low, low * times, 300, 30)
    found = axis.ticks()
    assert 3 <= len(found) <= 12
    assert all(low * 0.999 <= tick <= low * times * 1.001 for tick in found)
    assert len({f"{tick:g}" for tick in found}) == len(found)
    assert [axis.place(tick) for tick in found] == sorted((axis.place(tick) for tick in found), reverse=True)


def test_figures_have_three_digits() -> None:
    assert [figure_text(value) for value in (0.01234, 5.5555, 60.0, 99.96, 1234.5)] == [
        "0.0123",
        "5.56",
        "60.0",
        "100",
        "1234",
    ]
