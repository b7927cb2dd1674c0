"""OpenCV's log level is the user's again after every block, whatever the threads do."""

from __future__ import annotations

import threading

import cv2

from mvrec_edge.runtime.images.quiet import quiet_opencv

logging = getattr(cv2.utils, "logging", cv2)


def test_the_level_is_put_back_when_blocks_overlap():
    level = logging.getLogLevel()
    inside = threading.Event()
    leave = threading.Event()

    def hold():
        with quiet_opencv():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(10)
    with quiet_opencv():
        assert logging.getLogLevel() == 0
    assert logging.getLogLevel() == 0
    leave.set()
    thread.join(10)

    assert logging.getLogLevel() == level
