"""Writes a rendered pair and its truth to a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ldfusion.io.files import atomic_write
from ldfusion.io.image import write_png, write_png16
from ldfusion.rendering.scene import SceneSample
from ldfusion.rendering.sensor.camera import Camera

DEPTH_NOTE = "metres along Z as unsigned 16-bit millimetres (REP 118); 0: sky or beyond 65.535 m"


def write_pair(sample: SceneSample, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Writes a pair in the layout that `ldfusion fuse FOLDER/visible FOLDER/infrared` reads, with its truth beside it.

    `visible/NAME.png` and `infrared/NAME.png` (8 bit), `labels/NAME.png` (class ids), `depth_visible/` and
    `depth_infrared/` with NAME.png (16-bit millimetres, REP 118) and NAME.npy (float32 metres, inf for the sky),
    `flow/NAME.npy` unless the pair is registered, `truth/NAME.json` (cameras, homography, boxes, caption, facts).

    Returns:
        Paths of the visible and of the infrared image.

    Raises:
        WorkError: the folder cannot be written.
    """
    root = Path(folder)
    paths = root / "visible" / f"{name}.png", root / "infrared" / f"{name}.png"
    kinds = ["visible", "infrared", "labels", "depth_visible", "depth_infrared", "truth"]
    registered = sample.cameras.visible is sample.cameras.infrared
    for kind in kinds if registered else [*kinds, "flow"]:
        (root / kind).mkdir(parents=True, exist_ok=True)
    write_png(paths[0], torch.from_numpy(sample.visible))
    write_png(paths[1], torch.from_numpy(sample.infrared))
    write_png(root / "labels" / f"{name}.png", torch.from_numpy(sample.labels)[None] / 255)
    for kind, depth in (("depth_visible", sample.depth_visible_m), ("depth_infrared", sample.depth_infrared_m)):
        millimetres = np.where(depth[0] < 65.535, np.rint(1000 * np.minimum(depth[0], 65.535)), 0).astype(np.uint16)
        write_png16(root / kind / f"{name}.png", millimetres, {"Depth": DEPTH_NOTE})
        _save(root / kind / f"{name}.npy", depth[0])
    if not registered:
        _save(root / "flow" / f"{name}.npy", np.where(sample.flow_mask[..., None], sample.flow, np.nan))
    with atomic_write(root / "truth" / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(_truth(sample), indent=1) + "\n", encoding="utf-8")
    return paths


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def _truth(sample: SceneSample) -> dict[str, Any]:
    return {
        "seed": sample.seed,
        "light": sample.light,
        "place": sample.place,
        "caption": sample.caption,
        "captions": sample.captions,
        "facts": sample.facts,
        "boxes": [box._asdict() for box in sample.boxes],
        "cameras": {"visible": _camera(sample.cameras.visible), "infrared": _camera(sample.cameras.infrared)},
        "homography_infrared_to_visible": None if sample.homography is None else sample.homography.tolist(),
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "K": camera.K.tolist(),
        "R": camera.R.tolist(),
        "t": camera.t.tolist(),
        "size": [camera.height, camera.width],
    }
