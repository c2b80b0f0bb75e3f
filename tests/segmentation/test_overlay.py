from __future__ import annotations

import numpy as np
import torch

from ldfusion.data.label_sets import label_set
from ldfusion.segmentation.overlay import LIFT, legend, overlay


def test_background_and_ignored_pixels_keep_the_image():
    image = torch.rand(1, 1, 2, 4)
    labels = torch.tensor([[[0, 1, 2, 255], [0, 0, 0, 0]]])
    shown = overlay(image, labels, label_set("objects"), opacity=1.0)
    assert shown.shape == (1, 3, 2, 4)
    assert torch.equal(shown[..., 1, :], image.expand(-1, 3, -1, -1)[..., 1, :])
    assert torch.equal(shown[0, :, 0, 3], image[0, 0, 0, 3].expand(3))
    assert torch.allclose(shown[0, :, 0, 1] * 255, torch.tensor([64.0, 0, 128]) * LIFT, atol=0.5)


def test_the_legend_shows_every_class_in_its_colour():
    classes = label_set("msrs")
    pixels = np.asarray(legend(classes)).reshape(-1, 3)
    for colour in classes.colours:
        bright = [min(255, round(LIFT * c)) for c in colour]
        assert (pixels == bright).all(axis=1).sum() > 300
