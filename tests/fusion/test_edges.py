from __future__ import annotations

import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.fusion.edges import STRENGTH, EdgeOverlay, edge_detail
from ldfusion.fusion.methods import load_method
from ldfusion.io.palette import palette


def test_where_the_visible_image_is_smooth_colours_are_the_palettes() -> None:
    infrared = torch.linspace(0, 1, 64 * 80).reshape(1, 1, 64, 80)
    fused = load_method("edges").fuse(torch.full((1, 3, 64, 80), 0.6), infrared)
    expected = torch.from_numpy(palette("iron")).float()[(infrared * 255).round().long()[0, 0]] / 255
    assert torch.allclose(fused[0].permute(1, 2, 0), expected, atol=1e-6)


def test_edges_change_brightness_alone_and_by_a_bounded_amount() -> None:
    visible = torch.full((2, 3, 96, 96), 0.2)
    visible[..., 48:] = 0.9
    detail = edge_detail(visible)
    assert detail.shape == (2, 1, 96, 96) and detail.abs().max() <= STRENGTH
    assert detail[..., 47].max() < -0.1 and detail[..., 48].min() > 0.1
    assert (detail[..., :40] == 0).all() and (detail[..., 56:] == 0).all()
    infrared = torch.full((2, 1, 96, 96), 0.5)
    change = (EdgeOverlay().fuse(visible, infrared) - EdgeOverlay().fuse(torch.full_like(visible, 0.5), infrared))[
        ..., 49:
    ]
    assert (change[:, 1, :, 0] > 0.1).all()
    assert torch.allclose(change[:, 1], detail[:, 0, :, 49:], atol=1e-6)  # green of iron's middle is not clamped


def test_an_unknown_palette() -> None:
    with pytest.raises(InputError, match="palette: unknown 'lava'; known: inferno"):
        EdgeOverlay("lava")
