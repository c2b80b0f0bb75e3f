from __future__ import annotations

import numpy as np
import torch

from ldfusion.io.degrees import with_scale
from ldfusion.io.palette import palette


def test_a_scale_at_the_right_edge_and_nothing_else_changed() -> None:
    picture = with_scale(torch.full((1, 120, 200), 0.5), (-5.0, 35.0), "iron")
    codes = np.asarray(picture)
    assert picture.size == (200, 120) and (codes[:, :120] == 128).all()
    bar = codes[4:116, 200 - 4 - 2].astype(int)  # from the top, the hot end
    assert np.abs(bar[0] - palette("iron")[255]).max() < 12 and np.abs(bar[-1] - palette("iron")[0]).max() < 12
    grey = np.asarray(with_scale(torch.full((1, 120, 200), 0.5), (20.0, 21.0)))[4:116, 194].astype(int)
    assert (np.diff(grey[:, 0]) <= 0).all() and grey[0, 0] > 240 and grey[-1, 0] < 15
