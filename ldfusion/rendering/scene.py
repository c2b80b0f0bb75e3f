"""`Scene`: a place drawn from a seed; `render_scene`: its visible and infrared picture with the truth about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.rendering.room.room import room
from ldfusion.rendering.sensor.camera import Camera, Rig, sample_rig
from ldfusion.rendering.sensor.lighting import View, make_view, shade
from ldfusion.rendering.sensor.raster import GeometryBuffer, draw
from ldfusion.rendering.sensor.response import develop, expose
from ldfusion.rendering.sensor.thermal import thermal_radiance
from ldfusion.rendering.street.street import street
from ldfusion.rendering.truth.facts import Pictures, gather
from ldfusion.rendering.truth.geometry import Box, flow, homography, labels_and_boxes
from ldfusion.rendering.truth.words import captions
from ldfusion.rendering.world.conditions import LIGHTS, UNLIT, check_light, sample_conditions
from ldfusion.rendering.world.place import World

Place = Literal["street", "room"]
PLACES = ("street", "room")
CLASSES = ("unlabelled", "car", "person", "bike", "curve", "car stop", "guardrail", "colour cone", "bump")
"""Names of the label ids, those of MFNet and MSRS; "car" holds all four-wheeled vehicles, "curve" is the kerb."""
MIN_SIDE = 32


@dataclass(frozen=True, eq=False)
class SceneSample:
    """A rendered pair and everything that is true of it. Arrays are numpy.

    Attributes:
        visible: (3, H, W) float32 RGB in [0, 1].
        infrared: (1, h, w) float32 in [0, 1]; bright is warm. h = H and w = W when registered.
        depth_visible_m, depth_infrared_m: (1, H, W) and (1, h, w) float32 metres along the camera's Z; inf for the sky.
        labels: (H, W) uint8 class ids of `CLASSES` in the visible image.
        labels_infrared: (h, w) uint8, the same for the infrared image.
        boxes: the labelled objects of the visible image, nearest first.
        cameras: K, R, t and size of both cameras.
        homography: (3, 3) infrared pixels -> visible pixels; None when the cameras stand apart.
        flow: (H, W, 2) float32; a visible pixel (x, y) is seen at (x, y) + flow in the infrared image [pixels].
        flow_mask: (H, W) bool, where that point is inside of the infrared image and not hidden there.
        caption: one sentence that names the nearest target, its place and distance.
        captions: the scene (`caption`), the targets, what each sensor adds.
        facts: light, scene, objects (name, position, distance, visible_in, thermal; nearest first).
        light, place, seed: what was rendered.
    """

    visible: NDArray[np.float32]
    infrared: NDArray[np.float32]
    depth_visible_m: NDArray[np.float32]
    depth_infrared_m: NDArray[np.float32]
    labels: NDArray[np.uint8]
    labels_infrared: NDArray[np.uint8]
    boxes: list[Box]
    cameras: Rig
    homography: NDArray[np.float64] | None
    flow: NDArray[np.float32]
    flow_mask: NDArray[np.bool_]
    caption: str
    captions: list[str]
    facts: dict[str, Any]
    light: str
    place: str
    seed: int


@dataclass(frozen=True, eq=False)
class Scene:
    """A place at a time of day, laid out and ready to be rendered at any size.

    The layout depends on the seed and the place alone: the same seed in another light is the same street with the same
    people on it.
    """

    seed: int
    light: str
    world: World

    @classmethod
    def sample(cls, seed: int, light: str | None = None, place: Place | None = None) -> Scene:
        """Draws a scene; light and place are drawn too where they are not given (an unlit place is a street).

        Raises:
            InputError: an unknown light or place, or a negative seed.
        """
        if seed < 0:
            raise InputError(f"the seed of a scene is a whole number from 0 up, not {seed}")
        choice = np.random.default_rng([seed, 9])
        drawn_light, drawn_place = str(choice.choice(LIGHTS)), str(choice.choice(PLACES, p=[0.75, 0.25]))
        light = light or drawn_light
        check_light(light)
        where = place or ("street" if light == UNLIT else drawn_place)
        if where not in PLACES:
            raise InputError(f"unknown place '{where}': one of {', '.join(PLACES)}")
        if light == UNLIT and where != "street":
            raise InputError(f"the light '{UNLIT}' is for a street, not for a {where}")
        conditions = sample_conditions(np.random.default_rng([seed, 1]), light, where)
        lay_out = street if where == "street" else room
        return cls(seed, light, lay_out(np.random.default_rng([seed, 0]), conditions))

    def rig(self, size: tuple[int, int] = (240, 320), registered: bool = False) -> Rig:
        """The cameras for a visible image of `size` = (height, width)."""
        world, rng = self.world, np.random.default_rng([self.seed, 2])
        return sample_rig(rng, world.center, world.yaw, world.pitch, world.fov_degrees, size, registered)

    def _view(self, camera: Camera) -> View:
        return make_view(draw(self.world.things, camera), self.world.conditions, self.world.sunlight)

    def render(self, size: tuple[int, int] = (240, 320), registered: bool = False) -> SceneSample:
        """Renders both pictures and their truth; see `render_scene`.

        Raises:
            InputError: a side is too small.
        """
        if min(size) < MIN_SIDE:
            raise InputError(f"a scene is rendered from {MIN_SIDE} pixels a side up, not {size[0]}x{size[1]}")
        world, rig, rng = self.world, self.rig(size, registered), np.random.default_rng([self.seed, 3])
        seen = self._view(rig.visible)
        heat = seen if registered else self._view(rig.infrared)
        visible = expose(shade(seen, world.conditions, world.lamps), world.conditions, rng)
        radiance = thermal_radiance(heat, world.conditions)
        infrared = develop(radiance, world.conditions, rng)
        labels, boxes, pixels = labels_and_boxes(seen.buffer, world.things)
        labels_infrared = labels if registered else labels_and_boxes(heat.buffer, world.things)[0]
        displacement, mask = self._flow(rig, seen.buffer, heat.buffer, registered)
        luma = 0.299 * visible[0] + 0.587 * visible[1] + 0.114 * visible[2]
        kelvin = radiance[0] * np.float32(293.15 / 4)  # linear about 20 degrees: dL / L = 4 dT / T
        measured = Pictures(seen.buffer, luma), Pictures(heat.buffer, infrared[0], kelvin)
        facts = gather(world.conditions.light, world.place, world.scene, world.things, *measured, pixels)
        sentences = captions(facts, world.place, np.random.default_rng([self.seed, 4]))
        return SceneSample(
            visible=visible,
            infrared=infrared,
            depth_visible_m=seen.buffer.depth[None],
            depth_infrared_m=heat.buffer.depth[None],
            labels=labels,
            labels_infrared=labels_infrared,
            boxes=boxes,
            cameras=rig,
            homography=homography(rig),
            flow=displacement,
            flow_mask=mask,
            caption=sentences[0],
            captions=sentences,
            facts=facts,
            light=self.light,
            place=world.place,
            seed=self.seed,
        )

    @staticmethod
    def _flow(
        rig: Rig, seen: GeometryBuffer, heat: GeometryBuffer, registered: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if registered:
            return np.zeros((*seen.depth.shape, 2), np.float32), np.ones(seen.depth.shape, bool)
        return flow(rig.visible, rig.infrared, seen.depth, heat.depth)


def render_scene(
    seed: int,
    light: str | None = None,
    place: Place | None = None,
    size: tuple[int, int] = (240, 320),
    registered: bool = False,
) -> SceneSample:
    """Renders a street or a room as a visible and an infrared camera see it, with exact truth.

    The same arguments give the same arrays. The same seed at another size shows the same scene from the same place.

    Args:
        seed: whole number from 0 up that decides everything that is not given.
        light: "day", "dusk", "night", "smoke" or "fog", drawn from the seed if None; or "unlit", a street at night
            without lamps and lit windows, told as a night.
        place: "street" or "room"; drawn from the seed if None.
        size: (height, width) of the visible image, from 32 up.
        registered: both cameras are one, so that the pair matches pixel by pixel; otherwise the infrared camera has its
            own pose, field of view and resolution, and shares the visible camera's centre in two of five scenes (then
            `homography` is given).

    Raises:
        InputError: an unknown light or place, a negative seed, a size below 32.
    """
    return Scene.sample(seed, light, place).render(size, registered)
