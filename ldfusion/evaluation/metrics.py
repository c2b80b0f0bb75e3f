"""Image fusion metrics: the public home of every metric function and the table of their names.

Convention: plain definitions on the 0..255 scale of 8-bit BT.601 luma, (B, 1, H, W) in, (B,) float64 out. A measure of
colours takes (B, 3, H, W) on the same scale.
Published tables mix conventions (SD near 9, SF near 0.05 and VIF near 1 come from 8-bit saturation or a
division by 255); only numbers of one convention can be compared. `ldfusion.evaluation.conventions` has the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ldfusion.evaluation._threads import one_thread
from ldfusion.evaluation.colour import colour_error
from ldfusion.evaluation.features import fmi
from ldfusion.evaluation.gradient import average_gradient, nabf, qabf, spatial_frequency
from ldfusion.evaluation.information import VIF_SMALLEST_SIDE, clipped_share, entropy, mutual_information, vif
from ldfusion.evaluation.perceptual import qcb, qcv
from ldfusion.evaluation.structural import (
    MS_SMALLEST_SIDE,
    SSIM_WINDOW,
    correlation_coefficient,
    ms_ssim,
    psnr,
    scd,
    ssim,
    standard_deviation,
)

__all__ = [
    "CONVENTION",
    "DEFAULT",
    "METRICS",
    "PANEL",
    "RANKED",
    "SIX",
    "FusionMeasure",
    "average_gradient",
    "clipped_share",
    "colour_error",
    "compute_metrics",
    "correlation_coefficient",
    "entropy",
    "fmi",
    "ms_ssim",
    "mutual_information",
    "nabf",
    "psnr",
    "qabf",
    "qcb",
    "qcv",
    "scd",
    "spatial_frequency",
    "ssim",
    "standard_deviation",
    "vif",
]

CONVENTION = "plain definitions, 0-255 scale, BT.601 luma, 8-bit; VIF and SSIM are sums over both sources"
CONSTANT = "an image is constant"


@dataclass(frozen=True)
class FusionMeasure:
    """One column of an evaluation table."""

    name: str
    """column heading"""
    title: str
    """what the name stands for, with the unit"""
    function: Callable[..., Tensor]
    needs_sources: bool = True
    """False for a metric of the fused image alone"""
    needs_colour: bool = False
    """True for a metric of the fused and the visible image in colour"""
    higher_is_better: bool = True
    digits: int = 3
    """decimals shown in a table"""
    smallest_side: int = 2
    """pixels below which the metric has no value"""
    undefined: str = ""
    """why it may have none otherwise"""

    def __call__(self, fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
        """(B,) float64 values of (B, 1, H, W) luma on the 0..255 scale.

        A measure of colours takes (B, 3, H, W) as ``fused`` and ``visible``; of luma it has no value (NaN).
        """
        if self.needs_colour:
            return self.function(fused, visible)
        return self.function(fused, visible, infrared) if self.needs_sources else self.function(fused)

    def reason(self, height: int, width: int) -> str:
        """Why there is no value for an image of this size."""
        if min(height, width) < self.smallest_side:
            return f"needs {self.smallest_side} pixels a side, the image has {width}x{height}"
        return self.undefined or "undefined for this image"


METRICS: dict[str, FusionMeasure] = {
    measure.name: measure
    for measure in (
        FusionMeasure("EN", "entropy [bit]", entropy, needs_sources=False),
        FusionMeasure("MI", "mutual information [bit]", mutual_information),
        FusionMeasure(
            "VIF",
            "visual information fidelity",
            vif,
            smallest_side=VIF_SMALLEST_SIDE,
            undefined="a source has no detail",
        ),
        FusionMeasure("SF", "spatial frequency", spatial_frequency, needs_sources=False, digits=2),
        FusionMeasure("SD", "standard deviation [grey levels]", standard_deviation, needs_sources=False, digits=2),
        FusionMeasure("Qabf", "edge preservation", qabf, undefined="neither source has an edge"),
        FusionMeasure("AG", "average gradient", average_gradient, needs_sources=False),
        FusionMeasure("SCD", "sum of the correlations of differences", scd, undefined=CONSTANT),
        FusionMeasure("CC", "correlation coefficient", correlation_coefficient, undefined=CONSTANT),
        FusionMeasure("SSIM", "structural similarity", ssim, smallest_side=SSIM_WINDOW),
        FusionMeasure(
            "PSNR", "peak signal-to-noise ratio [dB]", psnr, digits=2, undefined="the image equals both sources"
        ),
        FusionMeasure("MS-SSIM", "multi-scale structural similarity", ms_ssim, smallest_side=MS_SMALLEST_SIDE),
        FusionMeasure("Nabf", "fusion artefacts", nabf, higher_is_better=False, digits=4),
        FusionMeasure("Qcb", "Chen-Blum quality", qcb, undefined=CONSTANT),
        FusionMeasure("Qcv", "Chen-Varshney difference", qcv, higher_is_better=False, digits=1, undefined=CONSTANT),
        FusionMeasure(
            "colour",
            "colour error: mean CIEDE2000 to the visible image at its lightness",
            colour_error,
            needs_colour=True,
            higher_is_better=False,
            digits=2,
            undefined="the fused or the visible image is grey",
        ),
        FusionMeasure(
            "clipped",
            "black and white pixels beyond the share of the sources [%]",
            clipped_share,
            higher_is_better=False,
            digits=2,
        ),
        FusionMeasure("FMI", "feature mutual information of the pixels", fmi, smallest_side=3),
    )
}
DEFAULT = tuple(name for name in METRICS if name != "FMI")
"""What is computed unless asked for otherwise: FMI alone takes longer than all the others together."""
SIX = ("EN", "MI", "VIF", "SF", "SD", "Qabf")
"""The metrics of most published tables."""
RANKED = (*SIX, "SCD", "CC")
"""What the mean rank of a method is taken over."""
PANEL = (*RANKED, "Nabf", "colour", "clipped")
"""The columns of this project's fusion table: the last three say what a lead in the others was paid with."""


def compute_metrics(
    fused: Tensor,
    visible: Tensor,
    infrared: Tensor,
    names: Iterable[str] = DEFAULT,
    measures: Mapping[str, FusionMeasure] = METRICS,
    colours: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The named metrics of (B, 1, H, W) luma on the 0..255 scale, each (B,) float64, NaN where undefined.

    Sources (1, 1, H, W) are shared by all B images, and what concerns them alone is computed once.

    Args:
        colours: fused and visible image, (B, 3, H, W) and (B, 3, H, W) or (1, 3, H, W) on the 0..255 scale, for the
            measures that need them; None leaves those undefined.
    """
    coloured = (fused, visible) if colours is None else colours
    with one_thread():
        return {
            name: measures[name](*(coloured if measures[name].needs_colour else (fused, visible)), infrared)
            for name in names
        }
