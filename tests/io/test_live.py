from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ldfusion.errors import InputError
from ldfusion.io import live
from ldfusion.io.live import LiveSource, open_source
from ldfusion.io.mjpeg import PictureServer
from ldfusion.io.video import Frame


def frame(time_: float, value: int = 0) -> Frame:
    return Frame(time_, np.full((32, 32, 3), value, np.uint8))


def test_of_frames_that_nobody_takes_the_newest_is_kept_and_the_others_are_counted() -> None:
    changed = threading.Condition()
    with LiveSource("camera", lambda: iter([frame(k, k) for k in range(10)]), False, True, changed) as source:
        with changed:
            assert changed.wait_for(lambda: source.ended, timeout=10)
            newest = source.take()
    assert newest is not None and newest.frame.pixels[0, 0, 0] == 9
    assert (source.received, source.dropped, source.opened) == (10, 9, 1)
    assert not source.fresh


def test_a_file_is_played_at_its_own_rate() -> None:
    changed = threading.Condition()
    begin = time.perf_counter()
    with LiveSource("file", lambda: iter([frame(k / 20) for k in range(11)]), True, True, changed) as source, changed:
        assert changed.wait_for(lambda: source.ended, timeout=10)
    assert 0.45 < time.perf_counter() - begin < 3
    assert source.received == 11


def test_a_source_that_breaks_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRY", 0.05)
    times = iter(range(100))

    def frames() -> Iterator[Frame]:
        number = next(times)
        if number == 1:
            raise OSError("unplugged")
        yield frame(0.0, number)
        if number < 3:
            raise OSError("unplugged")

    changed = threading.Condition()
    with LiveSource("camera", frames, False, False, changed) as source:
        with changed:
            assert changed.wait_for(lambda: source.received >= 3, timeout=10)
            newest = source.take()
        assert newest is not None and newest.frame.pixels[0, 0, 0] >= 3
        assert source.opened >= 4 and not source.ended
    assert source.ended


def test_a_file_that_is_none_ends_the_program_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; give a video, the number of a camera, or an address"):
        open_source(str(tmp_path / "none.mp4"), "visible", threading.Condition())
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="not a video"):
        open_source(str(tmp_path / "text.mp4"), "visible", threading.Condition())


def test_a_browser_gets_the_newest_picture() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[..., 0] = 200
    with PictureServer() as server:
        server.show(picture)
        with urllib.request.urlopen(server.address, timeout=10) as page:
            assert page.headers["Content-Type"].startswith("multipart/x-mixed-replace")
            lines = [page.readline() for _ in range(4)]
            length = int(lines[2].split(b":")[1])
            shown = cv2.imdecode(np.frombuffer(page.read(length), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert shown.shape == picture.shape and abs(shown.astype(int) - picture).max() < 8
