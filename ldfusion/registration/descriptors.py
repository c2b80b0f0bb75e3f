"""The matching network: visible and infrared images to descriptors that agree where both show the same place.

What the two sensors share is where edges lie and how they run, not which side is brighter. So the first part is fixed:
local contrast, then histograms of edge orientation without sign (histograms of oriented gradients, Dalal and Triggs
2005; used densely for multimodal images by Ye et al. 2019, CFOG). The second part is learned: dilated convolutions,
which read the pattern of histograms over 36, 72 and 144 pixels, and a perceptron at each position. The first layers of
both modalities start out equal, so that even the untrained network compares patterns of edges.

Descriptors have unit length; beside them stands a concentration kappa, the inverse temperature of the softmax over
candidates. Trained by cross-entropy (InfoNCE, van den Oord et al. 2018, with a temperature for each position), kappa
grows where a match is sure and shrinks on sky and asphalt.
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.io.color import luma

STRIDE = 4
"""Pixels of a descriptor cell; cell k covers the pixels 4k .. 4k + 3, its centre lies at 4k + 1.5."""
MULTIPLE = 16
"""Height and width of the input are multiples of this."""
MODALITIES = ("visible", "infrared")

_BINS = 8
_WINDOW = 31
_CELLS = 9
_MIN_STD = 0.01
_MIN_ENERGY = 0.02
_KAPPA_MAX = 40.0
_KAPPA_START = 15.0


def local_contrast(image: Tensor) -> Tensor:
    """Deviation from the local mean over the local standard deviation (31x31 pixels), of (B, 1, H, W) in [0, 1]."""
    centre = _local_mean(image, _WINDOW)
    variance = (_local_mean(image.square(), _WINDOW) - centre.square()).clamp_min(0)
    return (image - centre) / (variance + _MIN_STD**2).sqrt()


def edge_histograms(image: Tensor) -> Tensor:
    """What each cell of 4x4 pixels shows.

    Args:
        image: (B, 1, H, W) in [0, 1], H and W multiples of 4.

    Returns:
        (B, 10, H/4, W/4): eight shares of edge directions (modulo 180 degrees, square roots, relative to the edges of
        the 9x9 cells around), the mean local contrast, and how much edge there is at all, 0 to 1.
    """
    contrast = local_contrast(image)
    padded = F.pad(contrast, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    square = gx.square() + gy.square()
    strength = square.sqrt().clamp(max=1.0)
    # cosine and sine of the doubled angle: an edge and its negative have the same
    double = torch.cat([gx.square() - gy.square(), 2 * gx * gy], 1) / square.clamp_min(1e-12)
    angle = 2 * math.pi / _BINS * torch.arange(_BINS, device=image.device)
    lobes = torch.stack([angle.cos(), angle.sin()], 1)[..., None, None].to(image.dtype)
    bins = F.avg_pool2d(F.relu(F.conv2d(double, lobes)).pow(3) * strength, STRIDE)
    smooth = torch.tensor([0.25, 0.5, 0.25], device=image.device, dtype=image.dtype).expand(_BINS, 1, 3)
    bins = F.conv2d(bins, smooth[:, :, None], padding=(0, 1), groups=_BINS)
    bins = F.conv2d(bins, smooth[..., None], padding=(1, 0), groups=_BINS)
    energy = _local_mean(bins.sum(1, keepdim=True), _CELLS)
    shares = (bins / (energy + _MIN_ENERGY)).clamp_min(1e-8).sqrt()
    return torch.cat([shares, F.avg_pool2d(contrast, STRIDE), energy / (energy + 0.05)], 1)


def _local_mean(x: Tensor, window: int) -> Tensor:
    half = window // 2
    # rows, then columns: 2 n instead of n^2 additions a pixel
    x = F.avg_pool2d(x, (1, window), 1, (0, half), count_include_pad=False)
    return F.avg_pool2d(x, (window, 1), 1, (half, 0), count_include_pad=False)


def _patterns(hidden: int) -> nn.ModuleList:
    """One convolution over 5x5 histograms, every second cell, for each of three scales."""
    return nn.ModuleList(nn.Conv2d(_BINS + 2, hidden, 5, padding=4, dilation=2, bias=False) for _ in range(3))


class MatchingNetwork(ModelMixin, ConfigMixin):
    """Descriptors at a quarter of the resolution.

    Args:
        hidden: channels of the hidden layers.
        dim: length of a descriptor.
    """

    @register_to_config
    def __init__(self, hidden: int = 96, dim: int = 64) -> None:
        super().__init__()
        self.stems = nn.ModuleDict({name: _patterns(hidden) for name in MODALITIES})
        self.stems[MODALITIES[1]].load_state_dict(self.stems[MODALITIES[0]].state_dict())
        self.norm = nn.BatchNorm2d(hidden)
        self.middle = nn.Sequential(nn.SiLU(), nn.Conv2d(hidden, hidden, 1), nn.SiLU())
        self.head = nn.Conv2d(hidden, dim + 1, 1)

    def forward(self, visible: Tensor, infrared: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Descriptors of pairs of one size, as `describe` gives them: of the visible, of the infrared images."""
        count = visible.shape[0]
        x = torch.cat([self._stem(visible, "visible"), self._stem(infrared, "infrared")])
        descriptors, kappa = self._trunk(x)
        return (descriptors[:count], kappa[:count]), (descriptors[count:], kappa[count:])

    def describe(self, image: Tensor, modality: str) -> tuple[Tensor, Tensor]:
        """Descriptors of one modality.

        Args:
            image: (B, 3, H, W) visible or (B, 1, H, W) infrared in [0, 1], H and W multiples of 16.
            modality: ``visible`` or ``infrared``.

        Returns:
            Unit descriptors (B, dim, H/4, W/4) and concentrations kappa (B, 1, H/4, W/4) in 1..40.

        Raises:
            ValueError: another shape.
        """
        return self._trunk(self._stem(image, modality))

    def _stem(self, image: Tensor, modality: str) -> Tensor:
        channels = 3 if modality == "visible" else 1
        if image.shape[1] != channels or image.shape[-2] % MULTIPLE or image.shape[-1] % MULTIPLE:
            raise ValueError(
                f"{modality} of shape {tuple(image.shape)}: need {channels} channels and sides that are multiples "
                f"of {MULTIPLE}"
            )
        with torch.autocast(image.device.type, enabled=False):  # variances of half precision would be noise
            cells = edge_histograms(luma(image) if channels == 3 else image)
        cells = cells.contiguous(memory_format=torch.channels_last)
        size = cells.shape[-2:]
        total: Tensor = self.stems[modality][0](cells)
        for scale in self.stems[modality][1:]:
            cells = F.avg_pool2d(cells, 2)
            total = total + F.interpolate(scale(cells), size, mode="bilinear", align_corners=False)
        return total

    def _trunk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.head(self.middle(self.norm(x))).float()
        offset = math.log((_KAPPA_START - 1) / (_KAPPA_MAX - _KAPPA_START))
        kappa = 1 + (_KAPPA_MAX - 1) * torch.sigmoid(out[:, -1:] + offset)
        return F.normalize(out[:, :-1], dim=1), kappa
