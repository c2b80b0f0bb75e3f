"""VoxelMorph in two dimensions, and the registrar around it.

Two layouts of one idea, a U-Net that predicts a displacement for every pixel: the classic one of VoxelMorph
(Balakrishnan et al. 2019; max-pooling, optional diffeomorphic integration by scaling and squaring), and the compact one
of the registration papers (four strided 4x4 convolutions, 129,394 parameters). Modules are named as in the published
checkpoints of each, which therefore load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.registration.inputs import PUBLISHED_MASKS, check_kinds
from ldfusion.registration.masks import MaskSource
from ldfusion.registration.methods import Registrar, load_registrar
from ldfusion.registration.published import load_network
from ldfusion.registration.unet import ClassicUNet, CompactUNet
from ldfusion.registration.warp import flow_points
from ldfusion.registration.working import Start, WorkingPair, linear_part, similarity
from ldfusion.types import Registration

STRIDE = 16
First = Literal["affine", "orientation"]
"""Methods that may go before the network."""
_FLOW_STD = 1e-5


class Deformation(NamedTuple):
    """What the network answers.

    Attributes:
        flow: displacement (B, 2, H, W), (x, y) in pixels: fixed pixel p shows moving pixel p + flow(p).
        velocity: the stationary velocity that was integrated, at its own resolution and in its own pixels; the flow
            itself where nothing is integrated. Its smoothness is what is penalised.
    """

    flow: Tensor
    velocity: Tensor


class VoxelMorph(ModelMixin, ConfigMixin):
    """Dense displacement of a moving image onto a fixed one.

    Args:
        inputs: what each image is shown as, one channel of each image for each.
        layout: ``classic`` or ``compact``.
        encoder: widths of the classic encoder's levels, each half the size of the one before.
        decoder: widths of the classic decoder; what is more than the encoder's levels works at full size.
        steps: of scaling and squaring; 0 takes the prediction as the displacement. 7 is VoxelMorph's default.
        downsize: the velocity is integrated at 1/downsize of the size.
        align_corners: True is ours; False samples as the published compact weights were trained, where a flow of zero
            is not quite the identity: their grid is normalised by the one rule and sampled by the other.
        size: (height, width) the registrar works at, multiples of 16.
        start: how the registrar lays the infrared image on the visible one first; ``affine`` and ``orientation`` run
            the method of that name.
    """

    @register_to_config
    def __init__(
        self,
        inputs: Sequence[str] = ("grey",),
        layout: Literal["classic", "compact"] = "compact",
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32, 32, 16, 16),
        steps: int = 0,
        downsize: int = 2,
        align_corners: bool = True,
        size: Sequence[int] = (240, 320),
        start: Start | First = "resize",
    ) -> None:
        super().__init__()
        channels = 2 * len(check_kinds(inputs))
        if layout not in ("classic", "compact"):
            raise ValueError(f"layout '{layout}': give classic or compact")
        if layout == "classic" and len(decoder) < len(encoder):
            raise ValueError(f"decoder {tuple(decoder)} needs a width for each of the encoder's {tuple(encoder)}")
        self.unet_model: ClassicUNet | CompactUNet = (
            ClassicUNet(channels, encoder, decoder) if layout == "classic" else CompactUNet(channels)
        )
        self.flow = nn.Conv2d(self.unet_model.outputs, 2, 3, padding=1)
        nn.init.normal_(self.flow.weight, std=_FLOW_STD)
        assert self.flow.bias is not None
        nn.init.zeros_(self.flow.bias)

    @classmethod
    def published_config(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The layout and widths of a published state dict; compact ones were trained on masks, human = 0."""
        if any(name.startswith("unet_model.enc.") for name in state):
            return {"inputs": [PUBLISHED_MASKS], "layout": "compact", "align_corners": False}

        def widths(part: str) -> list[int]:
            found = {n: v for n, v in state.items() if n.startswith(f"unet_model.{part}.") and n.endswith("main.bias")}
            return [len(found[name]) for name in sorted(found, key=lambda name: int(name.split(".")[2]))]

        encoder, decoder = widths("encoder"), widths("decoder") + widths("remaining")
        if not encoder or len(decoder) < len(encoder):
            return {}
        return {"layout": "classic", "encoder": encoder, "decoder": decoder, "steps": 7}

    def forward(self, moving: Tensor, fixed: Tensor) -> Deformation:
        """Displacement and velocity of ``(B, k, H, W)`` images in [0, 1].

        Raises:
            ValueError: sizes differ or are no multiples of 16.
        """
        if moving.shape != fixed.shape or moving.shape[-2] % STRIDE or moving.shape[-1] % STRIDE:
            raise ValueError(
                f"need two images of one size, multiples of {STRIDE}: {tuple(moving.shape)}, {tuple(fixed.shape)}"
            )
        features = self.unet_model(torch.cat([moving, fixed], dim=1))
        # half precision has no room for a tenth of a pixel at 30 of them
        with torch.autocast(moving.device.type, enabled=False):
            raw = self.flow(features.float())
            velocity = raw.flip(1)  # stored (y, x), as published; (x, y) everywhere else
            steps, by = int(self.config["steps"]), int(self.config["downsize"])
            if steps == 0:
                return Deformation(velocity, velocity)
            if by > 1:
                velocity = _rescale(velocity, 1 / by)
            flow = integrate(velocity, steps)
            return Deformation(_rescale(flow, by) if by > 1 else flow, velocity)

    def warp(self, image: Tensor, flow: Tensor) -> Tensor:
        """The moving image ``(B, C, H, W)`` warped by a flow in pixels, zeros outside of it; differentiable."""
        return _sample(image, flow, bool(self.config["align_corners"]))


def integrate(velocity: Tensor, steps: int) -> Tensor:
    """The displacement after unit time of a stationary velocity (B, 2, H, W), by scaling and squaring."""
    flow = velocity / 2**steps
    for _ in range(steps):
        flow = flow + _sample(flow, flow, True)
    return flow


def _rescale(flow: Tensor, by: float) -> Tensor:
    """A flow at ``by`` times the size, in the pixels of the new size; corner pixels stay at the corners."""
    return F.interpolate(flow, scale_factor=by, mode="bilinear", align_corners=True) * by


def _sample(image: Tensor, flow: Tensor, align_corners: bool) -> Tensor:
    height, width = image.shape[-2:]
    grid = flow_points(flow) * torch.tensor([2 / (width - 1), 2 / (height - 1)], device=flow.device) - 1
    return F.grid_sample(image, grid.to(image.dtype), padding_mode="zeros", align_corners=align_corners)


class VoxelMorphRegistrar:
    """Registers a pair of any sizes by a dense displacement.

    Args:
        weights: folder of a network trained here, or a published checkpoint (safetensors or torch file); the embedded
            one if empty.
        inputs: overrides what the network is shown; published compact checkpoints are shown masks.
        start: overrides how the infrared image is laid on the visible one first: ``resize``, ``cover``, ``affine`` or
            ``orientation``.
        align_corners: overrides the convention of sampling.
        masks: where human masks come from, needed for the input ``masks``; the default source if None.
        device: where to compute.

    Raises:
        InputError: weights that are missing, damaged or of another network.
    """

    def __init__(
        self,
        weights: str | Path = "",
        inputs: Sequence[str] | None = None,
        start: Start | First | None = None,
        align_corners: bool | None = None,
        masks: MaskSource | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        changes = {"inputs": inputs, "start": start, "align_corners": align_corners}
        kept = {k: v for k, v in changes.items() if v is not None}
        self.network = load_network(VoxelMorph, "voxelmorph", weights, kept)
        self.network.to(device)
        self.masks, self.device = masks, torch.device(device)
        self.first: Registrar | None = None
        first = self.network.config["start"]
        if first in get_args(First):
            self.first = load_registrar(first, device=device)

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `ldfusion.registration.methods.Registrar`."""
        config = self.network.config
        visible, infrared = visible.to(self.device), infrared.to(self.device)
        pair = WorkingPair(visible, infrared, config["inputs"], tuple(config["size"]), self.masks)
        before = self.first(visible, infrared) if self.first else None
        start = pair.start(config["start"]) if before is None else before.matrix
        flow = self.network(pair.moving(start), pair.fixed).flow
        if not config["align_corners"]:
            # where such a network samples, in pixels: p S / (S - 1) - 1/2
            size = torch.tensor([flow.shape[-1], flow.shape[-2]], device=flow.device).view(1, 2, 1, 1)
            flow = flow + flow_points(flow).permute(0, 3, 1, 2) / (size - 1) - 0.5
        points = pair.flow_points(start, flow)
        matrix = linear_part(points)
        score, trusted = similarity(pair, matrix, self.network.warp(pair.warped(start), flow))
        if before is not None:  # it has looked for more than the outlines
            score, trusted = before.score, before.trusted and trusted
        still = flow_points(torch.zeros(2, *pair.visible_size, device=points.device))
        return Registration(matrix, "flow", score, trusted, (points - still).permute(2, 0, 1).cpu())
