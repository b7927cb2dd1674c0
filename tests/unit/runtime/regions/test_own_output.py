"""Our own files are told by what is in them, and other people's are not taken for ours."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mvrec_edge.calib.plotting import new_figure, save_figure
from mvrec_edge.runtime.files import canonical_json
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions.own_output import PICTURE_MARK, mark_jpeg, own_output

RECORD = {"image": "a.jpg", "source": "a.png#0", "box": [1, 2, 3, 4], "label": "x", "probabilities": {"x": 1.0}}
FAILURE = {"image": None, "error": {"what": "is bad", "where": "a.json", "fix": "mend it"}}
BOXES = {"image": "a.jpg", "box": [1, 2, 3, 4], "label": "x", "score": 0.9}


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.jsonl", json.dumps(RECORD | {"nearest": []}) + "\n", "results"),
        ("a.json", json.dumps(RECORD | {"annotated": None}) + "\n", "results"),
        ("a.ndjson", "\ufeff" + json.dumps(FAILURE) + "\n" + json.dumps(BOXES), "results"),
        ("a.jsonl", json.dumps({"schema": "mvrec-edge/results/1"}) + "\n", "results"),
        ("a.csv", "image,source,label,probability,nearest_class\n", "results"),
        ("a.csv", "image;source;label;probability;nearest_class\n", "results"),
        ("m.json", canonical_json({"schema": "mvrec-edge/bundle/3", "files": []}).decode(), "the manifest of a bundle"),
        ("m.json", json.dumps({"schema": "mvrec-edge/bundle/2", "files": []}), "the manifest of a bundle"),
        ("m.json", json.dumps({"schema": "mvrec-edge/plan/1"}), "the description of a TensorRT plan"),
        ("m.json", canonical_json({"schema": "mvrec-edge/doctor/1"}).decode(), "a file of mvrec"),
        ("evaluation.json", canonical_json({"class_names": ["x"], "results": []}).decode(), "an evaluation"),
        ("a.jsonl", json.dumps(BOXES) + "\n", None),
        ("a.jsonl", json.dumps(RECORD) + "\n", None),
        ("a.json", json.dumps({"shapes": []}), None),
        ("a.json", "[" * 100_000, None),
        ("a.json", '{"image"' + "[" * 100_000, None),
        ("a.csv", "image,x1,y1,x2,y2,label\n", None),
        ("a.csv", "", None),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n", None),
        ("a.xml", "<annotation/>", None),
    ],
)
def test_a_file_is_told_by_its_content(tmp_path, name, text, kind):
    path = tmp_path / name
    path.write_text(text)

    found = own_output(path)

    assert found is None if kind is None else found is not None and found.startswith(kind)


def test_a_picture_is_marked_and_stays_a_picture(tmp_path):
    pixels = np.full((8, 8, 3), 90, np.uint8)
    plain = cv2.imencode(".jpg", pixels)[1].tobytes()
    (tmp_path / "plain.jpg").write_bytes(plain)
    (tmp_path / "marked.jpg").write_bytes(mark_jpeg(plain))

    assert own_output(tmp_path / "plain.jpg") is None
    assert own_output(tmp_path / "marked.jpg") == "a picture of results"
    np.testing.assert_array_equal(read_image(tmp_path / "marked.jpg"), read_image(tmp_path / "plain.jpg"))


def test_a_plot_is_marked(tmp_path):
    pytest.importorskip("matplotlib", reason="draws plots")
    save_figure(new_figure(1, 1, "a plot"), tmp_path / "plot.png")

    assert own_output(tmp_path / "plot.png") == "a picture of results"
    assert PICTURE_MARK.encode() in (tmp_path / "plot.png").read_bytes()
