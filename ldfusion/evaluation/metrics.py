"""Image fusion metrics: the public home of every metric function and the table of their names.

Convention: plain definitions on the 0..255 scale of 8-bit BT.601 luma, (B, 1, H, W) in, (B,) float64 out.
Published tables mix conventions (SD near 9, SF near 0.05 and VIF near 1 come from 8-bit saturation or a
division by 255); only numbers of one convention can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

from ldfusion.evaluation.gradient import average_gradient, qabf, spatial_frequency
from ldfusion.evaluation.information import entropy, mutual_information, vif
from ldfusion.evaluation.structural import correlation_coefficient, psnr, scd, ssim, standard_deviation

__all__ = [
    "CONVENTION",
    "METRICS",
    "FusionMeasure",
    "average_gradient",
    "compute_metrics",
    "correlation_coefficient",
    "entropy",
    "mutual_information",
    "psnr",
    "qabf",
    "scd",
    "spatial_frequency",
    "ssim",
    "standard_deviation",
    "vif",
]

CONVENTION = "plain definitions, 0-255 scale, BT.601 luma, 8-bit; VIF and SSIM are sums over both sources"


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
    higher_is_better: bool = True
    digits: int = 3
    """decimals shown in a table"""

    def __call__(self, fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
        """(B,) float64 values of (B, 1, H, W) luma on the 0..255 scale."""
        return self.function(fused, visible, infrared) if self.needs_sources else self.function(fused)


METRICS: dict[str, FusionMeasure] = {
    measure.name: measure
    for measure in (
        FusionMeasure("EN", "entropy [bit]", entropy, needs_sources=False),
        FusionMeasure("MI", "mutual information [bit]", mutual_information),
        FusionMeasure("VIF", "visual information fidelity", vif),
        FusionMeasure("SF", "spatial frequency", spatial_frequency, needs_sources=False, digits=2),
        FusionMeasure("SD", "standard deviation [grey levels]", standard_deviation, needs_sources=False, digits=2),
        FusionMeasure("Qabf", "edge preservation", qabf),
        FusionMeasure("AG", "average gradient", average_gradient, needs_sources=False),
        FusionMeasure("SCD", "sum of the correlations of differences", scd),
        FusionMeasure("CC", "correlation coefficient", correlation_coefficient),
        FusionMeasure("SSIM", "structural similarity", ssim),
        FusionMeasure("PSNR", "peak signal-to-noise ratio [dB]", psnr, digits=2),
    )
}


def compute_metrics(
    fused: Tensor, visible: Tensor, infrared: Tensor, names: Iterable[str] = tuple(METRICS)
) -> dict[str, Tensor]:
    """The named metrics of (B, 1, H, W) luma on the 0..255 scale, each (B,) float64, NaN where undefined."""
    return {name: METRICS[name](fused, visible, infrared) for name in names}
