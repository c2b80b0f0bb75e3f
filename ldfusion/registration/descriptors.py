"""The matching network: visible and infrared images to descriptors that agree where both show the same place.

Two stems, one a modality, lead into one trunk: what differs between the sensors is met by the stems, what is common,
shapes and their surroundings, is learned once. Descriptors have unit length; beside them stands a concentration
kappa, the inverse temperature of the softmax over candidates. Trained by cross-entropy (InfoNCE, van den Oord et al.
2018, with a learned temperature for each position), kappa grows where a match is sure and shrinks on sky and asphalt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4
"""Pixels of a descriptor cell; cell k covers the pixels 4k .. 4k + 3, its centre lies at 4k + 1.5."""
MULTIPLE = 16
"""Height and width of the input are multiples of this."""
MODALITIES = ("visible", "infrared")

_WINDOW = 31
_MIN_STD = 0.01
_KAPPA_MAX = 40.0


def local_contrast(image: Tensor) -> Tensor:
    """Deviation from the local mean over the local standard deviation (31x31 pixels), of (B, 1, H, W) in [0, 1]."""
    centre = _local_mean(image)
    variance = (_local_mean(image.square()) - centre.square()).clamp_min(0)
    return (image - centre) / (variance + _MIN_STD**2).sqrt()


def edge_orientation(contrast: Tensor) -> Tensor:
    """Structure tensor gx^2, gy^2, gx gy over its local mean, (B, 1, H, W) to (B, 3, H, W).

    Products of gradients do not tell a bright edge from a dark one, and no more do the two sensors agree on which side
    of an edge is the brighter one: an invariance that the network need not learn.
    """
    padded = F.pad(contrast, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    energy = _local_mean(gx.square() + gy.square())
    return torch.cat([gx.square(), gy.square(), gx * gy], 1) / (energy + _MIN_STD)


def _local_mean(x: Tensor) -> Tensor:
    half = _WINDOW // 2
    # rows, then columns: 62 instead of 961 additions a pixel
    x = F.avg_pool2d(x, (1, _WINDOW), 1, (0, half), count_include_pad=False)
    return F.avg_pool2d(x, (_WINDOW, 1), 1, (half, 0), count_include_pad=False)


class _Block(nn.Module):
    """x + conv(SiLU(conv(x))), normalised; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        last = self.body[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.body(x))


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    # 4x4 instead of 3x3: the result's pixels lie in the middle of the 2x2 pixels they stand for, also when warped
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU(inplace=True)
    )


class MatchingNetwork(ModelMixin, ConfigMixin):
    """Descriptors at a quarter of the resolution, from features at 1/4, 1/8 and 1/16.

    Args:
        widths: channels at 1/2 (stem), 1/4 (stem), 1/8 and 1/16 (trunk).
        blocks: residual blocks at 1/4, 1/8 and 1/16.
        dim: length of a descriptor.
    """

    @register_to_config
    def __init__(
        self, widths: Sequence[int] = (24, 48, 96, 128), blocks: Sequence[int] = (1, 2, 2), dim: int = 64
    ) -> None:
        super().__init__()
        if len(widths) != 4 or len(blocks) != 3:
            raise ValueError(f"need four widths and three numbers of blocks, got {tuple(widths)} and {tuple(blocks)}")
        half, quarter, eighth, sixteenth = widths
        self.stems = nn.ModuleDict(
            {
                name: nn.Sequential(
                    _halve(channels, half), _halve(half, quarter), *(_Block(quarter) for _ in range(blocks[0]))
                )
                for name, channels in (("visible", 7), ("infrared", 5))
            }
        )
        self.eighth = nn.Sequential(_halve(quarter, eighth), *(_Block(eighth) for _ in range(blocks[1])))
        self.sixteenth = nn.Sequential(_halve(eighth, sixteenth), *(_Block(sixteenth) for _ in range(blocks[2])))
        self.laterals = nn.ModuleList(nn.Conv2d(width, dim, 1) for width in (quarter, eighth, sixteenth))
        self.merge_eighth, self.merge_quarter = _Block(dim), _Block(dim)
        self.head = nn.Conv2d(dim, dim + 1, 3, padding=1)

    def forward(self, visible: Tensor, infrared: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Descriptors of pairs of one size, in one pass of the trunk; see `describe` for the parts of the result."""
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
        grey = image.mean(1, keepdim=True)
        spread = (grey - grey.mean((2, 3), keepdim=True)).square().mean((2, 3), keepdim=True)
        whole = (image - grey.mean((2, 3), keepdim=True)) / (spread + _MIN_STD**2).sqrt()
        contrast = local_contrast(grey)
        x = torch.cat([whole, contrast, edge_orientation(contrast)], 1).contiguous(memory_format=torch.channels_last)
        stem: Tensor = self.stems[modality](x)
        return stem

    def _trunk(self, quarter: Tensor) -> tuple[Tensor, Tensor]:
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        x = self.merge_eighth(_double(self.laterals[2](sixteenth)) + self.laterals[1](eighth))
        x = self.merge_quarter(_double(x) + self.laterals[0](quarter))
        out = self.head(x).float()
        kappa = 1 + (_KAPPA_MAX - 1) * torch.sigmoid(out[:, -1:])
        return F.normalize(out[:, :-1], dim=1), kappa


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
