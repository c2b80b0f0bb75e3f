"""The affine network of the registration papers, and the registrar around it.

Six blocks of convolution (stride 1, no padding), 2x2 max-pooling and ReLU bring 2x240x320 down to 120x1x2; four sizes
240-100-50-6 of fully connected layers give theta (2x3), which starts as the identity. The first seed paper lists seven
convolutions; its code and its published weights have six, and only six fit the 240 inputs. 456,236 parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.registration.inputs import PUBLISHED_MASKS, check_kinds
from ldfusion.registration.masks import MaskSource
from ldfusion.registration.orientation import OrientationRegistrar
from ldfusion.registration.published import load_network
from ldfusion.registration.working import Start, WorkingPair, similarity
from ldfusion.types import Registration

HEIGHT, WIDTH = 240, 320
_BLOCKS = ((32, 7), (48, 5), (64, 5), (80, 5), (100, 3), (120, 3))
_FLAT = 240


def normaliser(size: tuple[int, int], align_corners: bool) -> Tensor:
    """(3, 3) float32: pixels -> what `torch.nn.functional.affine_grid` calls -1..1 on an image of (height, width)."""
    height, width = size
    if align_corners:  # -1 and 1 are the centres of the outermost pixels
        rows = [[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1]]
    else:  # -1 and 1 are their outer edges
        rows = [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1]]
    return torch.tensor([*rows, [0, 0, 1]])


class AffineNetwork(ModelMixin, ConfigMixin):
    """Affine transform of a moving image onto a fixed one, both 240x320.

    Args:
        inputs: what each image is shown as (see `ldfusion.registration.inputs`), one channel of each image for each.
        align_corners: convention of theta. True is ours; False is how the published weights were trained and have to
            be run.
        start: how the registrar lays the infrared image on the visible one first (`ldfusion.registration.working`).
        passes: how often the registrar applies the network, each time to the image moved by the transform so far.
        polish: the registrar climbs on from the network's answer by the method ``orientation``, on the pair itself.
    """

    @register_to_config
    def __init__(
        self,
        inputs: Sequence[str] = ("grey",),
        align_corners: bool = True,
        start: Start = "resize",
        passes: int = 1,
        polish: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2 * len(check_kinds(inputs))
        for width, kernel in _BLOCKS:
            layers += [nn.Conv2d(channels, width, kernel), nn.MaxPool2d(2), nn.ReLU()]
            channels = width
        # names and numbers of the layers are those of the published checkpoints
        self.localization = nn.Sequential(*layers)
        self.fc_loc = nn.Sequential(nn.Linear(_FLAT, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 6))
        last = self.fc_loc[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        last.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    @classmethod
    def published_config(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """How a published checkpoint was trained: on one mask of each image, human = 0, ``align_corners=False``."""
        return {"inputs": [PUBLISHED_MASKS], "align_corners": False}

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Theta ``(B, 2, 3)``: normalised fixed -> normalised moving coordinates.

        Args:
            moving: infrared input ``(B, k, 240, 320)`` in [0, 1], one channel for each of ``inputs``.
            fixed: visible input, the same shape.

        Raises:
            ValueError: another size; resizing is the caller's part.
        """
        if moving.shape[-2:] != (HEIGHT, WIDTH) or fixed.shape != moving.shape:
            raise ValueError(f"need two images of {HEIGHT}x{WIDTH}, got {tuple(moving.shape)} and {tuple(fixed.shape)}")
        features = self.localization(torch.cat([moving, fixed], dim=1))
        # half precision would round theta to a pixel or two
        with torch.autocast(moving.device.type, enabled=False):
            theta: Tensor = self.fc_loc(features.flatten(1).float())
        return theta.view(-1, 2, 3)

    def warp(self, image: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The moving image ``(B, C, H, W)`` warped, zeros outside of it, and the sampling grid ``(B, H, W, 2)``."""
        aligned = bool(self.config["align_corners"])
        grid = F.affine_grid(theta, list(image.shape), align_corners=aligned)
        return F.grid_sample(image, grid, padding_mode="zeros", align_corners=aligned), grid

    def backward_matrices(self, theta: Tensor, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
        """``(B, 3, 3)`` fixed pixels -> moving pixels of two images of ``size``; differentiable."""
        to_unit = normaliser(size, bool(self.config["align_corners"])).to(theta)
        bottom = torch.tensor([0.0, 0.0, 1.0]).to(theta).expand(len(theta), 1, 3)
        return torch.linalg.inv(to_unit) @ torch.cat([theta, bottom], dim=1) @ to_unit


class AffineRegistrar:
    """Registers a pair of any sizes by the affine network.

    Args:
        weights: folder of a network trained here, or a published checkpoint (safetensors or torch file); the embedded
            one if empty.
        inputs: overrides what the network is shown; published checkpoints are shown masks unless said otherwise.
        align_corners: overrides the convention; published checkpoints are run with False unless said otherwise.
        passes: overrides how often the network is applied.
        polish: overrides whether the answer is climbed on from.
        masks: where human masks come from, needed for the input ``masks``; the default source if None.
        device: where to compute.

    Raises:
        InputError: weights that are missing, damaged or of another network; a mask source that is not there.
    """

    def __init__(
        self,
        weights: str | Path = "",
        inputs: Sequence[str] | None = None,
        align_corners: bool | None = None,
        passes: int | None = None,
        polish: bool | None = None,
        masks: MaskSource | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        changes = {"inputs": inputs, "align_corners": align_corners, "passes": passes, "polish": polish}
        self.network = load_network(
            AffineNetwork, "affine", weights, {k: v for k, v in changes.items() if v is not None}
        )
        self.network.to(device)
        self.masks, self.device = masks, torch.device(device)
        self.polish = OrientationRegistrar("affine", device=device) if self.network.config["polish"] else None

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `ldfusion.registration.methods.Registrar`."""
        config = self.network.config
        pair = WorkingPair(
            visible.to(self.device), infrared.to(self.device), config["inputs"], (HEIGHT, WIDTH), self.masks
        )
        matrix = pair.start(config["start"])
        for _ in range(int(config["passes"])):
            theta = self.network(pair.moving(matrix), pair.fixed)
            backward = self.network.backward_matrices(theta)[0].double().cpu().numpy()
            matrix = pair.compose(matrix, backward)
        if self.polish:
            return self.polish.refine(visible, infrared, matrix)
        score, trusted = similarity(pair, matrix)
        return Registration(matrix, "affine", score, trusted)
