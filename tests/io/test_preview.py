from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.io.preview import panel, shrunk, to_pil


def test_panel_shows_every_image_and_the_caption() -> None:
    red = torch.zeros(3, 96, 128)
    red[0] = 1
    images = [
        red,
        torch.full((1, 48, 64), 0.5),
        np.full((96, 128, 3), 90, np.uint8),
        Image.new("RGB", (128, 96), "blue"),
    ]
    labels = ["visible", "infrared", "depth", "fused"]
    sheet = panel(images, labels, "A red wall on the left, near. " * 12)
    plain = panel(images, labels)
    assert plain.height < sheet.height
    assert sheet.width == plain.width
    pixels = np.asarray(plain)
    for color in ((255, 0, 0), (128, 128, 128), (90, 90, 90), (0, 0, 255)):
        share = (pixels == color).all(-1).mean()
        assert 0.18 < share < 0.25, color
    below = np.asarray(sheet)[plain.height :]
    assert (below < 100).any()
    assert (below[:, :4] == 255).all()
    assert (below[:, -4:] == 255).all()


@pytest.mark.parametrize("size", [(32, 32), (6000, 4000), (32, 4000), (4000, 32), (481, 640)])
def test_panel_size_is_bounded(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "green")
    sheet = panel([image, image], ["a", "b"], "caption " + "x" * 600)
    assert sheet.width <= 2 * 680
    assert sheet.height <= 1300
    assert (np.asarray(sheet) == (0, 128, 0)).all(-1).any()


def test_a_large_tensor_looks_as_the_same_picture_does() -> None:
    """It is shrunk before it is converted; the cell keeps its size."""
    smooth = torch.rand(3, 12, 18, generator=torch.Generator().manual_seed(0))[None]
    large = torch.nn.functional.interpolate(smooth, (2000, 3001), mode="bicubic").clamp(0, 1)[0]
    ours, whole = panel([large], ["a"], "b"), panel([to_pil(large)], ["a"], "b")
    assert shrunk(large).shape == (3, 854, 1280) and shrunk(large[None, :, :480, :640]).shape == (1, 3, 480, 640)
    for sheet in (ours, panel([shrunk(large)], ["a"], "b")):
        assert sheet.size == whole.size
        difference = np.abs(np.asarray(sheet).astype(int) - np.asarray(whole))
        assert difference.max() <= 12 and difference.mean() < 0.5


def test_panel_letterboxes_another_aspect() -> None:
    wide, tall = Image.new("RGB", (400, 200), "red"), Image.new("RGB", (100, 200), "red")
    pixels = np.asarray(panel([wide, tall], ["a", "b"]))
    red = (pixels == (255, 0, 0)).all(-1)
    assert red[:, : red.shape[1] // 2].sum() == pytest.approx(4 * red[:, red.shape[1] // 2 :].sum(), rel=0.02)
    with pytest.raises(ValueError, match="labels"):
        panel([wide], [])
