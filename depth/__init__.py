"""Monocular depth on tensors: estimators, a trainable student, losses, metrics, alignment, point clouds and files.

The package imports nothing of ``ldfusion`` and can be used alone. Unless a name says metres, a depth map is *relative
inverse depth*: float32 ``(B, 1, H, W)``, non-negative, large where the scene is near, known only up to scale and shift.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth.estimator import DepthEstimator, HubEstimator, StudentEstimator, load_estimator
    from depth.network import DepthStudent

_HOMES = {
    "DepthEstimator": "depth.estimator",
    "HubEstimator": "depth.estimator",
    "StudentEstimator": "depth.estimator",
    "load_estimator": "depth.estimator",
    "DepthStudent": "depth.network",
}

__all__ = ["DepthEstimator", "DepthStudent", "HubEstimator", "StudentEstimator", "load_estimator"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import depth`` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
