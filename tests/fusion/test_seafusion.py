from __future__ import annotations

import torch

from ldfusion.fusion.seafusion import GradientMagnitude, GRDBFusionNetwork


def test_parameter_count_of_the_released_network():
    assert sum(p.numel() for p in GRDBFusionNetwork().parameters()) == 166_657


def test_gradient_magnitude_starts_as_sobel():
    ramp = torch.arange(8.0).expand(1, 2, 8, 8)
    with torch.no_grad():
        magnitude = GradientMagnitude(2)(ramp)
    assert torch.equal(magnitude[..., 1:-1, 1:-1], torch.full((1, 2, 6, 6), 8.0))


def test_output_shape_range_and_gradients():
    torch.manual_seed(0)
    network = GRDBFusionNetwork()
    fused = network(torch.rand(2, 1, 17, 23), torch.rand(2, 1, 17, 23))
    assert fused.shape == (2, 1, 17, 23)
    assert fused.min() > 0 and fused.max() < 1
    fused.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_an_image_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    network = GRDBFusionNetwork().eval()
    visible, infrared = torch.rand(3, 1, 20, 20), torch.rand(3, 1, 20, 20)
    with torch.no_grad():
        together, alone = network(visible, infrared), network(visible[1:2], infrared[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-6)
