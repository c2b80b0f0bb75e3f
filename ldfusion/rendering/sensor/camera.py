"""Pinhole cameras of the rendered scenes, and the rig of a visible and an infrared one.

World and camera frames are right-handed, metres: x right, y down, z forward; the ground is the plane y = 0 and height h
above it is y = -h. A point X of the world is at `R @ X + t` in the camera and at `K @ (R @ X + t)` in homogeneous
pixels. The centre of the first pixel is at (0, 0), so that integer coordinates are pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Camera:
    """One pinhole camera.

    Attributes:
        K: (3, 3) intrinsics in pixels, without skew.
        R: (3, 3) rotation world -> camera.
        t: (3,) translation world -> camera [m].
        height, width: size of the picture [pixels].
    """

    K: Array
    R: Array
    t: Array
    height: int
    width: int

    @property
    def center(self) -> Array:
        """(3,) position of the camera in the world [m]."""
        return -self.R.T @ self.t

    @property
    def focal_px(self) -> tuple[float, float]:
        """Focal lengths along x and y [pixels]."""
        return float(self.K[0, 0]), float(self.K[1, 1])

    @cached_property
    def directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Ray directions of all pixels for z = 1: x parts of the columns (W,), y parts of the rows (H,)."""
        columns = (np.arange(self.width) - self.K[0, 2]) / self.K[0, 0]
        rows = (np.arange(self.height) - self.K[1, 2]) / self.K[1, 1]
        return columns.astype(np.float32), rows.astype(np.float32)

    def to_camera(self, points: Array) -> Array:
        """World points (..., 3) in the camera frame, (..., 3)."""
        return points @ self.R.T + self.t

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points (..., 3) -> pixels (..., 2) in (x, y) order and their depths along Z (...) [m]."""
        homogeneous = self.to_camera(points) @ self.K.T
        depth = homogeneous[..., 2]
        return homogeneous[..., :2] / np.where(depth == 0, np.nan, depth)[..., None], depth

    def unproject(self, x: Array, y: Array, depth: Array) -> Array:
        """Pixels (x, y) at the given depth along Z [m] -> world points (..., 3)."""
        rays = np.stack([(x - self.K[0, 2]) / self.K[0, 0], (y - self.K[1, 2]) / self.K[1, 1], np.ones_like(x)], -1)
        return (rays * depth[..., None] - self.t) @ self.R


@dataclass(frozen=True, eq=False)
class Rig:
    """The visible and the infrared camera of a scene."""

    visible: Camera
    infrared: Camera


def look(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation world -> camera of a camera turned right by `yaw`, up by `pitch` and clockwise by `roll` [degrees]."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def make_camera(center: Array, rotation: Array, fov_degrees: float, height: int, width: int) -> Camera:
    """A camera at `center` [m] with square pixels, a horizontal field of view and its principal point in the middle."""
    focal = width / 2 / np.tan(np.radians(fov_degrees) / 2)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    return Camera(K, rotation, -rotation @ np.asarray(center, float), height, width)


def sample_rig(
    rng: np.random.Generator,
    center: Array,
    yaw: float,
    pitch: float,
    fov_degrees: float,
    size: tuple[int, int],
    registered: bool,
) -> Rig:
    """The two cameras of a scene.

    Registered: one camera twice. Otherwise the infrared camera has its own field of view, resolution and direction; in
    two of five scenes it shares the centre (beam splitter: the pair is related by a homography), else it stands 4 to 30
    cm away (the pair is related by a flow that depends on depth).
    """
    height, width = size
    roll = rng.normal(0, 0.6)
    visible = make_camera(center, look(yaw, pitch, roll), fov_degrees, height, width)
    shared_center = rng.random() < 0.4
    scale = rng.choice([0.6, 0.75, 0.8, 1.0])
    fov = fov_degrees * rng.uniform(0.78, 1.04)
    turn = rng.normal(0, [1.3, 1.0, 0.8])
    baseline = np.array([rng.choice([-1, 1]) * rng.uniform(0.04, 0.3), rng.normal(0, 0.03), rng.normal(0, 0.02)])
    if registered:
        return Rig(visible, visible)
    away = np.zeros(3) if shared_center else baseline
    rotation = look(yaw + turn[0], pitch + turn[1], roll + turn[2])
    small = max(32, round(height * scale)), max(32, round(width * scale))
    return Rig(visible, make_camera(np.asarray(center, float) + visible.R.T @ away, rotation, fov, *small))
