"""Files to a `Pair`: two files, or one thermal file with the visible photo in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.exif import read_exif
from ldfusion.io.image import display_of, photo_of, read_visible
from ldfusion.io.notices import notice
from ldfusion.io.radiometric import ThermalImage, read_thermal
from ldfusion.io.thermal import ThermalOptions
from ldfusion.registration.align import align
from ldfusion.types import Pair, Registration

if TYPE_CHECKING:
    from ldfusion.registration.methods import Registrar


def load_pair(
    visible: str | Path,
    infrared: str | Path | None = None,
    name: str = "",
    registrar: Registrar | None = None,
    options: ThermalOptions | None = None,
) -> Pair:
    """Read a pair; the infrared image is resized to the visible one's size, or registered onto it.

    Args:
        visible: the visible image; without ``infrared`` a thermal file that holds a visible photo: the photo is cut to
            what the infrared image shows, and that laid on it by the camera's own geometry.
        infrared: the infrared image, of any kind that `ldfusion.io.radiometric.read_thermal` reads.
        name: what the pair is called; the visible file's stem by default.
        registrar: brings the infrared image onto the visible one, see `ldfusion.registration.align.align`.
        options: unit, gain and page of the infrared file.

    Raises:
        InputError: a file that cannot be used (see `ldfusion.io.image`), or one file without a photo in it.
    """
    options, name = options or ThermalOptions(), name or Path(visible).stem
    thermal = read_thermal(visible if infrared is None else infrared, options)
    found: Registration | None = None
    if infrared is None or Path(infrared).resolve() == Path(visible).resolve():
        inside = _photo_inside(visible, thermal, infrared is not None)
        colour, found = inside if inside is not None else (read_visible(visible)[0][None], None)
        is_grey = bool((colour - colour[:, :1]).abs().max() <= 2 / 255)
    else:
        image, is_grey = read_visible(visible)
        colour = image[None]
    if is_grey:
        notice(f"{visible} has no colour: its grey values are used for red, green and blue, and the result is grey")
    display, limits = display_of(thermal, str(visible if infrared is None else infrared), options.limits)
    degrees = torch.from_numpy(np.array(thermal.values))[None, None] if thermal.celsius else None
    size = (int(display.shape[-2]), int(display.shape[-1]))
    pair = Pair(name, colour, display[None], is_grey, size, found, degrees, limits, read_exif(visible))
    return align(pair, registrar)


def _photo_inside(file: str | Path, thermal: ThermalImage, twice: bool) -> tuple[Tensor, Registration | None] | None:
    """The photo (1, 3, H, W) in a thermal file, and where the infrared image lies in it; None where it has none."""
    if thermal.photo is None:
        if twice:
            notice(f"{file} was given as the visible and as the infrared image: the result shows it alone")
            return None
        raise InputError(f"{file} holds no visible photo beside an infrared image; give both images of the pair")
    photo = photo_of(thermal.photo)
    if thermal.placement is None:
        return photo, None
    height, width = thermal.values.shape[:2]
    corners = thermal.placement @ np.array([[-0.5, -0.5, 1], [width - 0.5, height - 0.5, 1]]).T
    left, top = (max(0, int(np.ceil(v))) for v in corners[:2, 0])
    right, bottom = (int(np.floor(v)) + 1 for v in corners[:2, 1])
    cut = photo[..., top:bottom, left:right]
    if min(cut.shape[-2:]) < 32:
        raise InputError(f"{file}: its photo and its infrared image do not overlap; give both images of a pair")
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], dtype=np.float64)
    return cut, Registration(shift @ thermal.placement, "affine", 1.0, True)
