from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.fusion import grid as module
from ldfusion.fusion.grid import (
    AXES,
    BASIS,
    COEFFICIENTS,
    KNEES,
    apply_grid,
    apply_tiled,
    basis,
    positions,
    roll_off,
    slice_grid,
    starting_coefficients,
)
from ldfusion.io.color import luma, rgb_to_ycbcr


def pair(height: int, width: int, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    images = torch.rand(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))
    return images[:, :3], images[:, 3:]


def constant(values: dict[str, float], nodes: int = 3) -> Tensor:
    """A grid whose coefficients are the same everywhere."""
    vector = torch.tensor([values.get(name, 0.0) for name in (*BASIS, "chroma")])
    return (vector / AXES)[None, None, :, None, None, None].expand(1, AXES, -1, nodes, 4, 5).clone()


def by_hand(grid: Tensor, guides: Tensor) -> Tensor:
    """Trilinear look-up of one picture, written pixel by pixel."""
    _, axes, k, nodes, h, w = grid.shape
    height, width = guides.shape[-2:]
    out = torch.zeros(1, k, height, width)
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * h / height - 0.5, 0), h - 1)
            u = min(max((x + 0.5) * w / width - 0.5, 0), w - 1)
            for axis in range(axes):
                z = float(guides[0, axis, y, x]) * (nodes - 1)
                for n in range(nodes):
                    for a in range(h):
                        for b in range(w):
                            weight = max(0, 1 - abs(z - n)) * max(0, 1 - abs(v - a)) * max(0, 1 - abs(u - b))
                            out[0, :, y, x] += weight * grid[0, axis, :, n, a, b]
    return out


def test_slicing_is_trilinear_in_position_and_both_guides() -> None:
    grid = torch.randn(1, AXES, 3, 4, 2, 3, generator=torch.Generator().manual_seed(1))
    guides = torch.rand(1, AXES, 9, 11, generator=torch.Generator().manual_seed(2))
    guides[..., 0, :2] = torch.tensor([0.0, 1.0])  # the ends of the range axes are nodes
    sliced = slice_grid(grid, guides, *positions(9, 11, guides))
    assert torch.allclose(sliced, by_hand(grid, guides), atol=1e-5)


def test_the_basis_holds_what_its_names_say() -> None:
    visible, infrared = pair(17, 23)
    y = luma(visible)
    functions, guides = basis(y, infrared)
    found = dict(zip(BASIS, functions.split(1, dim=1), strict=True))

    def mean(image: Tensor, radius: int) -> Tensor:
        return F.avg_pool2d(F.pad(image, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)

    assert torch.equal(found["1"], torch.ones_like(y))
    assert torch.equal(found["Y"], y) and torch.equal(found["I"], infrared)
    assert torch.equal(found["max(Y, I)"], torch.maximum(y, infrared))
    for name, image in (("Y", y), ("I", infrared)):
        assert torch.allclose(found[f"{name} fine"], image - mean(image, 1), atol=1e-6)
        assert torch.allclose(found[f"{name} coarse"], mean(image, 1) - mean(image, 4), atol=1e-6)
    for scale in ("fine", "coarse"):
        first, second = found[f"Y {scale}"], found[f"I {scale}"]
        assert torch.equal(found[f"stronger {scale}"], torch.where(first.abs() >= second.abs(), first, second))
    assert torch.allclose(guides, mean(torch.cat([y, infrared], dim=1), 1), atol=1e-6)


@pytest.mark.parametrize(("name", "wanted"), [("Y", "visible"), ("I", "infrared"), ("max(Y, I)", "max")])
def test_one_coefficient_gives_one_image(name: str, wanted: str) -> None:
    visible, infrared = pair(20, 30)
    fused = apply_grid(constant({name: 1.0, "chroma": 1.0}), visible, infrared)
    y = luma(visible)
    expected = {"visible": y, "infrared": infrared, "max": torch.maximum(y, infrared)}[wanted]
    assert torch.allclose(luma(fused), roll_off(expected), atol=1e-5)
    assert torch.allclose(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:], atol=1e-5)
    if wanted == "visible":
        inside = ((y > KNEES[0]) & (y < 1 - KNEES[1])).expand_as(visible)
        assert torch.allclose(fused[inside], visible[inside], atol=1e-5)


def test_the_chroma_gain_takes_the_colour_away() -> None:
    visible, infrared = pair(20, 30)
    grey = apply_grid(constant({"Y": 1.0}), visible, infrared)
    assert (grey - grey.mean(dim=1, keepdim=True)).abs().max() < 1e-5
    assert torch.allclose(luma(grey), luma(visible), atol=1e-5)


def test_flat_sources_give_a_flat_picture_whatever_the_gains() -> None:
    """Nothing can be painted that neither source has: what varies within a cell varies with position alone."""
    flat = torch.full((1, 4, 48, 48), 0.4)
    grid = constant({"max(Y, I)": 1.0, "chroma": 1.0})
    grid[:, :, 4:10] = torch.randn(1, AXES, 6, 3, 4, 5, generator=torch.Generator().manual_seed(3))
    fused = apply_grid(grid, flat[:, :3], flat[:, 3:])
    assert (fused - 0.4).abs().max() < 1e-5


@pytest.mark.parametrize("tile", [16, 33, 64])
def test_tiles_are_the_whole_picture(tile: int) -> None:
    visible, infrared = pair(70, 85, batch=2)
    grid = torch.randn(2, AXES, COEFFICIENTS, 4, 5, 6, generator=torch.Generator().manual_seed(4)) / 4
    whole = apply_grid(grid, visible, infrared).clamp(0, 1)
    assert (apply_tiled(grid, visible, infrared, tile) - whole).abs().max() < 2e-6


def test_parts_of_a_large_picture_are_its_crops() -> None:
    """No tiles, no seams: a part sliced at its own place in the picture equals the whole away from its border."""
    visible, infrared = pair(300, 400)
    grid = torch.randn(1, AXES, COEFFICIENTS, 4, 15, 20, generator=torch.Generator().manual_seed(5)) / 4
    whole = apply_tiled(grid, visible, infrared)
    y, x = positions(300, 400, visible)
    part = (..., slice(100, 180), slice(200, 300))
    alone = apply_grid(grid, visible[part], infrared[part], (y[part], x[part])).clamp(0, 1)
    inside = (..., slice(4, -4), slice(4, -4))
    assert (alone[inside] - whole[part][inside]).abs().max() < 2e-6


def test_positions_take_no_memory() -> None:
    for axis in positions(6000, 4000, torch.zeros(1)):
        assert axis.shape == (1, 1, 6000, 4000)
        assert axis.untyped_storage().nbytes() <= 6000 * 4
        assert -1 < axis.min() and axis.max() < 1


def test_gradients_reach_grid_and_images() -> None:
    visible, infrared = (x.requires_grad_() for x in pair(24, 24))
    grid = constant({"max(Y, I)": 1.0, "Y fine": 0.5, "chroma": 1.0}).requires_grad_()
    apply_grid(grid, visible, infrared).square().mean().backward()
    for tensor in (grid, visible, infrared):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


def test_the_start_is_the_maximum_a_little_sharper() -> None:
    start = dict(zip((*BASIS, "chroma"), starting_coefficients().tolist(), strict=True))
    assert {name: value for name, value in start.items() if value} == pytest.approx(module.START)


def test_what_leaves_the_range_is_bent_back_in_order_and_the_rest_stays() -> None:
    low, high = KNEES
    values = torch.linspace(-0.4, 1.4, 1001, dtype=torch.float64)
    bent = roll_off(values)
    inside = (values >= low) & (values <= 1 - high)
    assert torch.equal(bent[inside], values[inside])
    assert torch.all(bent.diff() > 0) and bent.min() > 0 and bent.max() < 1
    ends = roll_off(torch.tensor([0.0, 1.0], dtype=torch.float64))
    root = 2**-0.5  # x = k gives k / sqrt(2)
    assert torch.allclose(ends, torch.tensor([low * (1 - root), 1 - high * (1 - root)], dtype=torch.float64))


def test_bright_texture_survives_a_gain_that_would_cut_it_off() -> None:
    visible = torch.full((1, 3, 24, 24), 0.8)
    visible[..., ::2] = 0.85
    fused = apply_grid(constant({"Y": 1.3, "chroma": 1.0}), visible, torch.zeros(1, 1, 24, 24))
    assert fused.max() <= 1 and (fused[..., 1:-1:2] < fused[..., 2::2]).all()
