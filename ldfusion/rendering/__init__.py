"""Rendered scenes with exact truth: streets and rooms in every light, seen by a visible and an infrared camera.

`render_scene` draws a `Scene` from a seed and gives a `SceneSample`: both pictures, metric depth, labels, boxes, the
relation of the cameras, facts and captions. `SyntheticPairs` is a data set of them; `write_pair` puts one into a
folder. A scene is planar facets with procedural surfaces (`world`), laid out as a `street` or a `room`, seen through
air by two cameras (`sensor`), with what is exactly known of them (`truth`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ldfusion.rendering.scene import CLASSES, LIGHTS, PLACES, Scene, SceneSample, render_scene

if TYPE_CHECKING:
    from ldfusion.rendering.dataset import SyntheticPairs
    from ldfusion.rendering.files import write_pair

__all__ = ["CLASSES", "LIGHTS", "PLACES", "Scene", "SceneSample", "SyntheticPairs", "render_scene", "write_pair"]


def __getattr__(name: str) -> Any:
    """Loads what needs torch only when it is asked for."""
    if name == "SyntheticPairs":
        from ldfusion.rendering.dataset import SyntheticPairs

        return SyntheticPairs
    if name == "write_pair":
        from ldfusion.rendering.files import write_pair

        return write_pair
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
