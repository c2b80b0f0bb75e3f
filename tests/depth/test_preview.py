from __future__ import annotations

import numpy as np
import pytest
import torch

from depth.preview import colorize_depth


def brightness(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float64).sum(-1)


def test_near_is_bright_whatever_the_scale() -> None:
    ramp = np.linspace(0, 1, 3200, dtype=np.float32).reshape(40, 80)
    colored = colorize_depth(ramp)
    assert colored.shape == (40, 80, 3)
    assert colored.dtype == np.uint8
    assert np.all(np.diff(brightness(colored).reshape(-1)) >= -2)
    assert colored[-1, -1, 0] > colored[-1, -1, 2]  # yellow, hence RGB and not BGR
    assert np.array_equal(colored, colorize_depth(torch.from_numpy(ramp)[None] * 37 + 5))


def test_fixed_limits_flat_maps_and_holes() -> None:
    first = colorize_depth(np.full((40, 40), 2.0), limits=(0, 4))
    assert np.array_equal(first, colorize_depth(np.pad(np.full((38, 38), 2.0), 1, constant_values=2), limits=(0, 4)))
    assert len(np.unique(colorize_depth(np.full((40, 40), 2.0)).reshape(-1, 3), axis=0)) == 1
    holes = np.linspace(1, 2, 1600).reshape(40, 40)
    holes[0, 0] = np.nan
    assert brightness(colorize_depth(holes))[0, 0] < 30
    with pytest.raises(ValueError, match="depth map"):
        colorize_depth(np.zeros((2, 40, 40)))
