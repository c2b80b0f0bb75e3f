from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldfusion.evaluation.colour import ciede2000, colour_error, is_grey, srgb_to_lab
from ldfusion.evaluation.metrics import METRICS, compute_metrics

# Sharma, Wu and Dalal (2005), table 1: two colours (L*, a*, b*) and their difference. The pairs 7 to 16 turn over the
# discontinuities of the mean hue.
SHARMA = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, 2.8361, -74.0200), (50, 0, -82.7485), 3.4412),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, -1.1848, -84.8006), (50, 0, -82.7485), 1.0000),
    ((50, -0.9009, -85.5211), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, -1, 2), (50, 0, 0), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0010), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, 2.49, -0.001), (50, -2.49, 0.0012), 7.2195),
    ((50, -0.001, 2.49), (50, 0.0009, -2.49), 4.8045),
    ((50, -0.001, 2.49), (50, 0.0010, -2.49), 4.8045),
    ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((50, 2.5, 0), (50, 3.1736, 0.5854), 1.0000),
    ((50, 2.5, 0), (50, 3.2972, 0), 1.0000),
    ((50, 2.5, 0), (50, 1.8634, 0.5757), 1.0000),
    ((50, 2.5, 0), (50, 3.2592, 0.3350), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.2480, -4.9620), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


def colours(values: object) -> Tensor:
    """(N, 3) to one image (1, 3, 1, N)."""
    return torch.tensor(values, dtype=torch.float64).T[None, :, None]


def picture(seed: int = 0) -> Tensor:
    """(1, 3, 70, 45) of whole numbers 40..215."""
    return torch.randint(40, 216, (1, 3, 70, 45), generator=torch.Generator().manual_seed(seed)).float()


def test_published_pairs() -> None:
    first, second, expected = (list(column) for column in zip(*SHARMA, strict=True))
    for one, other in ((first, second), (second, first)):
        found = ciede2000(colours(one), colours(other)).flatten()
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=6e-5, rtol=0)


def test_lab_of_known_colours() -> None:
    lab = srgb_to_lab(colours([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0), (0.02, 0.02, 0.02)]))
    expected = [
        (53.2408, 80.0925, 67.2032),
        (87.7347, -86.1827, 83.1793),
        (32.2970, 79.1875, -107.8602),
        (100, 0, 0),
        (0, 0, 0),
        (1.3983, 0, 0),  # on the straight parts of both curves
    ]
    torch.testing.assert_close(lab, colours(expected), atol=1e-3, rtol=0)


def test_error_is_that_of_chroma_and_hue_alone() -> None:
    visible = picture()
    assert colour_error(visible, visible).item() == pytest.approx(0, abs=1e-9)
    # a grey of any brightness takes all the colour away, so that it is as far off whatever its lightness
    greys = [torch.full_like(visible, level) for level in (40.0, 200.0)]
    for grey in greys:
        grey[..., 0, 0] = torch.tensor([60.0, 50.0, 50.0])  # the least colour, or the image would count as grey
    dark, bright = (colour_error(grey, visible).item() for grey in greys)
    assert dark == pytest.approx(bright, rel=1e-3) and dark > 8
    lab = srgb_to_lab(visible.double() / 255)
    neutral = torch.cat([lab[:, :1], torch.zeros_like(lab[:, 1:])], 1)
    assert dark == pytest.approx(ciede2000(neutral, lab).mean().item(), rel=1e-3)


def test_batch_and_strips_agree_with_single_images() -> None:
    visible, fused = picture(), torch.cat([picture(1), picture(2)])
    together = colour_error(fused, visible)
    assert together.shape == (2,) and together.dtype == torch.float64
    apart = [colour_error(image[None].to(torch.uint8), visible.to(torch.uint8)).item() for image in fused]
    assert together.tolist() == pytest.approx(apart, rel=1e-12)
    lab = srgb_to_lab(visible.double() / 255)
    other = srgb_to_lab(fused[:1].double() / 255)
    whole = ciede2000(torch.cat([lab[:, :1], other[:, 1:]], 1), lab).mean().item()
    assert together[0].item() == pytest.approx(whole, rel=1e-12)


def test_a_grey_image_has_no_error() -> None:
    visible = picture()
    grey = visible[:, :1].expand(-1, 3, -1, -1).clone()
    grey[0, 0, 3, 3] += 2
    assert is_grey(torch.cat([grey, visible])).tolist() == [True, False]
    assert colour_error(torch.cat([grey, picture(1)]), visible).isnan().tolist() == [True, False]
    assert colour_error(visible, grey).isnan().all() and colour_error(visible[:, :1], visible).isnan().all()
    grey[0, 0, 3, 3] += 1
    assert not is_grey(grey).item()


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got \(1, 2, 4, 4\)"):
        colour_error(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="sizes differ"):
        colour_error(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))


def test_measures_ask_for_colours() -> None:
    visible, fused = picture(), picture(1)
    grey = [image[:, :1] for image in (fused, visible, visible)]
    values = compute_metrics(*grey, ["EN", "colour"], colours=(fused, visible))
    assert values["colour"].item() == pytest.approx(colour_error(fused, visible).item())
    assert compute_metrics(*grey, ["colour"])["colour"].isnan().all()
    assert not METRICS["colour"].higher_is_better
    assert METRICS["colour"].reason(70, 45) == "the fused or the visible image is grey"
