from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ldfusion.rendering import Scene, SceneSample, render_scene


@pytest.fixture
def shared_center() -> Callable[..., SceneSample]:
    """The first scene by day whose two cameras share their centre (True), or do not, at a size."""

    def find(shared: bool, size: tuple[int, int] = (96, 128)) -> SceneSample:
        for seed in range(40):
            rig = Scene.sample(seed, "day", "street").rig(size)
            if (np.linalg.norm(rig.visible.center - rig.infrared.center) < 1e-9) == shared:
                return render_scene(seed, "day", "street", size)
        raise AssertionError("no such scene among the first 40")

    return find
