from __future__ import annotations

import pytest
import torch

from ldfusion.io.color import from_stack, luma, rgb_to_ycbcr, to_stack, ycbcr_to_rgb


def test_known_colours() -> None:
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.4, 0.4, 0.4]]).T.reshape(1, 3, 2, 2)
    y, cb, cr = rgb_to_ycbcr(colors)[0]
    assert torch.allclose(y.reshape(-1), torch.tensor([0.299, 0.587, 0.114, 0.4]))
    assert torch.allclose(cb.reshape(-1), torch.tensor([0.331364, 0.168932, 0.999704, 0.5]))
    assert torch.allclose(cr.reshape(-1), torch.tensor([0.999813, 0.081469, 0.418718, 0.5]))
    assert torch.equal(luma(colors)[0, 0], y)


def test_round_trip_is_exact_to_rounding() -> None:
    colors = torch.rand(2, 3, 17, 19, generator=torch.Generator().manual_seed(0))
    ycbcr = rgb_to_ycbcr(colors)
    assert float((ycbcr_to_rgb(ycbcr) - colors).abs().max()) < 1e-6
    # What the customary rounded coefficients would lose, as the module states.
    y, cb, cr = (part - offset for part, offset in zip(ycbcr.split(1, 1), (0, 0.5, 0.5), strict=True))
    rounded = torch.cat([y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb], dim=1)
    assert 1e-4 < float((rounded - colors).abs().max()) < 5e-4


def test_gradient_and_leading_dimensions() -> None:
    colors = torch.rand(3, 8, 8, requires_grad=True)
    ycbcr_to_rgb(rgb_to_ycbcr(colors)).sum().backward()
    assert torch.allclose(colors.grad, torch.ones(3, 8, 8), atol=1e-5)


def test_stack_and_back() -> None:
    visible, infrared = torch.rand(2, 3, 5, 7), torch.rand(2, 1, 5, 7)
    stack = to_stack(visible, infrared)
    assert stack.shape == (2, 4, 5, 7)
    assert float(to_stack(torch.zeros(1, 3, 2, 2), torch.ones(1, 1, 2, 2))[0, 0, 0, 0]) == -1
    assert torch.allclose(stack[:, 3:], infrared * 2 - 1)
    back = from_stack(stack)
    assert torch.allclose(back[0], visible, atol=1e-6)
    assert torch.allclose(back[1], infrared, atol=1e-6)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"of one size, got \(1, 3, 4, 4\) and \(1, 1, 4, 5\)"):
        to_stack(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 5))
    with pytest.raises(ValueError, match="stack"):
        from_stack(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="rgb must be"):
        luma(torch.zeros(1, 4, 4, 4))
