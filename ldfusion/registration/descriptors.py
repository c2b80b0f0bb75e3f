"""The matching network: visible and infrared images to descriptors that agree where both show the same place.

What the two sensors share is where edges lie and how they run, not which side is brighter. So the first part is fixed:
local contrast, then histograms of edge orientation without sign (histograms of oriented gradients, Dalal and Triggs
2005; used densely for multimodal images by Ye et al. 2019, CFOG). The second part is learned: patterns of 5x5
histograms at three scales, 36, 72 and 144 pixels wide, each brought to unit length, are projected linearly, and a
perceptron adds to that. The projection starts as a rotation, the same for both modalities, and the perceptron at zero:
the untrained network compares patterns of edges, and training starts from there.

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

_BINS = 4
_SIDE = 5
_SCALES = 3
_WINDOW = 31
_CELLS = 9
_MIN_STD = 0.01
_MIN_ENERGY = 0.02
_KAPPA_MAX = 40.0
_KAPPA_START = 20.0


def local_contrast(image: Tensor) -> Tensor:
    """Deviation from the local mean over the local standard deviation (31x31 pixels), of (B, 1, H, W) in [0, 1]."""
    centre = _local_mean(image, _WINDOW)
    variance = (_local_mean(image.square(), _WINDOW) - centre.square()).clamp_min(0)
    return (image - centre) / (variance + _MIN_STD**2).sqrt()


def edge_histograms(image: Tensor) -> Tensor:
    """Which way the edges of each cell of 4x4 pixels run.

    Args:
        image: (B, 1, H, W) in [0, 1], H and W multiples of 4.

    Returns:
        (B, 4, H/4, W/4): strength of the edges at 0, 45, 90 and 135 degrees, an edge and its negative alike.
    """
    contrast = local_contrast(image)
    padded = F.pad(contrast, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    square = gx.square() + gy.square()
    # cosine and sine of the doubled angle: an edge and its negative have the same
    double = torch.cat([gx.square() - gy.square(), 2 * gx * gy], 1) / square.clamp_min(1e-12)
    angle = 2 * math.pi / _BINS * torch.arange(_BINS, device=image.device)
    lobes = torch.stack([angle.cos(), angle.sin()], 1)[..., None, None].to(image.dtype)
    bins = F.avg_pool2d(F.relu(F.conv2d(double, lobes)).pow(3) * square.sqrt().clamp(max=1.0), STRIDE)
    smooth = torch.tensor([0.25, 0.5, 0.25], device=image.device, dtype=image.dtype).expand(_BINS, 1, 3)
    bins = F.conv2d(F.pad(bins, (1, 1, 1, 1), mode="replicate"), smooth[:, :, None], groups=_BINS)
    return F.conv2d(bins, smooth[..., None], groups=_BINS)


def equalise(bins: Tensor) -> tuple[Tensor, Tensor]:
    """Histograms relative to the edges of the 9x9 cells around, as square roots around zero, and the patterns' length.

    Args:
        bins: (B, 4, h, w).

    Returns:
        (B, 4, h, w), and (B, 1, h, w): the length of the vector of 5x5 of these histograms, every second cell.
    """
    energy = _local_mean(bins.mean(1, keepdim=True), _CELLS)
    shares = (bins / (energy + _MIN_ENERGY)).clamp_min(1e-6).sqrt()
    shares = shares - _local_mean(shares.mean(1, keepdim=True), _CELLS)
    ones = torch.ones(1, 1, _SIDE, _SIDE, device=bins.device, dtype=bins.dtype)
    length = F.conv2d(shares.square().sum(1, keepdim=True), ones, padding=_SIDE - 1, dilation=2)
    return shares, length.clamp_min(1e-6).sqrt()


def _local_mean(x: Tensor, window: int) -> Tensor:
    half = window // 2
    # rows, then columns: 2 n instead of n^2 additions a pixel
    x = F.avg_pool2d(x, (1, window), 1, (0, half), count_include_pad=False)
    return F.avg_pool2d(x, (window, 1), 1, (half, 0), count_include_pad=False)


def _patterns(hidden: int, dim: int) -> nn.ModuleList:
    """A convolution over 5x5 histograms, every second cell, for each scale; the first outputs are a rotation."""
    scales = nn.ModuleList(
        nn.Conv2d(_BINS, dim + hidden, _SIDE, padding=_SIDE - 1, dilation=2, bias=False) for _ in range(_SCALES)
    )
    rotation = nn.init.orthogonal_(torch.empty(dim, _SCALES * _BINS * _SIDE**2))
    for scale, part in zip(scales, rotation.chunk(_SCALES, 1), strict=True):
        assert isinstance(scale, nn.Conv2d)
        with torch.no_grad():
            scale.weight[:dim] = part.view(dim, _BINS, _SIDE, _SIDE)
            scale.weight[dim:] *= _SIDE * _BINS**0.5  # patterns have unit length, not unit variance
    return scales


class MatchingNetwork(ModelMixin, ConfigMixin):
    """Descriptors at a quarter of the resolution.

    Args:
        hidden: width of the perceptron's hidden layer.
        dim: length of a descriptor.
    """

    @register_to_config
    def __init__(self, hidden: int = 128, dim: int = 96) -> None:
        super().__init__()
        self.dim = dim
        self.stems = nn.ModuleDict({name: _patterns(hidden, dim) for name in MODALITIES})
        self.stems[MODALITIES[1]].load_state_dict(self.stems[MODALITIES[0]].state_dict())
        self.biases = nn.ParameterDict({name: nn.Parameter(torch.zeros(hidden)) for name in MODALITIES})
        self.heads = nn.ModuleDict({name: nn.Conv2d(hidden, dim + 1, 1) for name in MODALITIES})
        for head in self.heads.values():
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, visible: Tensor, infrared: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """`describe` of the visible and of the infrared images."""
        return self.describe(visible, "visible"), self.describe(infrared, "infrared")

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
        channels = 3 if modality == "visible" else 1
        if image.shape[1] != channels or image.shape[-2] % MULTIPLE or image.shape[-1] % MULTIPLE:
            raise ValueError(
                f"{modality} of shape {tuple(image.shape)}: need {channels} channels and sides that are multiples "
                f"of {MULTIPLE}"
            )
        with torch.autocast(image.device.type, enabled=False):  # variances of half precision would be noise
            bins = edge_histograms(luma(image) if channels == 3 else image)
        total = bins.new_zeros(())
        for level in range(_SCALES):
            scale = self.stems[modality].get_submodule(str(level))
            shares, length = equalise(bins if level == 0 else F.avg_pool2d(bins, 2**level))
            pattern = scale(shares.contiguous(memory_format=torch.channels_last)) / length
            total = total + (_enlarge(pattern, bins.shape[-2:]) if level else pattern)
        hidden = F.silu(total[:, self.dim :] + self.biases[modality][:, None, None])
        out = self.heads[modality](hidden)
        offset = math.log((_KAPPA_START - 1) / (_KAPPA_MAX - _KAPPA_START))
        kappa = 1 + (_KAPPA_MAX - 1) * torch.sigmoid(out[:, self.dim :].float() + offset)
        return F.normalize((total[:, : self.dim] + out[:, : self.dim]).float(), dim=1), kappa


def _enlarge(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
