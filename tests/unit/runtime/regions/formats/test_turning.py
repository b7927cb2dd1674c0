"""Fields that turn a region."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.turning import is_turn, refuse_turned, turns_in


@pytest.mark.parametrize(
    "name",
    ["angle", "ANGLE_DEG", "Rotation (deg)", "rotation [°]", "theta_rad", "box-angle", "bboxRotation", "RotationDEG"]
    + ["rotation_angle", "rotationangle", "rot", "rot.deg", "angles", "angle1", "angledeg", "θ"],
)
def test_names_that_turn(name):
    assert is_turn(name)


@pytest.mark.parametrize("name", ["rectangle", "triangle_x", "rotor", "Rectangle", "rotten", "label", ""])
def test_names_that_do_not_turn(name):
    assert not is_turn(name)


@pytest.mark.parametrize("value", [None, "", " ", 0, "0.0", "-0,0", "0°"])
def test_no_angle_is_no_turn(value):
    assert refuse_turned(turns_in({"Rotation (deg)": value, "label": "dent"}), "t#0") is None


@pytest.mark.parametrize("value", [45, "1e-3", "0.1", "x", float("nan")])
def test_an_angle_is_refused(value):
    with pytest.raises(AnnotationError, match="turns the region"):
        refuse_turned({"angle": value}, "t#0")
