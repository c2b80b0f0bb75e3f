"""Fusion of a visible and an infrared image into one colour image, with its depth and a sentence about it.

The public names are imported when they are first used, so that ``import ldfusion`` stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ldfusion.loading import load_pair
    from ldfusion.output import FusionOutput
    from ldfusion.pipeline import LDFusionPipeline

__version__ = "0.1.0"
__all__ = ["FusionOutput", "LDFusionPipeline", "__version__", "load_pair"]

_HOMES = {
    "FusionOutput": "ldfusion.output",
    "LDFusionPipeline": "ldfusion.pipeline",
    "load_pair": "ldfusion.loading",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home module at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ldfusion' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
