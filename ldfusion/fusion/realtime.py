"""The student: a small network that fuses pairs as fast as a camera delivers them.

A trunk sees a copy of the pair of one fixed size, 144 x 192 pixels, and gives a coarse map of hidden values. Made as
large as half the picture they are shifted by luma, infrared and their details at each pixel, cut at zero, and mixed to
coefficients: a piecewise linear function of position and of both images, as the pipeline's grid is, whose nodes have
here learned places (`ldfusion.fusion.grid`). The coefficients weigh the functions of `BASIS` at half the size. At the
whole size the picture is one affine function of colour, luma and infrared, whose four factors vary smoothly.

Every operator is one of ONNX, with height and width free. Where PyTorch is faster with several operators in place of
one, the one is taken for the export; both give the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.fusion.decoder import HISTOGRAM, clean_input, histograms
from ldfusion.fusion.grid import roll_off
from ldfusion.fusion.tone import CONTROLS
from ldfusion.io.color import BLUE, GREEN, RED, luma
from ldfusion.language.modulation import TextModulation, modulate

BASIS = ("1", "Y", "I", "max(Y, I)", "Y coarse", "I coarse")
"""Of the picture at half the size: both images, and what a mean over 3x3 pixels takes away from them there."""
GAINS = ("Y fine", "I fine", "chroma")
"""Of what halving takes away, and of the visible image's chroma."""
COEFFICIENTS = len(BASIS) + len(GAINS)
START = {"max(Y, I)": 1.0, "Y coarse": 0.2, "I coarse": 0.2, "Y fine": 0.8, "I fine": 0.8, "chroma": 1.0}
"""Coefficients of an untrained network."""
GUIDES = 4
"""Luma, infrared, and the coarse details of both."""
CELL = 4
"""Pixels of the working copy to a cell of the coarse map."""


class RealtimeNetwork(ModelMixin, ConfigMixin):
    """Visible and infrared image in, fused image out.

    Args:
        working: height and width of the copy that the trunk sees, multiples of 16, whatever the picture's shape.
        widths: channels of the trunk at a half, a quarter and an eighth of the copy.
        hidden: values of a cell.
        token: hidden width of what the whole picture decides.
        text_dim: width of the text feature; 0: no sentence moves it.
    """

    @register_to_config
    def __init__(
        self,
        working: Sequence[int] = (144, 192),
        widths: Sequence[int] = (20, 40, 64),
        hidden: int = 24,
        token: int = 64,
        text_dim: int = 128,
    ) -> None:
        super().__init__()
        if len(working) != 2 or any(side < 16 or side % 16 for side in working):
            raise ValueError(f"working={list(working)}: height and width must be multiples of 16")
        first, second, third = widths
        self.working = (int(working[0]), int(working[1]))
        self.fine = _convolution(6, first, 2)
        self.middle = nn.Sequential(_convolution(first, second, 2), _convolution(second, second))
        self.deep = nn.Sequential(_convolution(second, third, 2), _convolution(third, third))
        self.refine = nn.Sequential(_convolution(third, third), _convolution(third, third))
        self.join = nn.Conv2d(third, second, 1)
        self.cells = nn.Sequential(_convolution(second, second), nn.Conv2d(second, hidden, 1))
        self.exposure = nn.Sequential(
            nn.Linear(third + 2 * HISTOGRAM + CONTROLS, token), nn.LeakyReLU(0.2), nn.Linear(token, 2 * third)
        )
        self.modulation = TextModulation(text_dim, (third,), token, init_scale=0.5) if text_dim else None
        self.shift = nn.Conv2d(GUIDES, hidden, 1, bias=False)
        self.mix = nn.Conv2d(hidden, COEFFICIENTS, 1)
        nn.init.normal_(self.shift.weight, std=1.5)
        nn.init.normal_(self.mix.weight, std=0.01)
        with torch.no_grad():
            assert self.mix.bias is not None
            self.mix.bias.copy_(torch.tensor([START.get(name, 0.0) for name in (*BASIS, *GAINS)]))

    def cell_map(
        self,
        stack: Tensor,
        text: Tensor | None = None,
        tone: Tensor | None = None,
        steady: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The coarse map (B, hidden, h / CELL, w / CELL) of a working copy.

        Args:
            stack: [R, G, B, IR] (B, 4, h, w) in [-1, 1], of the size ``working``.
            text: sentence feature (B, text_dim); None: no sentence.
            tone, steady: see `ldfusion.fusion.decoder.FusionDecoder.forward`.
        """
        quarter = self.middle(self.fine(clean_input(stack)))
        eighth = self.deep(quarter)
        known = torch.cat([eighth.mean(dim=(2, 3)), histograms(stack[..., ::CELL, ::CELL])], dim=1)
        if steady is not None:
            known = steady(known)
        if tone is None:
            tone = torch.zeros_like(known[:, :CONTROLS])
        token = self.exposure(torch.cat([known, tone.to(known.dtype).expand(known.shape[0], -1)], dim=1))
        eighth = modulate(eighth, *token[..., None, None].chunk(2, dim=1))
        if text is not None and self.modulation is not None:
            eighth = modulate(eighth, *self.modulation(text)[0])
        coarse = F.interpolate(self.join(self.refine(eighth)), scale_factor=2.0, mode="bilinear", align_corners=False)
        cells: Tensor = self.cells(quarter + coarse)
        return cells

    def coefficients(self, cells: Tensor, guides: Tensor) -> Tensor:
        """Coefficients (B, COEFFICIENTS, H, W) of every pixel.

        Args:
            cells: (B, hidden, h, w), spread over the whole picture.
            guides: (B, GUIDES, H, W), see `guides_of`.
        """
        size = (guides.shape[-2], guides.shape[-1])
        return self.mixed(F.interpolate(_last(cells), size=size, mode="bilinear", align_corners=False), guides)

    def mixed(self, hidden: Tensor, guides: Tensor) -> Tensor:
        """`coefficients` of cells that are already as large as the guides: hidden (B, hidden, H, W)."""
        shift, mix, bias = self.shift.weight.flatten(1), self.mix.weight.flatten(1), self.mix.bias
        size = (guides.shape[-2], guides.shape[-1])
        assert bias is not None
        if torch.compiler.is_exporting():
            flat = torch.relu(hidden.flatten(2) + torch.matmul(shift, guides.flatten(2)))
            return (torch.matmul(mix, flat) + bias[:, None]).unflatten(2, size)
        # with the channels last the enlargement takes a fifth of the time
        rows = hidden.permute(0, 2, 3, 1).flatten(1, 2)
        rows = torch.relu_(torch.baddbmm(rows, guides.flatten(2).transpose(1, 2), shift.T.expand(len(rows), -1, -1)))
        return (torch.matmul(mix, rows.transpose(1, 2)) + bias[:, None]).unflatten(2, size)

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor | None = None,
        tone: Tensor | None = None,
        working: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fuse with gradients, for training and for the export.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            text, tone: see `cell_map`.
            working: another size of the working copy, multiples of 16.

        Returns:
            Colour image (B, 3, H, W) around [0, 1], not clamped; the cells; and at half the size the coefficients and
            the guides.
        """
        colour, warm = halve(visible), halve(infrared)
        stack = torch.cat([colour, warm], dim=1)
        cells = self.cell_map(shrink(stack, working or self.working) * 2 - 1, text, tone)
        guides = guides_of(colour, warm)
        coefficients = self.coefficients(cells, guides)
        return compose(factors(coefficients, guides), visible, infrared), cells, coefficients, guides


def halve(image: Tensor) -> Tensor:
    """Image (B, C, H, W) at half the size, rounded up: means of 2x2 pixels, the last row and column repeated."""
    if torch.compiler.is_exporting():
        return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
    odd = [image.shape[-1] % 2, image.shape[-2] % 2]
    if any(odd):
        image = F.pad(image, (0, odd[0], 0, odd[1]), mode="replicate")
    rows = image[..., 0::2, :] + image[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def shrink(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Image (B, C, H, W) at another size, low-pass filtered where it shrinks."""
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)


def guides_of(colour: Tensor, infrared: Tensor) -> Tensor:
    """Luma, infrared, and what a mean over 3x3 pixels takes away from each, (B, GUIDES, H, W).

    Args:
        colour: (B, 3, H, W). infrared: (B, 1, H, W), both at half the size.
    """
    pair = torch.cat([_grey(colour), infrared], dim=1)
    return torch.cat([pair, pair - _mean3(pair)], dim=1)


def base_picture(coefficients: Tensor, guides: Tensor) -> Tensor:
    """The fused luma (B, 1, H, W) at half the size: the functions of `BASIS`, weighed.

    Args:
        coefficients: (B, COEFFICIENTS, H, W).
        guides: (B, GUIDES, H, W).
    """
    brighter = guides[:, :2].amax(dim=1, keepdim=True)
    functions = torch.cat([guides[:, :2], brighter, guides[:, 2:]], dim=1)
    return roll_off(coefficients[:, :1] + (coefficients[:, 1 : len(BASIS)] * functions).sum(dim=1, keepdim=True))


def factors(coefficients: Tensor, guides: Tensor) -> Tensor:
    """What the whole picture is made with (B, 4, H, W): a constant, factors of luma, of infrared and of chroma.

    Args:
        coefficients: (B, COEFFICIENTS, H, W).
        guides: (B, GUIDES, H, W).
    """
    gains = coefficients[:, len(BASIS) :]
    rest = (gains[:, :2] * guides[:, :2]).sum(dim=1, keepdim=True)
    return torch.cat([base_picture(coefficients, guides) - rest, gains], dim=1)


def compose(factors_: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """The picture (B, 3, H, W), not clamped.

    Args:
        factors_: (B, 4, h, w) of half the size, see `factors` and `halve`.
        visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
    """
    large = F.interpolate(factors_.contiguous(), scale_factor=2.0, mode="bilinear", align_corners=False)
    large = large[..., : visible.shape[-2], : visible.shape[-1]]
    constant, of_luma, of_infrared, of_chroma = large.split(1, dim=1)
    grey = _grey(visible)
    rest = constant + (of_luma - of_chroma) * grey + of_infrared * infrared
    return visible * of_chroma + rest


def _grey(colour: Tensor) -> Tensor:
    if torch.compiler.is_exporting():
        weights = colour.new_tensor([[RED, GREEN, BLUE]])
        return torch.matmul(weights, colour.flatten(2)).unflatten(2, (colour.shape[-2], colour.shape[-1]))
    return luma(colour)


def _mean3(image: Tensor) -> Tensor:
    """Mean over 3x3 pixels, the border repeated."""
    wide = F.pad(image, (1, 1, 1, 1), mode="replicate")
    if torch.compiler.is_exporting():
        return F.avg_pool2d(wide, 3, 1)
    rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) * (1 / 9)


def _last(image: Tensor) -> Tensor:
    """The same values with the channels last in memory, where many operators of the CPU are several times faster."""
    return image.contiguous(memory_format=torch.channels_last)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.2))
