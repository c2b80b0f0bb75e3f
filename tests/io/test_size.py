from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ldfusion.io.size import filter_tiled, match_infrared, resize, tiles


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_resize_filters_when_shrinking() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 1, 64, 64)
    small = resize(stripes, (16, 16))
    assert small.shape == (1, 1, 16, 16)
    assert float((small - 0.5).abs().max()) < 0.04
    assert resize(stripes, (64, 64)) is stripes
    flat = torch.full((1, 1, 20, 20), 0.3)
    assert torch.allclose(resize(flat, (33, 57)), torch.full((1, 1, 33, 57), 0.3))


def test_infrared_takes_the_visible_size(caplog: pytest.LogCaptureFixture) -> None:
    visible = torch.zeros(1, 3, 480, 640)
    assert match_infrared(visible, torch.zeros(1, 1, 240, 320)).shape == (1, 1, 480, 640)
    assert match_infrared(visible, torch.zeros(1, 1, 241, 320)).shape == (1, 1, 480, 640)  # 0.4 % is rounding
    assert caplog.records == []
    assert match_infrared(visible, torch.zeros(1, 1, 256, 320), "street").shape == (1, 1, 480, 640)
    assert caplog.records[0].getMessage().startswith("street: infrared 320x256 has another aspect than visible 640x480")


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 64), (65, 64), (100, 257), (301, 90)])
@pytest.mark.parametrize("step", [1, 4, 8, 32])
def test_tiles_cover_the_image_and_start_at_multiples_of_a_step(height: int, width: int, step: int) -> None:
    grid = tiles(height, width, 64, step)
    seen = torch.zeros(height, width)
    for tile in grid:
        part = tile.cut(seen)
        assert part.shape == (tile.height, tile.width)
        part += 1
    assert float(seen.min()) == 1
    assert all(tile.top % step == 0 and tile.left % step == 0 for tile in grid)
    for size, spans in (
        (height, sorted({(tile.top, tile.height) for tile in grid})),
        (width, sorted({(tile.left, tile.width) for tile in grid})),
    ):
        assert all(a + n >= b for (a, n), (b, _) in itertools.pairwise(spans))
        assert sum(spans[-1]) == size
        assert all(n == min(64, size) for _, n in spans[:-1]) and spans[-1][1] < 64 + step


@pytest.mark.parametrize("step", [0, 65])
def test_a_step_that_does_not_fit(step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        tiles(100, 100, 64, step)


def test_a_filter_in_tiles_is_the_filter_of_the_whole_image() -> None:
    image = torch.rand(2, 3, 70, 97, generator=torch.Generator().manual_seed(0))

    def blur(image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(torch.nn.functional.pad(image, (4, 4, 4, 4), mode="reflect"), 9, 1)

    def shrunk(image: torch.Tensor) -> torch.Tensor:
        return (
            image[..., ::4, ::4]
            .repeat_interleave(4, -1)
            .repeat_interleave(4, -2)[..., : image.shape[-2], :][..., : image.shape[-1]]
        )

    for function, reach, step in ((blur, 4, 1), (shrunk, 3, 4)):
        torch.testing.assert_close(filter_tiled(function, [image], 24, reach, step), function(image))
    assert not torch.allclose(filter_tiled(blur, [image], 24, 1), blur(image))
