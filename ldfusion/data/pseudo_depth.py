"""Depth pseudo-labels: the teacher's relative inverse depth of every image of a data set, kept as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from depth.estimator import load_estimator, working_shape
from ldfusion.data.catalog import PairFiles
from ldfusion.data.labels import depth_label_path
from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write, output_folder
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.io.lock import folder_lock
from ldfusion.io.size import resize


@torch.no_grad()
def make_depth_labels(
    pairs: Iterable[PairFiles],
    teacher: str,
    output: Path,
    short_side: int = 518,
    device: str = "cpu",
    half: bool = False,
) -> int:
    """Write ``output/dataset/depth_visible|depth_infrared/stem.npy``, float16 at the teacher's output resolution.

    The teacher reads each image on its own, the infrared one repeated to three channels. Labels that are there already
    are kept, so that an interrupted run goes on where it stopped.

    Args:
        pairs: whose images.
        teacher: folder or hub id of an `AutoModelForDepthEstimation`.
        output: folder of the labels.
        short_side: short side of the teacher's input, pixels.
        half: run the teacher in bfloat16 (twice as fast; deviates by about one percent of the range).

    Returns:
        How many labels were made.

    Raises:
        InputError: the teacher is not there, or an image cannot be read.
        WorkError: another run makes labels there.
    """
    try:
        estimator = load_estimator(teacher, short_side=short_side, hint="--teacher takes a folder or a hub id").to(
            device
        )
    except (FileNotFoundError, ValueError) as error:
        raise InputError(str(error)) from error
    with output_folder(output), folder_lock(output):
        todo = [
            (file, modality, target)
            for pair in pairs
            for modality, file in (("visible", pair.visible), ("infrared", pair.infrared))
            if not (target := depth_label_path(output, pair.name, modality)).exists()
        ]
        for file, modality, target in tqdm(todo, unit="image", desc="depth labels", disable=None):
            image = read_visible(file)[0] if modality == "visible" else read_infrared(file).expand(3, -1, -1)
            shape = working_shape(image.shape[-2], image.shape[-1], short_side, estimator.multiple)
            small = resize(image[None], shape).to(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                inverse = estimator.predict(small)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as temporary:
                np.save(temporary, inverse[0, 0].float().cpu().numpy().astype(np.float16), allow_pickle=False)
    return len(todo)
