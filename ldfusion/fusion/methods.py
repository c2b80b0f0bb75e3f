"""The fusion methods by name, behind one interface: a registered pair in, a fused image out.

    method = load_method("zero-learning")
    method(load_pair("visible.png", "infrared.png")).save("OUT", "name")
    fused = method.fuse(visible, infrared)  # tensors

A method keeps the size of its input, takes batches, and bounds its memory on large images by tiles. Nothing is
imported or loaded before a method is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ldfusion.fusion.base import FusionMethod, ImageMethod, NetworkMethod
from ldfusion.fusion.classical import alpha_blend, check_alpha, laplacian_fusion, maximum_fusion, mean_fusion
from ldfusion.io.color import luma, with_luma
from ldfusion.io.size import filter_tiled
from ldfusion.registry import FUSION, make
from ldfusion.weights import load

ALPHA = 0.35
"""Weight of the infrared image in an overlay (the IR-RGB registration reports: 0.65 RGB + 0.35 IR)."""
TILE = 1024
"""Side of a tile in pixels; an image with no larger side is fused whole."""

DEFAULT = "ldfusion"


def load_method(name: str, device: str | torch.device = "cpu", **options: Any) -> FusionMethod:
    """Load a fusion method.

    Args:
        name: a key of `ldfusion.registry.FUSION`, or ``module:Class`` of one's own.
        device: where it computes.
        options: the method's own, see what its row names; ``None`` leaves an option at its default.

    Raises:
        InputError: an unknown name or option, or weights that are not there.
    """
    method: FusionMethod = make(name, FUSION, "fusion method", options)
    if hasattr(method, "to"):
        method.to(device)
    elif isinstance(method, ImageMethod):
        method.device = torch.device(device)
    return method.eval() if isinstance(method, nn.Module) else method


class MeanFusion(ImageMethod):
    """See `mean_fusion`."""

    name = "mean"

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """`mean_fusion` of visible (B, 3, H, W) and infrared (B, 1, H, W) in [0, 1]."""
        return mean_fusion(visible, infrared)


class MaximumFusion(ImageMethod):
    """See `maximum_fusion`. It needs the whole image for the stretch; in a video every frame has its own.

    Args:
        stretched: bring the fused luma of each image to the full range.
    """

    def __init__(self, stretched: bool = False) -> None:
        super().__init__()
        self.stretched = stretched
        self.name = "maximum-stretched" if stretched else "maximum"

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """`maximum_fusion` of visible (B, 3, H, W) and infrared (B, 1, H, W) in [0, 1]."""
        return maximum_fusion(visible, infrared, self.stretched)


def load_stretched_maximum() -> MaximumFusion:
    """`MaximumFusion` with the stretch, under a name of its own, so that both can be rows of one table."""
    return MaximumFusion(stretched=True)


class LaplacianFusion(ImageMethod):
    """See `laplacian_fusion`; large images in tiles that agree with the whole image.

    Args:
        levels: detail images above the base.
    """

    name = "laplacian"

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.levels = levels

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """`laplacian_fusion` of visible (B, 3, H, W) and infrared (B, 1, H, W) in [0, 1]."""
        stride = 2**self.levels

        def run(visible: Tensor, infrared: Tensor) -> Tensor:
            return laplacian_fusion(visible, infrared, self.levels)

        # Down and up again look at most 2 + 2 pixels of each level around a pixel, sum over levels < 8 strides.
        return filter_tiled(run, [visible, infrared], TILE, 8 * stride, stride)


class AlphaFusion(ImageMethod):
    """Overlay (1 - alpha) RGB + alpha IR, see `alpha_blend`.

    Args:
        alpha: weight of the infrared image in [0, 1].
    """

    name = "alpha"

    def __init__(self, alpha: float = ALPHA) -> None:
        super().__init__()
        self.alpha = check_alpha(alpha)
        self.options = {"alpha": alpha}

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """`alpha_blend` of visible (B, 3, H, W) and infrared (B, 1, H, W) in [0, 1]."""
        return alpha_blend(visible, infrared, self.alpha).clamp(0, 1)


class LumaNetworkFusion(NetworkMethod):
    """A network that fuses visible luma and infrared, in the colours of the visible image; large images in tiles.

    Args:
        name: of the method.
        network: (B, 1, H, W), (B, 1, H, W) -> (B, 1, H, W), all in [0, 1], of any size.
        reach: how far around a pixel the network looks, in pixels.
    """

    def __init__(self, name: str, network: nn.Module, reach: int) -> None:
        super().__init__()
        self.name, self.network, self.reach = name, network, reach

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        return with_luma(visible, filter_tiled(self.network, [luma(visible), infrared], TILE, self.reach))


def load_seafusion(weights: str = "") -> LumaNetworkFusion:
    """The GRDB network of SeAFusion with the weights in a folder, by default those of the package.

    Raises:
        InputError: there are none.
    """
    from ldfusion.fusion.seafusion import GRDBFusionNetwork

    network = load(GRDBFusionNetwork, "seafusion", weights)
    # ten 3x3 convolutions at most lie on one path through the network
    return LumaNetworkFusion("seafusion", network.to(memory_format=torch.channels_last), reach=16)
