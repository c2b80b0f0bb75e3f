from __future__ import annotations

import numpy as np
import pytest

from ldfusion.errors import InputError
from ldfusion.io.thermal import linear_gain, percentile_limits, to_display


def test_percentiles_leave_outliers_out() -> None:
    counts = np.arange(1001, dtype=np.uint16) + 7000
    counts[0], counts[-1] = 0, 65535
    assert percentile_limits(counts) == (7005.0, 7995.0)
    assert percentile_limits(counts, (0, 100)) == (0.0, 65535.0)
    with pytest.raises(ValueError, match="percentiles"):
        percentile_limits(counts, (99, 1))


def test_gain_is_linear_and_clipped() -> None:
    image = linear_gain(np.array([[-50, 0, 25, 50, 400]], dtype=np.int16), (0, 50))
    assert image.dtype == np.float32
    assert np.allclose(image, [[0, 0, 0.5, 1, 1]])


@pytest.mark.parametrize("limits", [(5, 5), (6, 5), (float("nan"), 5), (0, float("inf"))])
def test_limits_that_cannot_be_used(limits: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="give low below high"):
        linear_gain(np.zeros((2, 2), dtype=np.uint16), limits)


def test_nearly_and_wholly_flat_images() -> None:
    counts = np.full((100, 100), 300, dtype=np.uint16)
    assert np.all(to_display(counts, "flat")[0] == 0)
    counts[0, 0] = 500
    assert percentile_limits(counts) == (300.0, 500.0)
    image, used = to_display(counts, "nearly flat")
    assert used == (300.0, 500.0)
    assert (image[0, 0], image[1, 1]) == (1, 0)


def test_what_was_done_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    celsius = np.linspace(-10, 40, 5000, dtype=np.float32).reshape(50, 100)
    for _ in range(2):
        to_display(celsius, "said once.tiff", (0.0, 30.0))
    assert [record.getMessage() for record in caplog.records] == [
        "float infrared said once.tiff: 0..30 mapped to 0..1 (given limits)"
    ]
    assert caplog.records[0].name == "ldfusion.io"
