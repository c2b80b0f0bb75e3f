"""`SyntheticPairs`: rendered registered pairs as a data set with the items of `ldfusion.data.pairs.PairDataset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ldfusion.rendering.scene import Place, render_scene
from ldfusion.rendering.world.conditions import check_light


class SyntheticPairs(Dataset[dict[str, Any]]):
    """Rendered pairs with exact depth, labels and captions; nothing is read from a disk.

    An item holds ``visible`` (3, h, w) and ``infrared`` (1, h, w) in [0, 1]; ``depth_visible`` and ``depth_infrared``
    (1, h, w), inverse depth [1/m], 0 for the sky; ``mask`` (h, w) int64 (0 background, 1 car, 2 person, 3 bike);
    ``caption``, ``captions``, ``facts``; ``name`` and ``seed``.

    Args:
        length: number of pairs.
        size: (height, width).
        seed: another seed gives other pairs.
        lights: lights to take in turn; drawn for every pair if None.
        place: "street" or "room"; drawn for every pair if None.

    Raises:
        InputError: an unknown light.
    """

    def __init__(
        self,
        length: int,
        size: tuple[int, int] = (240, 320),
        seed: int = 0,
        lights: Sequence[str] | None = None,
        place: Place | None = None,
    ) -> None:
        self.length, self.size, self.seed = length, size, seed
        self.lights = tuple(lights or ())
        for light in self.lights:
            check_light(light)
        self.place: Place | None = place

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """An item by its index, or by (epoch, index): every epoch shows new scenes, with the same light at the same
        index.
        """
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not 0 <= index < self.length:
            raise IndexError(f"index {index} of {self.length} pairs")
        seed = int(np.random.SeedSequence((self.seed, epoch, index)).generate_state(1, np.uint64)[0] >> np.uint64(1))
        light = self.lights[index % len(self.lights)] if self.lights else None
        sample = render_scene(seed, light, self.place, self.size, registered=True)
        return {
            "visible": torch.from_numpy(sample.visible),
            "infrared": torch.from_numpy(sample.infrared),
            "name": f"synthetic/{sample.place}-{sample.light}-{epoch}-{index:05d}",
            "seed": seed,
            "depth_visible": torch.from_numpy(1 / sample.depth_visible_m),
            "depth_infrared": torch.from_numpy(1 / sample.depth_infrared_m),
            "mask": torch.from_numpy(np.where(sample.labels <= 3, sample.labels, 0).astype(np.int64)),
            "caption": sample.caption,
            "captions": sample.captions,
            "facts": sample.facts,
        }
