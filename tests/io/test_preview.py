from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.io.preview import panel


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


def test_panel_letterboxes_another_aspect() -> None:
    wide, tall = Image.new("RGB", (400, 200), "red"), Image.new("RGB", (100, 200), "red")
    pixels = np.asarray(panel([wide, tall], ["a", "b"]))
    red = (pixels == (255, 0, 0)).all(-1)
    assert red[:, : red.shape[1] // 2].sum() == pytest.approx(4 * red[:, red.shape[1] // 2 :].sum(), rel=0.02)
    with pytest.raises(ValueError, match="labels"):
        panel([wide], [])
