from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ldfusion.io.size import blend_tiles, crop, filter_tiled, fuse_tiled, match_infrared, pad_to_multiple, resize, tiles


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 95), (35, 128)])
@pytest.mark.parametrize("multiple", [1, 8, 32, 64])
def test_pad_and_crop_back(size: tuple[int, int], multiple: int) -> None:
    image = random(2, 3, *size)
    padded, pads = pad_to_multiple(image, multiple)
    assert all(
        side % multiple == 0 and 0 <= side - old < multiple for side, old in zip(padded.shape[2:], size, strict=True)
    )
    assert torch.equal(crop(padded, pads), image)


def test_padding_mirrors_and_falls_back_on_short_sides() -> None:
    image = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 1, 3, 5)
    padded, _ = pad_to_multiple(image, 8)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert torch.equal(padded[0, 0, 2], padded[0, 0, 7])  # three rows cannot be mirrored five deep
    assert pad_to_multiple(image, 1)[0] is image


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
@pytest.mark.parametrize("overlap", [0, 16, 32])
def test_tiles_cover_with_the_overlap_asked_for(height: int, width: int, overlap: int) -> None:
    grid = tiles(height, width, 64, overlap)
    seen = torch.zeros(height, width)
    for tile in grid:
        assert (tile.height, tile.width) == (min(64, height), min(64, width))
        part = tile.cut(seen)
        assert part.shape == (tile.height, tile.width)
        part += 1
    assert float(seen.min()) == 1
    lefts = sorted({tile.left for tile in grid})
    assert all(first + 64 - second >= overlap for first, second in itertools.pairwise(lefts))
    assert lefts[-1] + min(64, width) == width


@pytest.mark.parametrize(("height", "width"), [(40, 40), (66, 71), (100, 257), (301, 90)])
@pytest.mark.parametrize("step", [4, 8, 32])
def test_tiles_start_at_multiples_of_a_step(height: int, width: int, step: int) -> None:
    grid = tiles(height, width, 64, 16, step)
    assert all(tile.top % step == 0 and tile.left % step == 0 for tile in grid)
    for size, spans in (
        (height, sorted({(tile.top, tile.height) for tile in grid})),
        (width, sorted({(tile.left, tile.width) for tile in grid})),
    ):
        assert all(a + n - b >= 16 for (a, n), (b, _) in itertools.pairwise(spans))
        assert sum(spans[-1]) == size
        assert all(n == 64 for _, n in spans[:-1]) and spans[-1][1] < 64 + step
    image = random(1, 2, height, width)
    assert torch.allclose(blend_tiles(grid, (tile.cut(image) for tile in grid)), image, atol=1e-6)


@pytest.mark.parametrize("step", [0, 49])
def test_a_step_that_leaves_no_overlap(step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        tiles(100, 100, 64, 16, step)


@pytest.mark.parametrize(("tile", "overlap"), [(64, -1), (64, 33), (0, 0)])
def test_tiles_that_do_not_fit_together(tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        tiles(100, 100, tile, overlap)


@pytest.mark.parametrize("overlap", [0, 5, 16, 32])
def test_blending_the_image_itself_gives_the_image(overlap: int) -> None:
    image = random(2, 3, 150, 203)
    grid = tiles(150, 203, 64, overlap)
    assert torch.allclose(blend_tiles(grid, (tile.cut(image) for tile in grid)), image, atol=1e-6)


def test_blending_fades_without_a_seam() -> None:
    grid = tiles(64, 100, 64, 28)
    assert len(grid) == 2
    blended = blend_tiles(grid, [torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)])[0, 0]
    assert torch.all(blended[:, :36] == 0)
    assert torch.all(blended[:, 64:] == 1)
    steps = blended[10].diff()
    assert float(steps.min()) >= 0
    assert float(steps.max()) < 2 / 28  # a raised cosine is at most pi / 2 times as steep as a straight ramp
    assert float(blended[10, 36]) < 0.01


def test_blending_checks_the_pieces() -> None:
    grid = tiles(64, 100, 64, 16)
    with pytest.raises(ValueError, match="does not fit"):
        blend_tiles(grid, [torch.zeros(1, 1, 64, 63)] * 2)
    with pytest.raises(ValueError, match="zip"):
        blend_tiles(grid, [torch.zeros(1, 1, 64, 64)])


def test_fuse_tiled_equals_the_whole_for_a_local_function() -> None:
    visible, infrared = random(1, 3, 121, 207), random(1, 1, 121, 207)
    kernel = random(3, 4, 5, 5)
    sizes = []

    def function(first: Tensor, second: Tensor) -> Tensor:
        sizes.append(tuple(first.shape[-2:]))
        return F.conv2d(F.pad(torch.cat([first, second], 1), (2, 2, 2, 2), mode="replicate"), kernel)

    whole = function(visible, infrared)
    tiled = fuse_tiled(function, [visible, infrared], tile=60, overlap=24, multiple=16)
    assert tiled.shape == whole.shape
    assert set(sizes[1:]) == {(64, 64), (80, 64)}  # the last tiles of a column reach 13 pixels further down
    # Only where tiles meet do their borders differ from the whole image, and there they are faded out.
    assert float((tiled - whole)[..., 2:-2, 2:-2].abs().max()) < 0.05 * float(whole.abs().max())
    assert float((tiled - whole)[..., 2:-2, 2:-2].abs().mean()) < 1e-3 * float(whole.mean())


def test_fuse_tiled_passes_a_small_image_whole() -> None:
    image = random(1, 3, 50, 61)
    assert torch.equal(fuse_tiled(lambda x: x, [image], tile=64, overlap=16, multiple=32), image)
    with pytest.raises(ValueError, match="one height and width"):
        fuse_tiled(lambda x, y: x, [image, image[..., 1:]], tile=64, overlap=16)


def test_fuse_tiled_keeps_its_inputs_and_no_graph() -> None:
    image = random(1, 1, 90, 90).requires_grad_()
    before = image.detach().clone()
    fused = fuse_tiled(lambda x: x, [image], tile=40, overlap=10)
    assert not fused.requires_grad
    assert torch.equal(image, before)
    assert torch.allclose(fused, before, atol=1e-6)


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
