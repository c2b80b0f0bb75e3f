"""The fusion metrics as torchmetrics classes: means over any number of batches, processes and devices.

As input to `update` each class accepts fused, visible and infrared luma, (B, 1, H, W) on the 0..255 scale;
`ColourError` takes (B, 3, H, W) as fused and visible, and has no value for luma.
`compute` returns the mean over all images on which the metric is defined, NaN if there was none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from ldfusion.evaluation.metrics import DEFAULT, METRICS


class FusionMetric(Metric):
    """Mean of one entry of `METRICS`; a subclass names the entry."""

    name: ClassVar[str]
    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # MetricCollection shares the state of metrics whose states look alike, and an all-black first batch
        # makes several of ours equal: the name in the state keeps them apart.
        self._total, self._count = f"{self.name}_total", f"{self.name}_count"
        self.add_state(self._total, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state(self._count, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, fused: Tensor, visible: Tensor, infrared: Tensor) -> None:
        """Add a batch of (B, 1, H, W) luma (for `ColourError`: colours) on the 0..255 scale."""
        values = METRICS[self.name](fused, visible, infrared)
        values = values[values.isfinite()]
        setattr(self, self._total, getattr(self, self._total) + values.sum())
        setattr(self, self._count, getattr(self, self._count) + values.numel())

    def compute(self) -> Tensor:
        """Mean over all images so far, scalar float64."""
        total: Tensor = getattr(self, self._total)
        return total / getattr(self, self._count)


class Entropy(FusionMetric):
    """EN, see `ldfusion.evaluation.metrics.entropy`."""

    name = "EN"


class MutualInformation(FusionMetric):
    """MI, see `ldfusion.evaluation.metrics.mutual_information`."""

    name = "MI"


class VisualInformationFidelity(FusionMetric):
    """VIF, see `ldfusion.evaluation.metrics.vif`."""

    name = "VIF"


class SpatialFrequency(FusionMetric):
    """SF, see `ldfusion.evaluation.metrics.spatial_frequency`."""

    name = "SF"


class StandardDeviation(FusionMetric):
    """SD, see `ldfusion.evaluation.metrics.standard_deviation`."""

    name = "SD"


class EdgePreservation(FusionMetric):
    """Qabf, see `ldfusion.evaluation.metrics.qabf`."""

    name = "Qabf"


class AverageGradient(FusionMetric):
    """AG, see `ldfusion.evaluation.metrics.average_gradient`."""

    name = "AG"


class SumOfCorrelationsOfDifferences(FusionMetric):
    """SCD, see `ldfusion.evaluation.metrics.scd`."""

    name = "SCD"


class CorrelationCoefficient(FusionMetric):
    """CC, see `ldfusion.evaluation.metrics.correlation_coefficient`."""

    name = "CC"


class StructuralSimilarity(FusionMetric):
    """SSIM summed over both sources, see `ldfusion.evaluation.metrics.ssim`."""

    name = "SSIM"


class PeakSignalToNoiseRatio(FusionMetric):
    """PSNR, see `ldfusion.evaluation.metrics.psnr`."""

    name = "PSNR"


class MultiScaleStructuralSimilarity(FusionMetric):
    """MS-SSIM summed over both sources, see `ldfusion.evaluation.metrics.ms_ssim`."""

    name = "MS-SSIM"


class FusionArtefacts(FusionMetric):
    """Nabf, see `ldfusion.evaluation.metrics.nabf`."""

    name = "Nabf"
    higher_is_better = False


class ChenBlumQuality(FusionMetric):
    """Q_CB, see `ldfusion.evaluation.metrics.qcb`."""

    name = "Qcb"


class ChenVarshneyDifference(FusionMetric):
    """Q_CV, see `ldfusion.evaluation.metrics.qcv`."""

    name = "Qcv"
    higher_is_better = False


class ColourError(FusionMetric):
    """Colour error, see `ldfusion.evaluation.metrics.colour_error`."""

    name = "colour"
    higher_is_better = False


class ClippedShare(FusionMetric):
    """Share of clipped pixels, see `ldfusion.evaluation.metrics.clipped_share`."""

    name = "clipped"
    higher_is_better = False


class FeatureMutualInformation(FusionMetric):
    """FMI, see `ldfusion.evaluation.metrics.fmi`."""

    name = "FMI"


CLASSES: dict[str, type[FusionMetric]] = {
    kind.name: kind
    for kind in (
        Entropy,
        MutualInformation,
        VisualInformationFidelity,
        SpatialFrequency,
        StandardDeviation,
        EdgePreservation,
        AverageGradient,
        SumOfCorrelationsOfDifferences,
        CorrelationCoefficient,
        StructuralSimilarity,
        PeakSignalToNoiseRatio,
        MultiScaleStructuralSimilarity,
        FusionArtefacts,
        ChenBlumQuality,
        ChenVarshneyDifference,
        ColourError,
        ClippedShare,
        FeatureMutualInformation,
    )
}


def fusion_metrics(names: Iterable[str] = DEFAULT, prefix: str | None = None) -> MetricCollection:
    """A MetricCollection of the named metrics; torchmetrics sorts its keys by the alphabet."""
    return MetricCollection({name: CLASSES[name]() for name in names}, prefix=prefix, compute_groups=False)
