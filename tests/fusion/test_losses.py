from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ldfusion.fusion import losses
from ldfusion.io.color import luma


def grey(values: list[list[float]]) -> Tensor:
    """(1, 1, H, W) in double precision."""
    return torch.tensor(values, dtype=torch.float64)[None, None]


def colour(grey_image: Tensor) -> Tensor:
    return grey_image.expand(-1, 3, -1, -1)


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_sobel_of_ramps_and_of_a_constant() -> None:
    ramp = torch.arange(6, dtype=torch.float64).expand(1, 1, 5, 6)
    inside = losses.sobel(ramp)[..., 1:-1]
    assert torch.equal(inside[:, 0], torch.full((1, 5, 4), 8.0, dtype=torch.float64))
    assert torch.equal(inside[:, 1], torch.zeros(1, 5, 4, dtype=torch.float64))
    x, y = losses.sobel(ramp.mT)[:, :1], losses.sobel(ramp.mT)[:, 1:]
    assert torch.equal(y, losses.sobel(ramp)[:, :1].mT) and torch.equal(x, losses.sobel(ramp)[:, 1:].mT)
    # the border is repeated: a constant has no edge there, and a ramp half of its slope
    assert losses.sobel(torch.ones(1, 1, 3, 4)).abs().max() == 0
    assert (losses.sobel(ramp)[0, 0, :, 0] == 4).all()


def test_the_brighter_source_is_the_intensity_target() -> None:
    visible, infrared = colour(grey([[0.2, 0.9]])), grey([[0.6, 0.1]])
    assert torch.allclose(losses.target_intensity(visible, infrared), grey([[0.6, 0.9]]))
    red = torch.zeros(1, 3, 1, 1, dtype=torch.float64)
    red[:, 0] = 1
    assert losses.target_intensity(red, grey([[0.1]])).item() == pytest.approx(0.299)


def test_intensity_loss_by_hand() -> None:
    target = grey([[0.6, 0.9], [0.0, 0.5]])
    assert losses.intensity_loss(target, target).item() == pytest.approx(0, abs=1e-12)
    assert losses.intensity_loss(target + grey([[0.1, -0.1], [0.3, 0.1]]), target).item() == pytest.approx(0.15)


def test_the_steeper_source_is_the_gradient_target_with_its_sign() -> None:
    falling = torch.linspace(1, 0, 6, dtype=torch.float64).expand(1, 1, 5, 6)
    weak_rising = torch.linspace(0.4, 0.6, 6, dtype=torch.float64).expand(1, 1, 5, 6)
    assert losses.gradient_loss(falling, weak_rising, falling).item() == pytest.approx(0, abs=1e-12)
    assert losses.gradient_loss(weak_rising, weak_rising, falling) > 0.5


@pytest.mark.parametrize(("loss", "response"), [("gradient_loss", "sobel"), ("laplacian_loss", "laplacian")])
def test_edge_losses_are_zero_at_the_stronger_source_and_punish_reversed_contrast(loss: str, response: str) -> None:
    function, edges = getattr(losses, loss), getattr(losses, response)
    image = random(2, 1, 8, 9)
    flat = torch.full_like(image, 0.5)
    assert function(image, flat, image).item() == pytest.approx(0, abs=1e-12)
    assert function(image + 0.3, image, flat).item() == pytest.approx(0, abs=1e-12)
    nothing = function(flat, flat, image)
    assert nothing.item() == pytest.approx(edges(image).abs().mean().item())
    assert function(1 - image, flat, image).item() == pytest.approx(2 * nothing.item())


def test_laplacian_of_a_dot_a_ramp_and_at_the_border() -> None:
    dot = torch.zeros(1, 1, 5, 5)
    dot[..., 2, 2] = 1
    found = losses.laplacian(dot)[0, 0]
    assert found[2, 2] == -4 and found[1, 2] == found[2, 1] == 1 and found.sum() == 0
    ramp = torch.arange(6.0).expand(1, 1, 4, 6)
    assert losses.laplacian(ramp)[..., 1:-1].abs().max() == 0
    assert losses.laplacian(torch.ones(1, 1, 3, 3)).abs().max() == 0


def test_edges_that_neither_source_has_cost_and_others_do_not() -> None:
    first, second = random(1, 1, 12, 12), torch.full((1, 1, 12, 12), 0.5, dtype=torch.float64)
    assert losses.novelty_loss(first, first, second) == 0
    assert losses.novelty_loss(1.1 * first, first, second) == 0
    assert losses.novelty_loss(2 * first, first, second) > 0.1
    assert losses.novelty_loss(first, second, second) > 0.1
    assert losses.novelty_loss(second + 1e-4 * first, second, second) == 0  # below the noise


def test_outside_counts_what_would_be_clipped() -> None:
    image = torch.tensor([1.5, 1.0, 0.0, -0.25]).view(1, 1, 2, 2)
    assert losses.outside_loss(image).item() == pytest.approx((0.5 + 0.25) / 4)


def test_clipping_counts_what_neither_source_clips() -> None:
    first, second = grey([[1.0, 0.5, 0.0, 0.5, 0.99]]), grey([[0.2, 0.5, 0.3, 0.5, 0.5]])
    fused = grey([[1.0, 1.0, 0.0, 0.0, 0.99]])
    found = losses.clipping_loss(fused, first, second, margin=0.1)
    assert found.item() == pytest.approx((0 + 0.1 + 0 + 0.1 + 0) / 5)
    assert losses.clipping_loss(grey([[0.9, 0.1]]), grey([[0.5, 0.5]]), grey([[0.5, 0.5]]), margin=0.1) == 0


def test_roughness_is_zero_for_a_constant_grid_and_sees_every_axis() -> None:
    grid = torch.randn(1, 2, 3, 1, 1, 1).expand(1, 2, 3, 4, 5, 6)
    assert losses.roughness(grid) == 0
    for axis in (3, 4, 5):
        step = torch.zeros(1, 2, 3, 4, 5, 6)
        step.select(axis, 0).fill_(1.0)
        assert losses.roughness(step) > 0.1
    assert losses.roughness(torch.zeros(1, 2, 3, 1, 1, 1)) == 0  # a single cell has no neighbour


def test_glare_is_a_saturated_patch_of_a_night_that_is_not_hot() -> None:
    night = torch.full((1, 1, 64, 64), 0.05)
    night[..., 20:44, 20:44] = 1.0
    cold, hot = torch.full((1, 1, 64, 64), 0.2), torch.ones(1, 1, 64, 64)
    found = losses.glare(night, cold)
    assert found[0, 0, 32, 32].item() == pytest.approx(0.8) and found[..., :8, :8].max() == 0
    assert losses.glare(night, hot).max() == 0
    assert losses.glare(torch.ones(1, 1, 64, 64), cold).max() == 0  # a bright sky by day is none
    dot = torch.full((1, 1, 64, 64), 0.05)
    dot[..., 32, 32] = 1.0
    assert losses.glare(dot, cold).max() == 0  # nor is a single bright pixel


def test_pale_is_a_white_sky_by_day_that_is_dark_in_infrared() -> None:
    sky = torch.full((1, 1, 64, 64), 0.5)
    sky[..., :32, :] = 1.0
    cold = torch.full((1, 1, 64, 64), 0.2)
    found = losses.pale(sky, cold)
    assert found[..., :20, :].min().item() == pytest.approx(0.8) and found[..., 44:, :].max() == 0
    assert losses.pale(sky, torch.ones(1, 1, 64, 64)).max() == 0
    assert losses.pale(sky * 0.7, cold).max() == 0  # a grey sky is none
    night = torch.full((1, 1, 64, 64), 0.05)
    night[..., 20:44, 20:44] = 1.0
    assert losses.pale(night, cold).max() == 0  # nor is a lamp


def test_colour_loss_counts_chroma_only() -> None:
    visible = random(1, 3, 4, 5)
    assert losses.colour_loss(visible + 0.2, visible).item() == pytest.approx(0, abs=1e-9)
    blue = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    blue[:, 2] = 1
    # Cb = 0.564 (1 - 0.114), Cr = 0.713 (0 - 0.114), each beyond the 0.5 of grey
    assert losses.colour_loss(blue, torch.zeros_like(blue)).item() == pytest.approx(0.564 * 0.886 + 0.713 * 0.114)


class Affine(nn.Module):
    """Stands for a depth network that reads depth off the brightness: d = a x + b of the first channel."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, image: Tensor) -> Tensor:
        return self.a * image[:, :1] + self.b


def test_depth_loss_asks_both_networks_up_to_scale_and_shift() -> None:
    depth = random(2, 1, 16, 16)
    fused = colour(depth)
    right, reversed_ = Affine(3.0, 1.0), Affine(-1.0, 2.0)
    assert losses.depth_loss(fused, 5 * depth + 1, 2 * depth, right, right).item() == pytest.approx(0, abs=1e-6)
    one, other = (
        losses.depth_loss(fused, depth, depth, *networks) for networks in ((right, reversed_), (reversed_, right))
    )
    both = losses.depth_loss(fused, depth, depth, reversed_, reversed_)
    assert one > 0.5 and one.item() == pytest.approx(other.item())
    assert both.item() == pytest.approx(one.item() + other.item())
    # the unit of the labels does not matter
    scaled = losses.depth_loss(fused, 100 * depth, 0.01 * depth, reversed_, right)
    assert scaled.item() == pytest.approx(other.item(), rel=1e-3)


def test_gradients_of_the_depth_loss_reach_the_image_through_frozen_networks() -> None:
    torch.manual_seed(0)
    visible_network, infrared_network = nn.Conv2d(3, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)
    for network in (visible_network, infrared_network):
        network.requires_grad_(False)
    fused = torch.rand(1, 3, 16, 16, requires_grad=True)
    depth = torch.rand(1, 1, 16, 16)
    losses.depth_loss(fused, depth, depth, visible_network, infrared_network).backward()
    assert fused.grad is not None and (fused.grad.abs() > 0).float().mean() > 0.9
    assert all(p.grad is None for n in (visible_network, infrared_network) for p in n.parameters())


def test_region_loss_is_the_mean_error_on_the_targets() -> None:
    target = torch.zeros(3, 1, 4, 4)
    fused = torch.full((3, 1, 4, 4), 0.5)
    fused[0, :, 0, 0] = 0.2
    fused[1, :, :2] = 0.8
    mask = torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    mask[0, :, 0, 0] = True  # one pixel weighs as much as eight
    mask[1, :, :2] = True
    assert losses.region_loss(fused, target, mask).item() == pytest.approx((0.2 + 0.8 + 0) / 3)
    assert losses.region_loss(fused, target, torch.zeros_like(mask)).item() == 0
    assert losses.region_loss(target, target, mask).item() == 0


def test_emphasis_lifts_the_named_classes_only() -> None:
    mask = torch.zeros(1, 40, 60, dtype=torch.int64)
    mask[:, 10:30, 5:25], mask[:, 10:30, 35:55] = 1, 2
    infrared = torch.full((1, 1, 40, 60), 0.8)
    lift = losses.emphasis(infrared, mask, torch.tensor([[0.0, 1.0, 0.0]]), strength=0.5)
    assert lift.shape == (1, 1, 40, 60)
    assert torch.allclose(lift[0, 0, 18:22, 43:47], torch.tensor(0.4))
    assert lift[..., :26].max() == 0
    assert lift.min() == 0 and lift.max() <= 0.4 + 1e-6
    assert losses.emphasis(infrared, mask, torch.zeros(1, 3), strength=0.5).max() == 0
    both = losses.emphasis(infrared, mask, torch.tensor([[1.0, 1.0, 0.0]]), strength=0.5)
    assert torch.allclose(both[0, 0, 18:22, 13:17], torch.tensor(0.4))


def test_emphasis_follows_the_thermal_signature_and_has_no_hard_edge() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.int64)
    mask[:, 10:30, 10:30] = 3
    infrared = torch.ones(1, 1, 40, 40)
    infrared[..., 20:] = 0.25
    lift = losses.emphasis(infrared, mask, torch.tensor([[0.0, 0.0, 1.0]]), strength=1.0)
    assert lift[0, 0, 20, 19].item() == pytest.approx(1) and lift[0, 0, 20, 20].item() == pytest.approx(0.25)
    assert lift[..., :20].diff(dim=-2).abs().max() < 0.12
    unknown = torch.full((1, 40, 40), 255)
    assert losses.emphasis(infrared, unknown, torch.ones(1, 3), strength=1.0).max() == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda fused: losses.intensity_loss(luma(fused), random(1, 1, 5, 6)),
        lambda fused: losses.gradient_loss(luma(fused), random(1, 1, 5, 6), random(1, 1, 5, 6) ** 2),
        lambda fused: losses.laplacian_loss(luma(fused), random(1, 1, 5, 6), random(1, 1, 5, 6) ** 2),
        lambda fused: losses.novelty_loss(luma(fused), random(1, 1, 5, 6) / 4, random(1, 1, 5, 6) ** 2 / 4),
        lambda fused: losses.colour_loss(fused, random(1, 3, 5, 6)),
    ],
    ids=["intensity", "gradient", "laplacian", "novelty", "colour"],
)
def test_gradients_are_those_of_the_values(loss: Callable[[Tensor], Tensor]) -> None:
    fused = (random(1, 3, 5, 6) * 0.97 + 0.013).requires_grad_()
    assert torch.autograd.gradcheck(loss, (fused,), eps=1e-7, atol=1e-5)


def test_the_gradient_of_the_depth_loss_is_that_of_its_values() -> None:
    """Along one direction and with single precision, in which the networks answer."""
    depth, direction = random(1, 1, 16, 16), random(1, 3, 16, 16).flip(-1) - 0.5
    fused = random(1, 3, 16, 16).requires_grad_()

    def loss(image: Tensor) -> Tensor:
        return losses.depth_loss(image, depth, depth**2, Affine(2.0, 0.1), Affine(0.5, 0.0))

    loss(fused).backward()
    assert fused.grad is not None
    h = 1e-3
    with torch.no_grad():
        difference = (loss(fused + h * direction) - loss(fused - h * direction)) / (2 * h)
    assert (fused.grad * direction).sum().item() == pytest.approx(difference.item(), rel=0.02)


def test_losses_are_means_over_the_samples() -> None:
    fused, visible, infrared = random(3, 3, 8, 8), random(3, 3, 8, 8) ** 2, random(3, 1, 8, 8)
    depth = random(3, 1, 8, 8)
    network = Affine(1.0, 0.0)

    def every(k: slice) -> Tensor:
        return torch.stack(
            [
                losses.intensity_loss(luma(fused[k]), losses.target_intensity(visible[k], infrared[k])),
                losses.gradient_loss(luma(fused[k]), luma(visible[k]), infrared[k]),
                losses.laplacian_loss(luma(fused[k]), luma(visible[k]), infrared[k]),
                losses.novelty_loss(luma(fused[k]), luma(visible[k]) / 4, infrared[k] / 4),
                losses.outside_loss(2 * fused[k]),
                losses.colour_loss(fused[k], visible[k]),
                losses.depth_loss(fused[k], depth[k], depth[k] ** 2, network, network),
            ]
        )

    parts = torch.stack([every(slice(k, k + 1)) for k in range(3)])
    assert torch.allclose(every(slice(None)), parts.mean(0))
    assert luma(fused).shape == (3, 1, 8, 8)


def test_a_sentence_must_change_its_target_and_nothing_else() -> None:
    infrared = torch.full((1, 1, 40, 40), 0.8)
    mask = torch.zeros(1, 40, 40, dtype=torch.long)
    mask[:, 5:15, 5:15], mask[:, 25:35, 25:35] = 1, 2
    named = torch.tensor([[1.0, -1.0, 0.0]])
    base = torch.full((1, 1, 40, 40), 0.5)
    weights = [losses.emphasis(infrared, mask, torch.eye(3)[[k]], 1.0) for k in range(2)]
    away = (weights[0] == weights[1]).float()  # in the softened rims of both, too, they ask for nothing

    def loss(change: torch.Tensor) -> float:
        return losses.contrast_loss(base + change, base, infrared, mask, named, margin=0.1).item()

    side = (weights[0] - weights[1]).sign()
    assert loss(torch.zeros_like(base)) == pytest.approx(0.1)
    assert loss(0.1 * side * (1 - away)) == pytest.approx(0, abs=1e-6)
    assert loss(-0.1 * side * (1 - away)) == pytest.approx(0.2)
    assert loss(0.05 * away) == pytest.approx(0.15)  # the margin is missed, and the rest has changed
    unnamed = losses.contrast_loss(base + 0.1, base, infrared, mask, torch.zeros(1, 3))
    assert unnamed.item() == pytest.approx(0.1)
