"""The fusion methods by name, behind one interface: a registered pair in, a fused image out.

    method = load_method("zero-learning")
    fused = method(visible, infrared)

A method keeps the size of its input, takes batches, and bounds its memory on large images by tiles. Nothing is
imported or loaded before a method is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ldfusion import weights
from ldfusion.config import check_arguments, nearest
from ldfusion.errors import InputError
from ldfusion.fusion.classical import alpha_blend, laplacian_fusion, maximum_fusion, mean_fusion
from ldfusion.io.color import luma, with_luma
from ldfusion.io.size import filter_tiled

ALPHA = 0.35
"""Weight of the infrared image in an overlay (the IR-RGB registration reports: 0.65 RGB + 0.35 IR)."""
TILE = 1024
"""Side of a tile in pixels; an image with no larger side is fused whole."""

DEFAULT = "ldfusion"
METHODS = {
    "ldfusion": "ldfusion.fusion.sentence:load_sentence_fusion",
    "zero-learning": "ldfusion.fusion.zero_learning:ZeroLearningFusion",
    "alpha": "ldfusion.fusion.methods:AlphaFusion",
    "laplacian": "ldfusion.fusion.methods:LaplacianFusion",
    "mean": "ldfusion.fusion.methods:MeanFusion",
    "maximum": "ldfusion.fusion.methods:MaximumFusion",
    "maximum-stretched": "ldfusion.fusion.methods:load_stretched_maximum",
    "seafusion": "ldfusion.fusion.methods:load_seafusion",
    "edges": "ldfusion.fusion.edges:EdgeOverlay",
}
"""Name of a method: where it is, as ``module:what makes it``. The keyword arguments of that are its options."""


@runtime_checkable
class FusionMethod(Protocol):
    """What every method is.

    Attributes:
        name: its key in `METHODS`.
    """

    name: str

    def __call__(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Fuse registered pairs: (B, 3, H, W) and (B, 1, H, W) in [0, 1] -> (B, 3, H, W) in [0, 1].

        All tensors are on the method's device. Without gradient, for inference.
        """
        ...


def load_method(name: str, device: str | torch.device = "cpu", **options: Any) -> FusionMethod:
    """Load a fusion method.

    Args:
        name: a key of `METHODS`.
        device: where it computes.
        options: the method's own, see what `METHODS` names for it; ``None`` leaves an option at its default.

    Raises:
        InputError: an unknown name or option, or weights that are not there.
    """
    if name not in METHODS:
        raise InputError(f"fusion method: unknown '{name}'; {nearest(name, METHODS)}")
    given = {key: value for key, value in options.items() if value is not None}
    module, _, maker_name = METHODS[name].partition(":")
    maker = getattr(import_module(module), maker_name)
    check_arguments(maker, given, f"fusion method '{name}'")
    method: FusionMethod = maker(**given)
    if isinstance(method, nn.Module):
        method.to(device).eval()
    return method


class MeanFusion:
    """See `mean_fusion`."""

    name = "mean"

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return mean_fusion(visible, infrared)


class MaximumFusion:
    """See `maximum_fusion`. It needs the whole image for the stretch; in a video every frame has its own.

    Args:
        stretched: bring the fused luma of each image to the full range.
    """

    def __init__(self, stretched: bool = False) -> None:
        self.stretched = stretched
        self.name = "maximum-stretched" if stretched else "maximum"

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return maximum_fusion(visible, infrared, self.stretched)


def load_stretched_maximum() -> MaximumFusion:
    """`MaximumFusion` with the stretch, under a name of its own, so that both can be rows of one table."""
    return MaximumFusion(stretched=True)


class LaplacianFusion:
    """See `laplacian_fusion`; large images in tiles that agree with the whole image.

    Args:
        levels: detail images above the base.
    """

    name = "laplacian"

    def __init__(self, levels: int = 4) -> None:
        self.levels = levels

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Tensor:
        stride = 2**self.levels

        def run(visible: Tensor, infrared: Tensor) -> Tensor:
            return laplacian_fusion(visible, infrared, self.levels)

        # Down and up again look at most 2 + 2 pixels of each level around a pixel, sum over levels < 8 strides.
        return filter_tiled(run, [visible, infrared], TILE, 8 * stride, stride)


class AlphaFusion:
    """Overlay (1 - alpha) RGB + alpha IR, see `alpha_blend`.

    Args:
        alpha: weight of the infrared image in [0, 1].
    """

    name = "alpha"

    def __init__(self, alpha: float = ALPHA) -> None:
        self.alpha = check_alpha(alpha)

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return alpha_blend(visible, infrared, self.alpha).clamp(0, 1)


class LumaNetworkFusion(nn.Module):
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
    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        return with_luma(visible, filter_tiled(self.network, [luma(visible), infrared], TILE, self.reach))


def load_seafusion(folder: str = "") -> LumaNetworkFusion:
    """The GRDB network of SeAFusion with the weights in ``folder``, by default those of the package.

    Raises:
        InputError: there are none.
    """
    from ldfusion.fusion.seafusion import GRDBFusionNetwork

    network = weights.load(GRDBFusionNetwork, "seafusion", folder)
    # ten 3x3 convolutions at most lie on one path through the network
    return LumaNetworkFusion("seafusion", network.to(memory_format=torch.channels_last), reach=16)


def check_alpha(alpha: float) -> float:
    """``alpha`` if it lies in [0, 1].

    Raises:
        InputError: it does not.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha {alpha:g}: give a weight from 0 (visible alone) to 1")
    return alpha
