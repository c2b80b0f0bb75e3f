"""The fusion network of SeAFusion (Tang et al., Information Fusion 82, 2022): gradient residual dense blocks.

Only luma is fused; the colours are the visible image's. The paper's text and its released code are not the same
network: `DIFFERENCES` names where they part, and the argument ``variant`` picks one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.config import nearest
from ldfusion.errors import InputError
from ldfusion.io.color import luma, with_luma
from ldfusion.weights import read_state

SLOPE = 0.2
VARIANTS = ("code", "paper")
DIFFERENCES = {
    "last convolution": {"code": "3x3", "paper": "1x1"},
    "Sobel kernels": {"code": "trained from the Sobel values on", "paper": "fixed"},
    "after the sum of a block": {"code": "LeakyReLU 0.1", "paper": "nothing is mentioned"},
}
"""Where the two descriptions of the network differ; the code's batch normalisations, never applied, are left out."""


class GradientMagnitude(nn.Module):
    """|Sobel_x * x| + |Sobel_y * x| per channel, zero padding.

    Args:
        trained: the kernels are parameters that start as Sobel's (released code); False: fixed (paper).
    """

    def __init__(self, channels: int, trained: bool = True) -> None:
        super().__init__()
        kernel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        self.x = nn.Parameter(kernel.expand(channels, 1, 3, 3).clone(), requires_grad=trained)
        self.y = nn.Parameter(kernel.T.expand(channels, 1, 3, 3).clone(), requires_grad=trained)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        c = x.shape[1]
        return F.conv2d(x, self.x, padding=1, groups=c).abs() + F.conv2d(x, self.y, padding=1, groups=c).abs()


class GradientResidualDenseBlock(nn.Module):
    """Two densely connected convolutions beside a residual path through the gradient magnitude (their fig. 3)."""

    def __init__(self, inputs: int, outputs: int, paper: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(2 * inputs, inputs, 3, padding=1)
        self.main = nn.Conv2d(3 * inputs, outputs, 1)
        self.gradient = GradientMagnitude(inputs, trained=not paper)
        self.residual = nn.Conv2d(inputs, outputs, 1)
        self.paper = paper

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        a = F.leaky_relu(self.first(x), SLOPE)
        b = F.leaky_relu(self.second(torch.cat([x, a], dim=1)), SLOPE)
        out = self.main(torch.cat([x, a, b], dim=1)) + self.residual(self.gradient(x))
        return out if self.paper else F.leaky_relu(out, 0.1)


class GRDBFusionNetwork(ModelMixin, ConfigMixin):
    """Visible luma and infrared to fused luma; 166,657 parameters in the code variant.

    Args:
        variant: ``code`` (released code) or ``paper``, see `DIFFERENCES`.

    Raises:
        InputError: an unknown variant.
    """

    @register_to_config
    def __init__(self, variant: str = "code") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise InputError(f"model.variant: unknown variant '{variant}'; {nearest(variant, VARIANTS)}")
        paper = variant == "paper"
        self.visible = self._stream(paper)
        self.infrared = self._stream(paper)
        widths = (96, 64, 32, 16)
        self.reconstruct = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.out = nn.Conv2d(16, 1, 1) if paper else nn.Conv2d(16, 1, 3, padding=1)

    @staticmethod
    def _stream(paper: bool) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            GradientResidualDenseBlock(16, 32, paper),
            GradientResidualDenseBlock(32, 48, paper),
        )

    def forward(self, luma: Tensor, infrared: Tensor) -> Tensor:
        """Fused luma (B, 1, H, W) float32 in [0, 1] of two images (B, 1, H, W) in [0, 1]."""
        x = torch.cat([self.visible(luma), self.infrared(infrared)], dim=1)
        for layer in self.reconstruct:
            x = F.leaky_relu(layer(x), SLOPE)
        # the eight bits of bfloat16 are too few for a picture: the last layer is never run in half precision
        with torch.autocast(x.device.type, enabled=False):
            return torch.tanh(self.out(x.to(self.out.weight.dtype))) / 2 + 0.5

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """The fused colour image: fused luma under the chroma of the visible image, clamped to [0, 1].

        The released code stretches each batch to [0, 1] from its least to its largest value instead, so that an image
        depends on its neighbours; a clamp does not.

        Args:
            visible: (B, 3, H, W) in [0, 1].
            infrared: (B, 1, H, W) in [0, 1].

        Returns:
            (B, 3, H, W) in [0, 1].
        """
        return with_luma(visible, self(luma(visible), infrared))


@torch.no_grad()
def start_as_maximum(network: GRDBFusionNetwork) -> None:
    """Set a few of the random weights so that the untrained network already computes max(Y, I), roughly.

    Ours, for trainings of hundreds instead of thousands of steps; all other weights stay random and all of them train.
    One channel carries each image unchanged through its stream (a LeakyReLU leaves positive values alone). With
    d = Y - I, max(Y, I) = I + relu(d) and relu(d) = (leaky(d) - 0.2 d) / 0.8. The last tanh is undone by a line that
    becomes steeper towards black and white.
    """
    for stream in (network.visible, network.infrared):
        _carry(stream[0], 0, {0: 1.0})
        for block in (stream[2], stream[3]):
            assert isinstance(block, GradientResidualDenseBlock)
            _carry(block.main, 0, {0: 1.0})
            _carry(block.residual, 0, {})
    first, second, third = (layer for layer in network.reconstruct if isinstance(layer, nn.Conv2d))
    y, i, d = 0, first.in_channels // 2, 2
    _carry(first, 0, {y: 1.0})
    _carry(first, 1, {i: 1.0})
    _carry(first, d, {y: 1.0, i: -1.0})
    _carry(second, 0, {0: -SLOPE / (1 - SLOPE), 1: 1 + SLOPE / (1 - SLOPE), d: 1 / (1 - SLOPE)})
    _carry(third, 0, {0: 1.0})
    _carry(third, 1, {0: 1.0}, -0.85)
    _carry(third, 2, {0: -1.0}, 0.15)
    rest = network.out.weight * 0.1
    # atanh(2 m - 1) is nearly 2.48 (m - 0.5) from 0.15 to 0.85 and some 5 steeper beyond; the relus of both bends come
    # from their leaky versions, which are linear in m elsewhere
    slope, bend = 2.48, 5.0
    leak = bend * SLOPE / (1 - SLOPE)
    bends = {1: bend / (1 - SLOPE), 2: -bend / (1 - SLOPE)}
    _carry(network.out, 0, {0: slope - 2 * leak, **bends}, leak - slope / 2)
    network.out.weight[:, 3:] = rest[:, 3:]


def _carry(layer: nn.Module, output: int, inputs: Mapping[int, float], bias: float = 0.0) -> None:
    """Make one output channel of a convolution the sum of its inputs times the given factors, plus ``bias``."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    middle = layer.kernel_size[0] // 2
    layer.weight[output] = 0
    for channel, factor in inputs.items():
        layer.weight[output, channel, middle, middle] = factor
    layer.bias[output] = bias


PUBLISHED = {
    "{short}_conv.conv": "{long}.0",
    **{
        f"{{short}}_rgbd{block}.{theirs}": f"{{long}}.{block + 1}.{ours}"
        for block in (1, 2)
        for theirs, ours in (
            ("dense.conv1.conv", "first"),
            ("dense.conv2.conv", "second"),
            ("convdown.conv", "main"),
            ("convup.conv", "residual"),
            ("sobelconv.convx", "gradient.x"),
            ("sobelconv.convy", "gradient.y"),
        )
    },
}
"""Names of one stream's layers in the released weights -> ours."""


def published_names() -> dict[str, str]:
    """Name of every tensor that the released code applies -> its name here (batch normalisations are left out)."""
    layers = {
        theirs.format(short=short): ours.format(long=long)
        for short, long in (("vis", "visible"), ("inf", "infrared"))
        for theirs, ours in PUBLISHED.items()
    }
    layers |= {f"decode{4 - k}.conv": f"reconstruct.{k}" for k in range(3)} | {"decode1.conv": "out"}
    names = {}
    for theirs, ours in layers.items():
        if ".gradient." in ours:  # a bare parameter here, a convolution without bias there
            names[f"{theirs}.weight"] = ours
        else:
            names |= {f"{theirs}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
    return names


def from_published(file: str | Path) -> GRDBFusionNetwork:
    """The network with the authors' weights, from a file in the layout of their code.

    Args:
        file: ``.safetensors``, or the ``.pth`` as released (only tensors are read from it, no code is run).

    Raises:
        InputError: a missing or unreadable file, or one of another network.
    """
    return load_published(read_state(file), str(file))


def load_published(state: Mapping[str, Tensor], source: str = "state dict") -> GRDBFusionNetwork:
    """The network with tensors named as in the released code; see `from_published`.

    Raises:
        InputError: tensors that are missing or unknown.
    """
    names = published_names()
    bare = {name.removeprefix("module."): value for name, value in state.items()}
    missing = [name for name in names if name not in bare]
    unknown = [name for name in bare if name not in names and ".bn." not in name]
    if missing or unknown:
        what = f"'{missing[0]}' is missing" if missing else f"'{unknown[0]}' is unknown"
        raise InputError(f"{source}: not the released weights of SeAFusion's fusion network ({what})")
    network = GRDBFusionNetwork()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for theirs, ours in names.items():
        if tuple(bare[theirs].shape) != shapes[ours]:
            raise InputError(f"{source}: '{theirs}' is {tuple(bare[theirs].shape)}, expected {shapes[ours]}")
    network.load_state_dict({ours: bare[theirs].float() for theirs, ours in names.items()})
    return network
