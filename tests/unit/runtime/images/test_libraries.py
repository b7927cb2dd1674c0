"""Libraries of the base install that are not there."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.installing import install_libraries


@pytest.mark.parametrize(("suffix", "library"), [("jpg", "simplejpeg"), ("tif", "tifffile")])
def test_a_missing_library_is_no_fault_of_the_file(tmp_path, monkeypatch, suffix, library):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"a.{suffix}")
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(EnvironmentUnfitError, match=f"'{library}'") as caught:
        read_image(tmp_path / f"a.{suffix}")
    assert caught.value.fix == install_libraries(library, option="--force-reinstall")
