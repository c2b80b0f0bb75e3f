"""A data set whose pairs are registered almost: a copy of its folder with the infrared images where they should be.

What is wrong with all pairs alike is estimated from all of them together (`ldfusion.registration.rig`), then each pair
adds its own small shift where it can tell one. True masks are brought onto the visible image where they were drawn on
the infrared one (`ldfusion.registration.label_frames`). Visible images and everything else are linked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ldfusion.data.catalog import PairFiles, catalog, select_pairs
from ldfusion.data.labels import read_mask
from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.io.image import read_infrared, read_visible, write_png
from ldfusion.io.lock import folder_lock
from ldfusion.io.size import match_infrared
from ldfusion.registration.align import place, resample
from ldfusion.registration.label_frames import place_on_visible
from ldfusion.registration.rig import Rig, block_surfaces, fit_rig, pair_shift
from ldfusion.registration.warp import Size, flow_points, registration_points, resize_matrix
from ldfusion.types import Registration

ESTIMATES = "alignment.json"
"""In the folder of an aligned data set: ``size``, the rig's ``coefficients`` and for each pair its ``shift`` in pixels,
whether it was ``believed``, what the two ``halves`` of its blocks said, and how many ``labels_moved``."""

_REACHES = (12, 6)
"""Largest displacement of each round over the whole set, pixels of the visible image."""
_POOLED = 120
"""Pairs, evenly taken, that an estimate of a rig is pooled over; more tell hardly more."""
_OWN_REACH = 12
_FEWEST = 8


def align_datasets(root: str | Path, datasets: Sequence[str], output: str | Path) -> dict[str, dict[str, Any]]:
    """Write ``output`` with aligned infrared images and masks of ``datasets``; all else below ``root`` is linked.

    What was done already is kept: the estimate of a rig, those of its pairs, and the images.

    Returns:
        What `ESTIMATES` holds, by data set.

    Raises:
        InputError: no such data set, pairs of several sizes, fewer than 8 of them, or an output of other pairs.
    """
    source, target = Path(root), check_output_folder(output)
    sets = {dataset: select_pairs(source, [dataset], "") for dataset in datasets}
    for dataset, pairs in sets.items():
        if len(pairs) < _FEWEST:
            raise InputError(f"{dataset}: {len(pairs)} pairs; to tell what a rig gets wrong needs at least {_FEWEST}")
    folders = {pair.infrared.parent.resolve() for pairs in sets.values() for pair in pairs}
    if any(place == target.resolve() or target.resolve() in place.parents for place in folders):
        raise InputError(f"{target}: holds the data that are read; give another folder")
    masks = {labels.parent.resolve() for pairs in sets.values() for pair in pairs if (labels := _true_labels(pair))}
    with folder_lock(target):
        _mirror(source, target, folders | masks)
        return {dataset: _align(source, dataset, pairs, target) for dataset, pairs in sets.items()}


def _align(source: Path, dataset: str, pairs: Sequence[PairFiles], target: Path) -> dict[str, Any]:
    """One data set; see `align_datasets`."""
    file = target / catalog()[dataset]["root"] / ESTIMATES
    found = _read(file, pairs)
    if not found:
        rig = estimate_rig(pairs)
        found = {"size": list(rig.size), "coefficients": rig.coefficients.tolist(), "names": _names(pairs), "pairs": {}}
        _write(file, found)
    rig = Rig((found["size"][0], found["size"][1]), np.array(found["coefficients"]))
    for pair in tqdm(pairs, unit="pair", desc=f"{dataset}: images", disable=None):
        image = (target / pair.infrared.relative_to(source)).with_suffix(".png")
        labels = _true_labels(pair)
        mask = None if labels is None else (target / labels.relative_to(source)).with_suffix(".png")
        if pair.name in found["pairs"] and image.is_file() and (mask is None or mask.is_file()):
            continue
        visible, infrared, stored = _load(pair, rig.size)
        own = found["pairs"].get(pair.name) or _estimate(visible, infrared, rig)
        flow = rig.flow((own["shift"][0], own["shift"][1]))
        aligned = _aligned(visible, stored, flow)
        if labels is not None and mask is not None:
            placed, own["labels_moved"] = place_on_visible(read_mask(labels, rig.size), visible, aligned, flow)
            write_png(mask, torch.from_numpy(placed)[None] / 255)
        write_png(image, aligned[0])
        found["pairs"][pair.name] = own
        _write(file, found)
    return found


def _estimate(visible: Tensor, infrared: Tensor, rig: Rig) -> dict[str, Any]:
    """What `ESTIMATES` says of a pair."""
    shift = pair_shift(block_surfaces(visible, infrared, _OWN_REACH, rig.flow()), rig.size)
    return {
        "shift": [round(k, 3) for k in shift.value],
        "believed": shift.believed,
        "halves": [[round(k, 3) for k in half] for half in shift.halves],
    }


def _true_labels(pair: PairFiles) -> Path | None:
    return pair.labels if pair.label_set == "msrs" else None


def estimate_rig(pairs: Sequence[PairFiles]) -> Rig:
    """The displacement that all pairs have in common; see `ldfusion.registration.rig`.

    Raises:
        InputError: visible images of several sizes.
    """
    pairs = pairs[:: -(-len(pairs) // _POOLED)]
    size = _load(pairs[0], None)[0].shape[-2:]
    frame: Size = (int(size[0]), int(size[1]))
    rig: Rig | None = None
    for turn, reach in enumerate(_REACHES):
        halves: list[NDArray[Any]] = [np.zeros(1), np.zeros(1)]
        flow = None if rig is None else rig.flow()
        title = f"{pairs[0].dataset}: round {turn + 1} of {len(_REACHES)}"
        for k, pair in enumerate(tqdm(pairs, unit="pair", desc=title, disable=None)):
            visible, infrared, _ = _load(pair, frame)
            halves[k % 2] = halves[k % 2] + block_surfaces(visible, infrared, reach, flow)
        rig = fit_rig(halves, frame, rig)
    assert rig is not None
    return rig


def _load(pair: PairFiles, size: Size | None) -> tuple[Tensor, Tensor, Tensor]:
    """Visible (1, 3, H, W), infrared (1, 1, H, W) resized to it, and as it is stored (1, 1, h, w)."""
    visible = read_visible(pair.visible)[0][None]
    if size is not None and tuple(visible.shape[-2:]) != size:
        raise InputError(
            f"{pair.visible}: {visible.shape[-1]}x{visible.shape[-2]}, other pairs {size[1]}x{size[0]}; "
            "one rig has one size"
        )
    stored = read_infrared(pair.infrared)[None]
    return visible, match_infrared(visible, stored, pair.name), stored


def _aligned(visible: Tensor, stored: Tensor, flow: Tensor) -> Tensor:
    """The infrared image (1, 1, H, W) on the visible one's grid; where it has no data, the visible luma stands in."""
    size: Size = (int(visible.shape[-2]), int(visible.shape[-1]))
    own: Size = (int(stored.shape[-2]), int(stored.shape[-1]))
    to_own = torch.from_numpy(np.linalg.inv(resize_matrix(own, size)))
    points = flow_points(flow).double()
    points = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ to_own.T
    grid = flow_points(torch.zeros(2, *size))
    in_own = (points[..., :2] - grid).permute(2, 0, 1).float()
    registration = Registration(resize_matrix(own, size), "flow", 1.0, True, in_own)
    warped, seen = resample(stored, registration_points(registration, size))
    # no feather: a set is moved by a few pixels, and what its borders show is data
    return place(warped.clamp(0, 1), seen, visible, seen.float())


def _mirror(source: Path, target: Path, replaced: Iterable[Path]) -> None:
    """Link every entry of ``source`` into ``target``, except the folders that will be written anew."""
    replaced = set(replaced)
    for entry in sorted(source.iterdir()):
        here, place = entry.resolve(), target / entry.name
        if here == target.resolve():
            continue
        if here in replaced:
            place.mkdir(exist_ok=True)
        elif any(here in folder.parents for folder in replaced):
            place.mkdir(exist_ok=True)
            _mirror(entry, place, replaced)
        elif not place.exists() and not place.is_symlink():
            _link(here, place)


def _link(source: Path, place: Path) -> None:
    try:
        os.symlink(source, place, target_is_directory=source.is_dir())
    except OSError:  # a file system or a system without links
        if source.is_dir():
            shutil.copytree(source, place)
        else:
            shutil.copy2(source, place)


def _names(pairs: Sequence[PairFiles]) -> list[str]:
    return [pair.name for pair in pairs]


def _read(file: Path, pairs: Sequence[PairFiles]) -> dict[str, Any]:
    """What an earlier run has left; empty where there was none."""
    if not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        same = found["names"] == _names(pairs) and len(found["size"]) == 2 and len(found["coefficients"]) > 0
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not the estimates of an alignment; delete it to start over") from error
    if not same:
        raise InputError(f"{file}: of other pairs; give another folder, or delete it to start over")
    return found


def _write(file: Path, found: dict[str, Any]) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
