"""Monocular depth on tensors: estimators, a trainable student, losses, metrics, alignment, point clouds and files.

The package imports nothing of ``ldfusion`` and can be used alone. Unless a name says metres, a depth map is *relative
inverse depth*: float32 ``(B, 1, H, W)``, non-negative, large where the scene is near, known only up to scale and shift.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth.cloud import point_cloud, write_ply
    from depth.estimator import DepthEstimator, HubEstimator, StudentEstimator, load_estimator
    from depth.files import read_depth, write_depth
    from depth.losses import ssi_loss, ssi_mae_loss
    from depth.metrics import depth_metrics, spearman
    from depth.network import DepthStudent
    from depth.preview import colorize_depth
    from depth.twin import TwinDepth

_HOMES = {
    "DepthEstimator": "depth.estimator",
    "HubEstimator": "depth.estimator",
    "StudentEstimator": "depth.estimator",
    "load_estimator": "depth.estimator",
    "DepthStudent": "depth.network",
    "TwinDepth": "depth.twin",
    "colorize_depth": "depth.preview",
    "depth_metrics": "depth.metrics",
    "point_cloud": "depth.cloud",
    "read_depth": "depth.files",
    "spearman": "depth.metrics",
    "ssi_loss": "depth.losses",
    "ssi_mae_loss": "depth.losses",
    "write_depth": "depth.files",
    "write_ply": "depth.cloud",
}

__all__ = [
    "DepthEstimator",
    "DepthStudent",
    "HubEstimator",
    "StudentEstimator",
    "TwinDepth",
    "colorize_depth",
    "depth_metrics",
    "load_estimator",
    "point_cloud",
    "read_depth",
    "spearman",
    "ssi_loss",
    "ssi_mae_loss",
    "write_depth",
    "write_ply",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import depth`` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
