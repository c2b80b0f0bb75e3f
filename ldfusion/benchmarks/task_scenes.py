"""Rendered street scenes of which the depth is known exactly: to judge a method's images by, and to train on them.

Estimators that have only ever seen one sensor's images read a fused one badly, whatever is in it. So they are
re-trained for every method, on the method's images of other scenes, as it is done for segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ldfusion.data.labels import depth_label_path
from ldfusion.errors import InputError
from ldfusion.evaluation.tasks.protocol import TaskSample
from ldfusion.io.color import luma
from ldfusion.io.files import atomic_write
from ldfusion.io.image import read_infrared, read_visible, write_png

LIGHTS = ("night", "smoke")
"""Of the scenes that are trained on: in these the two sensors see different things."""
JUDGED: dict[str, tuple[str, ...]] = {
    "night": ("night", "night, lit"),
    "unlit": ("night", "night, unlit"),
    "smoke": ("smoke",),
}
"""Light of the scenes that are judged -> groups they are counted in."""
FIRST_SCENE, FIRST_TRAINED = 70_000, 50_000
"""Seeds of the first scene that is judged and of the first that is trained on; the recipes never render with a plain
number as seed."""
SIZE = (240, 320)
HELD_OUT = 4
"""Last scenes of each light that are not trained on but watched meanwhile."""
SENSORS = ("visible", "infrared")
Fuse = Callable[[Tensor, Tensor], Tensor]


def judged_scenes(fuse: Fuse, scenes: int) -> Iterator[TaskSample]:
    """A method's images of ``scenes`` scenes of each light of `JUDGED`, with their depth in metres."""
    from ldfusion.rendering import render_scene

    for light, groups in JUDGED.items():
        for number in range(scenes):
            scene = render_scene(FIRST_SCENE + number, light, "street", SIZE, registered=True)
            image = fuse(torch.from_numpy(scene.visible)[None], torch.from_numpy(scene.infrared)[None])
            metres = torch.from_numpy(scene.depth_visible_m)[None]
            yield TaskSample(f"{light} {number}", image, metres=metres, groups=groups)


@dataclass(frozen=True)
class TrainingScenes:
    """Scenes to train on, rendered once for all methods.

    Attributes:
        root: folder; gets ``source/`` (both sensors), ``labels/`` and a data set of the layout ``folder`` a method.
        scenes: of each light, more than `HELD_OUT`.

    Raises:
        InputError: fewer scenes.
    """

    root: Path
    scenes: int

    def __post_init__(self) -> None:
        if self.scenes <= HELD_OUT:
            raise InputError(f"{self.scenes} training scenes of each light: {HELD_OUT} are held out, so give more")

    @property
    def labels(self) -> Path:
        """Folder of the depth labels: inverse depth [1/m], 0 for the sky."""
        return self.root / "labels"

    @property
    def names(self) -> list[str]:
        """Of all scenes, the held-out ones of each light last."""
        return [f"{light}-{number:03d}" for light in LIGHTS for number in range(self.scenes)]

    def of_method(self, method: str, fuse: Fuse) -> Path:
        """The data set whose visible images are those of a method and whose infrared images are their luma.

        What is there already is not made again.
        """
        root, source = self.root / method, self.root / "source"
        held_out = [n for n in self.names if int(n.rsplit("-", 1)[1]) >= self.scenes - HELD_OUT]
        splits = {"train": [n for n in self.names if n not in held_out], "val": held_out}
        for split, names in splits.items():
            with atomic_write(root / "splits" / f"{split}.txt") as file:
                file.write_text("".join(f"folder/{name}\n" for name in names), encoding="utf-8")
        todo = [name for name in self.names if not (root / "visible" / f"{name}.png").is_file()]
        for name in tqdm(todo, desc=f"{method}: scenes", unit="scene", disable=None):
            if not (source / "visible" / f"{name}.png").is_file():
                self._render(name)
            visible, infrared = (source / sensor / f"{name}.png" for sensor in SENSORS)
            image = fuse(read_visible(visible)[0][None], read_infrared(infrared)[None]).expand(-1, 3, -1, -1)
            write_png(root / "infrared" / f"{name}.png", luma(image)[0])
            write_png(root / "visible" / f"{name}.png", image[0])
        return root

    def _render(self, name: str) -> None:
        from ldfusion.rendering import render_scene

        light, number = name.rsplit("-", 1)
        scene = render_scene(FIRST_TRAINED + int(number), light, "street", SIZE, registered=True)
        for sensor, depth in zip(SENSORS, (scene.depth_visible_m, scene.depth_infrared_m), strict=True):
            with atomic_write(depth_label_path(self.labels, f"folder/{name}", sensor)) as file, file.open("wb") as out:
                np.save(out, (1 / depth[0]).astype(np.float16))
        write_png(self.root / "source" / "infrared" / f"{name}.png", torch.from_numpy(scene.infrared))
        write_png(self.root / "source" / "visible" / f"{name}.png", torch.from_numpy(scene.visible))
